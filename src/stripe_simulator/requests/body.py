"""Parameters of a write: validated against the operation, applied to the object."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from stripe_fdw.catalog.model import Kind, Operation, Resource
from stripe_simulator import errors
from stripe_simulator.requests.parameters import ParameterParser, merge_metadata
from stripe_simulator.requests.unknown_parameters import reject_unknown_parameters

if TYPE_CHECKING:
    from stripe_simulator.requests.forms import Params
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.types import Json


def validate_parameters(request: ApiRequest, operation: Operation, required: tuple[str, ...] = ()) -> Params:
    """Return the parameters with their types, without `expand`, and mark the request as begun.

    `required` are parameters that Stripe requires although the operation does not declare it. Raises
    StripeError where a parameter is unknown, missing, empty though it cannot be unset, of a wrong type, or
    names an object that does not exist.
    """
    declared = {parameter.name: parameter for parameter in operation.parameters if parameter.name != "expand"}
    ignored = _IGNORED.get((operation.method, operation.path), frozenset({"expand"}))
    sent = {name: value for name, value in request.params.items() if name not in ignored}
    reject_unknown_parameters(sent, declared)
    for name in required:
        if sent.get(name) in (None, ""):
            raise errors.missing_parameter(name)
    parser = ParameterParser(
        request.account, operation.name == "update", _NOT_FOUND.get(operation.path, frozenset())
    )
    params = parser.fields(declared, "", sent)
    request.begun = True
    return params


# Parameters without an effect, those of an operation with undeclared ones that are accepted.
_IGNORED = {("POST", "/v1/charges"): frozenset({"expand", "payment_method"})}


def validate_route_parameters(request: ApiRequest) -> Params:
    """Return the parameters with their types, validated against the operation of the request's route.

    Raises StripeError as `validate_parameters` does.
    """
    assert request.route.operation is not None
    return validate_parameters(request, request.route.operation)


def apply_parameters(resource: Resource, target: Json, params: Params) -> None:
    """Set the parameters in an object, where it has a field of that name."""
    for name, value in params.items():
        if name == "metadata":
            target["metadata"] = merge_metadata(target.get("metadata") or {}, value)
        elif name in _SET_BY_HANDLERS or name not in resource.column:
            continue
        elif resource.column[name].path != (name,):
            set_path(target, resource.column[name].path, value)
        elif isinstance(value, dict):
            before = target.get(name)
            target[name] = _merge(before if isinstance(before, dict) else _EMPTY.get(name, {}), value)
        elif value is None and isinstance(target.get(name), list):
            target[name] = []
        elif resource.column[name].kind is Kind.DECIMAL:
            target[name] = str(value)
        else:
            target[name] = value


# Parameters whose object, where there is none, is answered with 404, by path (recorded); others with 400.
_NOT_FOUND = {
    "/v1/refunds": frozenset({"charge"}),
    "/v1/subscriptions": frozenset({"customer"}),
}
# The handlers of operations set these: they become lists, or are completed.
_SET_BY_HANDLERS = frozenset({"items", "line_items", "recurring"})
_EMPTY: dict[str, Json] = {
    "address": dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state")),
}


def set_path(target: Json, path: Sequence[str], value: Any) -> None:
    """Set a value inside the hashes of an object; hashes on the way are created."""
    inner = target
    for step in path[:-1]:
        if not isinstance(inner.get(step), dict):
            inner[step] = {}
        inner = inner[step]
    inner[path[-1]] = value


def _merge(before: Json, value: Json) -> Json:
    """Return a hash with the keys of another merged in, at all depths."""
    merged = dict(before)
    for name, below in value.items():
        old = merged.get(name)
        merged[name] = _merge(old, below) if isinstance(below, dict) and isinstance(old, dict) else below
    return merged
