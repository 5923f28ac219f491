"""Parameters of a write: checked against the operation, put into the object."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stripe_fdw.catalog.model import Kind, Operation, Resource
from stripe_simulator import errors
from stripe_simulator.requests.parameters import ParameterParser, merge_metadata

if TYPE_CHECKING:
    from stripe_simulator.requests.forms import Params
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.types import Json


def validate_parameters(request: ApiRequest, operation: Operation, needed: tuple[str, ...] = ()) -> Params:
    """The parameters with their types, without `expand`.

    Raises StripeError where one is unknown, missing, empty though it cannot be unset, of a wrong type or
    names an object that does not exist. From here on the call has begun.
    """
    known = {parameter.name: parameter for parameter in operation.parameters if parameter.name != "expand"}
    sent = {name: value for name, value in request.params.items() if name != "expand"}
    unknown = [name for name in sent if name not in known]
    if unknown:
        raise errors.unknown_parameters(unknown)
    for name in needed:
        if sent.get(name) in (None, ""):
            raise errors.missing_parameter(name)
    typed = ParameterParser(request.account, operation.name == "update").fields(known, "", sent)
    request.begun = True
    return typed


def validate_route_parameters(request: ApiRequest) -> Params:
    """Return the parameters with their types, validated against the operation of the request's route.

    Raises StripeError as `validate_parameters` does.
    """
    assert request.route.operation is not None
    return validate_parameters(request, request.route.operation)


def apply_parameters(resource: Resource, made: Json, params: Params) -> None:
    """Put the parameters into the object, where it has a field of that name."""
    for name, value in params.items():
        if name == "metadata":
            made["metadata"] = merge_metadata(made.get("metadata") or {}, value)
        elif name in _OWN or name not in resource.column:
            continue
        elif resource.column[name].path != (name,):
            _put(made, resource.column[name].path, value)
        elif isinstance(value, dict):
            now = made.get(name)
            made[name] = _merged(now if isinstance(now, dict) else _EMPTY.get(name, {}), value)
        elif value is None and isinstance(made.get(name), list):
            made[name] = []
        elif resource.column[name].kind is Kind.DECIMAL:
            made[name] = str(value)
        else:
            made[name] = value


# Handlers put these into lists of their own, or complete them.
_OWN = frozenset({"items", "line_items", "recurring"})
_EMPTY: dict[str, Json] = {
    "address": dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state")),
}


def _put(made: Json, path: tuple[str, ...], value: Any) -> None:
    inner = made
    for step in path[:-1]:
        if not isinstance(inner.get(step), dict):
            inner[step] = {}
        inner = inner[step]
    inner[path[-1]] = value


def _merged(before: Json, value: Json) -> Json:
    merged = dict(before)
    for name, below in value.items():
        old = merged.get(name)
        merged[name] = _merged(old, below) if isinstance(below, dict) and isinstance(old, dict) else below
    return merged
