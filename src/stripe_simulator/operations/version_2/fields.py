"""The JSON body of a request to version 2 of the API, checked against the operation's parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from stripe_fdw.catalog.model import Kind, Operation, Parameter
from stripe_simulator.operations.version_2.errors import Version2Error, invalid_fields

_TYPES: Mapping[Kind, tuple[type, ...]] = {
    Kind.TEXT: (str,),
    Kind.REFERENCE: (str,),
    Kind.TIMESTAMP: (str,),
    Kind.DECIMAL: (str,),  # as text, so that no digit is lost
    Kind.INTEGER: (int,),
    Kind.TIME: (int,),
    Kind.FLOAT: (int, float),
    Kind.BOOLEAN: (bool,),
    Kind.JSON: (dict, list),
}


def check_fields(operation: Operation, body: Any) -> dict[str, Any]:
    """Return the parameters of a request. Raises Version2Error for those that the operation does not take."""
    if not isinstance(body, dict):
        raise invalid_fields("The body must be a JSON object.")
    _check(operation.parameters, body, "")
    return body


def _check(parameters: Iterable[Parameter], sent: Mapping[str, Any], inside: str) -> None:
    known = {item.name: item for item in parameters}
    for name, value in sent.items():
        path = f"{inside}.{name}" if inside else name
        if name not in known:
            raise invalid_fields(f"Unknown field: {path}.")
        _check_value(known[name], value, path)
    for item in known.values():
        if item.required and item.name not in sent:
            path = f"{inside}.{item.name}" if inside else item.name
            raise Version2Error(f"Missing required field: {path}.", "required_field_missing")


def _check_value(parameter: Parameter, value: Any, path: str) -> None:
    if value is None:
        return
    if isinstance(value, list):
        if not parameter.is_list:
            raise invalid_fields(f"{path} must not be an array.")
        for item in value:
            _check_item(parameter, item, path)
    elif parameter.is_list:
        raise invalid_fields(f"{path} must be an array.")
    else:
        _check_item(parameter, value, path)


def _check_item(parameter: Parameter, value: Any, path: str) -> None:
    if isinstance(value, dict):
        if parameter.fields:
            _check(parameter.fields, value, path)
        elif parameter.kind is not Kind.JSON:
            raise invalid_fields(f"{path} must not be an object.")
        return
    if parameter.is_list:
        return
    expected = _TYPES[parameter.kind]
    if not isinstance(value, expected) or (isinstance(value, bool) and bool not in expected):
        raise invalid_fields(f"{path} must be of type {expected[0].__name__}, not {type(value).__name__}.")
    if parameter.values and isinstance(value, str) and not value:
        raise invalid_fields(f"{path} must be one of {', '.join(parameter.values)}.")
