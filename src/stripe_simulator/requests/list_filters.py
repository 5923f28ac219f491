"""The parameters of a list that select objects, as conditions that can be tested and narrowed."""

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
    unknown_parameters,
)
from stripe_simulator.world.conditions import COMPARISONS, Condition

if TYPE_CHECKING:
    from stripe_simulator.requests.forms import Params

_PAGE = frozenset({"limit", "starting_after", "ending_before", "expand"})
_INTEGER = re.compile(r"-?\d{1,18}", re.ASCII)


def conditions_of(
    resource: Resource, params: Params, *, also: frozenset[str] = frozenset()
) -> list[Condition]:
    """The conditions that the parameters of a list stand for.

    Raises StripeError for a parameter that the list does not have, that is missing or has a bad value.
    """
    found = []
    known: set[str] = set()
    for item in resource.filters:
        head, value = _sent(item.parameter, params)
        known.add(head)
        if value is None:
            if item.required:
                raise missing_parameter(head)
            continue
        condition = _condition(resource, item, value)
        if condition is not None:
            found.append(condition)
    paging = _PAGE if resource.paged else frozenset({"expand"})
    unknown = [name for name in params if name not in known and name not in paging and name not in also]
    if unknown:
        raise unknown_parameters(unknown)
    found += _defaults(resource, params)
    return found


def _sent(parameter: str, params: Params) -> tuple[str, Any]:
    """The first step of a filter's name, and the value that came for it."""
    head, *rest = re.findall(r"[^\[\]]+", parameter)
    value: Any = params.get(head)
    for step in rest:
        value = value.get(step) if isinstance(value, dict) else None
    return head, value


def _condition(resource: Resource, item: Filter, value: Any) -> Condition | None:
    name, column = item.parameter, resource.column[item.column]
    if value == "":
        raise empty_parameter(name)
    if isinstance(value, dict):
        if not item.range:
            raise StripeError(f"Invalid string: {value}", param=name)
        unknown = [f"{name}[{key}]" for key in value if key not in COMPARISONS]
        if unknown:
            raise unknown_parameters(unknown)
        bounds = tuple((key, _integer(f"{name}[{key}]", limit)) for key, limit in value.items())
        return Condition(column, bounds=bounds)
    if isinstance(value, list):
        if not item.any_of:
            raise StripeError(f"Invalid string: {value}", param=name)
        return Condition(column, tuple(_converted(resource.name, item, column, one) for one in value))
    if (resource.name, name) == ("invoiceitem", "pending"):  # on no invoice yet
        waits = _converted(resource.name, item, column, value)
        return Condition(resource.column["invoice"], (None,), negated=not waits)
    special = _SPECIAL.get((resource.name, item.parameter, value))
    if special is not None:
        return Condition(column, special) if special else None
    return Condition(column, (_converted(resource.name, item, column, value),))


_MORE = {("subscription", "status"): ("all", "ended")}
# Words of subscriptions' status that stand for several; none at all means no condition.
_SPECIAL: dict[tuple[str, str, str], tuple[str, ...]] = {
    ("subscription", "status", "all"): (),
    ("tax_registration", "status", "all"): (),
    ("subscription", "status", "ended"): ("canceled", "incomplete_expired"),
}


def _defaults(resource: Resource, params: Params) -> list[Condition]:
    """What a list hides when it is not asked otherwise."""
    found = []
    for name, (column, values, negated, unless) in _HIDES:
        if name == resource.name and not any(one in params for one in unless):
            found.append(Condition(resource.column[column], values, negated=negated))
    return found


# Documented list defaults: canceled subscriptions, inactive prices, custom payment methods, and whatever is
# on a test clock, unless one of the parameters is there.
_HIDES: tuple[tuple[str, tuple[str, tuple[Any, ...], bool, tuple[str, ...]]], ...] = (
    ("subscription", ("status", ("canceled",), True, ("status",))),
    ("subscription", ("test_clock", (None,), False, ("test_clock", "customer"))),
    ("customer", ("test_clock", (None,), False, ("test_clock",))),
    ("quote", ("test_clock", (None,), False, ("test_clock", "customer"))),
    ("price", ("active", (True,), False, ("active",))),
    ("tax_id", ("owner_type", ("self",), False, ("owner",))),
    ("payment_method", ("type", ("custom",), True, ("type",))),
)


def _integer(name: str, value: Any) -> int:
    if not isinstance(value, str) or not _INTEGER.fullmatch(value):
        raise not_an_integer(name, str(value))
    return int(value)


def _converted(resource_name: str, item: Filter, column: Column, value: Any) -> Any:
    if not isinstance(value, str):
        raise StripeError(f"Invalid string: {value}", param=item.parameter)
    literals = column.values or item.values
    if literals and value not in literals:
        words = tuple(dict.fromkeys((*literals, *_MORE.get((resource_name, item.parameter), ()))))
        raise not_one_of(item.parameter, words)
    match column.kind:
        case Kind.INTEGER | Kind.TIME:
            return _integer(item.parameter, value)
        case Kind.BOOLEAN:
            if value not in {"true", "false"}:
                raise StripeError(f"Invalid boolean: {value}", param=item.parameter)
            return value == "true"
        case _:
            return value
