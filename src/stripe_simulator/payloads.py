"""Parameters of a write: checked against the operation, given their types, put into the object."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from stripe_fdw.catalog.model import Column, Kind, Operation, Parameter, Resource
from stripe_simulator import problems
from stripe_simulator.problems import StripeProblem

if TYPE_CHECKING:
    from stripe_simulator.calls import Call, Json
    from stripe_simulator.forms import Params

_INTEGER = re.compile(r"-?\d{1,18}", re.ASCII)
# Leaves of nested parameters that are numbers; all others that look like one stay text.
_NUMBERS = re.compile(
    r"(amount|quantity|interval_count|trial_period_days|days_until_due|up_to|iterations|_at|start|end|start_date"
    r"|end_date|percent_off|exp_month|exp_year|day_of_month|hour|minute|second|month)$"
)


def checked(call: Call, operation: Operation, needed: tuple[str, ...] = ()) -> Params:
    """The parameters with their types.

    Raises StripeProblem where one is unknown, missing, empty though it cannot be unset, of a wrong type or
    names an object that does not exist.
    """
    known = {parameter.name: parameter for parameter in operation.parameters}
    unknown = [name for name in call.params if name not in known and name != "expand"]
    if unknown:
        raise problems.unknown_parameters(unknown)
    required = [parameter.name for parameter in operation.parameters if parameter.required]
    for name in (*required, *needed):
        if call.params.get(name) in (None, ""):
            raise problems.missing_parameter(name)
    columns = call.route.resource.column if call.route.resource else {}
    typed: Params = {}
    for name, value in call.params.items():
        if name == "expand":
            continue
        parameter = known[name]
        if value == "" and not parameter.unsettable:
            raise problems.empty_parameter(name)
        typed[name] = None if value == "" else _typed(parameter, columns.get(name), value)
        if isinstance(typed[name], str):
            _check_reference(call, name, columns.get(name), typed[name])
    call.begun = True
    return typed


def _typed(parameter: Parameter, column: Column | None, value: Any) -> Any:
    name = parameter.name
    kind = parameter.kind
    if column is not None and column.kind is Kind.TIME:
        kind = Kind.TIME
    if isinstance(value, dict | list):
        if kind is not Kind.JSON:
            raise StripeProblem(f"Invalid string: {value}", param=name)
        return value if name == "metadata" else _leaves(value, name)
    if parameter.values and value not in parameter.values:
        raise problems.not_one_of(name, parameter.values)
    if kind is Kind.JSON and name == "metadata":
        raise StripeProblem("Invalid object", param=name)
    if kind is Kind.TIME and value == "now":
        return value
    return _CONVERTERS[kind](name, value) if kind in _CONVERTERS else value


def _integer(name: str, value: str) -> int:
    if not _INTEGER.fullmatch(value):
        raise problems.not_an_integer(name, value)
    return int(value)


def _boolean(name: str, value: str) -> bool:
    if value not in {"true", "false"}:
        raise StripeProblem(f"Invalid boolean: {value}", param=name)
    return value == "true"


def _float(name: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise StripeProblem(f"Invalid decimal: {value}", param=name) from None


def _leaves(value: Any, name: str) -> Any:
    """Nested values with their types, as far as their names tell."""
    if isinstance(value, dict):
        return {key: below if key == "metadata" else _leaves(below, key) for key, below in value.items()}
    if isinstance(value, list):
        return [_leaves(below, name) for below in value]
    if value in {"true", "false"}:
        return value == "true"
    if value == "":
        return None
    return int(value) if _NUMBERS.search(name) and _INTEGER.fullmatch(value) else value


_CONVERTERS: Mapping[Kind, Callable[[str, str], Any]] = {
    Kind.INTEGER: _integer,
    Kind.TIME: _integer,
    Kind.BOOLEAN: _boolean,
    Kind.FLOAT: _float,
    Kind.JSON: lambda name, value: _leaves(value, name),
}


def _check_reference(call: Call, name: str, column: Column | None, value: str) -> None:
    targets = [one for one in (column.references if column else ()) if call.world.has(one)]
    if not targets:
        return
    for target in targets:
        position = call.world.collection(target).position(value)
        if position is not None:
            return
    if len(targets) == 1:
        raise problems.no_object(call.world.catalog.resource[targets[0]].object, value, name, status=400)


def apply(resource: Resource, made: Json, params: Params) -> None:
    """Put the parameters into the object, where it has a field of that name."""
    for name, value in params.items():
        if name == "metadata":
            made["metadata"] = _merged_metadata(made.get("metadata") or {}, value)
        elif name in {"items", "recurring"} or name not in resource.column:
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


def _merged_metadata(before: dict[str, str], value: Any) -> dict[str, str]:
    """New keys join the old; an empty value removes a key; nothing at all removes all."""
    if value is None:
        return {}
    if isinstance(value, list):
        value = {str(at): one for at, one in enumerate(value)}
    merged = dict(before)
    for name, text in value.items():
        if not isinstance(text, str):
            raise StripeProblem("Metadata values must be strings", param=f"metadata[{name}]")
        if text == "":
            merged.pop(name, None)
        else:
            merged[name] = text
    return merged
