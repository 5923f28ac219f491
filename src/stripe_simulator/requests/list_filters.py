"""List parameters that select objects, as conditions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from stripe_fdw.catalog.model import Column, Filter, Kind, Resource
from stripe_simulator.errors import (
    StripeError,
    empty_parameter,
    missing_parameter,
    not_an_integer,
    not_one_of,
)
from stripe_simulator.requests.unknown_parameters import reject_unknown_parameters
from stripe_simulator.world.conditions import COMPARISONS, Condition

if TYPE_CHECKING:
    from stripe_simulator.requests.forms import Params

_PAGING = frozenset({"limit", "starting_after", "ending_before", "expand"})
_INTEGER = re.compile(r"-?\d{1,18}", re.ASCII)


def conditions_of(
    resource: Resource, params: Params, *, also: frozenset[str] = frozenset()
) -> list[Condition]:
    """Return the conditions that the parameters of a list stand for.

    `also` are names of further parameters, which are ignored. Raises StripeError for a parameter that the
    list does not have, that is missing or has a bad value.
    """
    conditions = []
    filters: set[str] = set()
    for item in resource.filters:
        head, value = _sent(item.parameter, params)
        filters.add(head)
        if value is None:
            if item.required and (resource.name, item.parameter) not in _NOT_REQUIRED:
                raise missing_parameter(head)
            continue
        condition = _condition(resource, item, value)
        if condition is not None:
            conditions.append(condition)
    for name in _UNDECLARED.get(resource.name, ()):
        filters.add(name)
        if name in params:
            conditions.append(_undeclared_condition(resource, name, params[name]))
    paging = _PAGING if resource.paged else frozenset({"expand"})
    reject_unknown_parameters(params, {*filters, *paging, *also})
    return conditions + _default_conditions(resource, params)


# Filters that the catalog requires because the list is empty without them.
_NOT_REQUIRED = frozenset({("payment_method", "customer")})
# Filters that the catalog leaves out because the product cannot use them, by resource.
_UNDECLARED: dict[str, tuple[str, ...]] = {"balance_transaction": ("source",)}
_NO_OBJECT = ""  # no column has this value


def _undeclared_condition(resource: Resource, name: str, value: Any) -> Condition:
    """Return the condition of an undeclared filter. The transactions of a dispute are not found by it."""
    if not isinstance(value, str):
        raise StripeError(f"Invalid string: {value}", param=name)
    if value == "":
        raise empty_parameter(name)
    return Condition(resource.column[name], (_NO_OBJECT if value.startswith(("du_", "dp_")) else value,))


def _sent(parameter: str, params: Params) -> tuple[str, Any]:
    """Return the first step of a filter's name, and the value sent for the filter."""
    head, *rest = re.findall(r"[^\[\]]+", parameter)
    value: Any = params.get(head)
    for step in rest:
        value = value.get(step) if isinstance(value, dict) else None
    return head, value


def _condition(resource: Resource, item: Filter, value: Any) -> Condition | None:
    """Return the condition for the value of a filter; None for a value that selects all objects."""
    name, column = item.parameter, resource.column[item.column]
    if value == "":
        raise empty_parameter(name)
    if isinstance(value, dict):
        if not item.range:
            raise StripeError(f"Invalid string: {value}", param=name)
        reject_unknown_parameters(value, COMPARISONS, inside=name)
        bounds = tuple((key, _integer(f"{name}[{key}]", limit)) for key, limit in value.items())
        return Condition(column, bounds=bounds)
    if isinstance(value, list):
        if not item.any_of:
            raise StripeError(f"Invalid string: {value}", param=name)
        return Condition(column, tuple(_converted(resource.name, item, column, element) for element in value))
    if (resource.name, name) == ("invoiceitem", "pending"):  # on no invoice yet
        is_pending = _converted(resource.name, item, column, value)
        return Condition(resource.column["invoice"], (None,), negated=not is_pending)
    statuses = _STATUS_GROUPS.get((resource.name, item.parameter, value))
    if statuses is not None:
        return Condition(column, statuses) if statuses else None
    return Condition(column, (_converted(resource.name, item, column, value),))


# Values beyond those of the column, by resource and parameter.
_EXTRA_VALUES = {("subscription", "status"): ("all", "ended")}
# Filters that take any value, which then fits no object.
_UNCHECKED = frozenset({("balance_transaction", "type"), ("payout", "status")})
# Values of a status parameter that stand for several statuses; an empty tuple for all.
_STATUS_GROUPS: dict[tuple[str, str, str], tuple[str, ...]] = {
    ("subscription", "status", "all"): (),
    ("tax_registration", "status", "all"): (),
    ("subscription", "status", "ended"): ("canceled", "incomplete_expired"),
}


def _default_conditions(resource: Resource, params: Params) -> list[Condition]:
    """Return the conditions that a list has by default, without parameters that switch them off."""
    return [
        Condition(resource.column[column], values, negated=negated)
        for name, (column, values, negated, unless) in _DEFAULTS
        if name == resource.name and not any(parameter in params for parameter in unless)
    ]


# Defaults of lists, which leave out canceled subscriptions, inactive prices, objects on a test clock, custom
# payment methods, and all payment methods where no customer is named (recorded): column, values, negated, and
# the parameters that switch a default off.
_DEFAULTS: tuple[tuple[str, tuple[str, tuple[Any, ...], bool, tuple[str, ...]]], ...] = (
    ("subscription", ("status", ("canceled",), True, ("status",))),
    ("subscription", ("test_clock", (None,), False, ("test_clock", "customer"))),
    ("customer", ("test_clock", (None,), False, ("test_clock",))),
    ("quote", ("test_clock", (None,), False, ("test_clock", "customer"))),
    ("price", ("active", (True,), False, ("active",))),
    ("tax_id", ("owner_type", ("self",), False, ("owner",))),
    ("payment_method", ("type", ("custom",), True, ("type",))),
    ("payment_method", ("customer", (_NO_OBJECT,), False, ("customer", "customer_account"))),
)


def _integer(name: str, value: Any) -> int:
    if not isinstance(value, str) or not _INTEGER.fullmatch(value):
        raise not_an_integer(name, str(value))
    return int(value)


def _converted(resource_name: str, item: Filter, column: Column, value: Any) -> Any:
    """Return a value with the type of the column. Raises StripeError where it cannot be converted."""
    if not isinstance(value, str):
        raise StripeError(f"Invalid string: {value}", param=item.parameter)
    literals = column.values or item.values
    if literals and value not in literals and (resource_name, item.parameter) not in _UNCHECKED:
        allowed = tuple(dict.fromkeys((*literals, *_EXTRA_VALUES.get((resource_name, item.parameter), ()))))
        raise not_one_of(item.parameter, allowed)
    match column.kind:
        case Kind.INTEGER | Kind.TIME:
            return _integer(item.parameter, value)
        case Kind.BOOLEAN:
            if value not in {"true", "false"}:
                raise StripeError(f"Invalid boolean: {value}", param=item.parameter)
            return value == "true"
        case _:
            return value
