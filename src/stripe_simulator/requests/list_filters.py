"""The parameters of a list that select objects, as conditions that can be tested and narrowed."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stripe_fdw.catalog.model import Column, Filter, Kind, Resource
from stripe_simulator.errors import (
    StripeProblem,
    empty_parameter,
    missing_parameter,
    not_an_integer,
    not_one_of,
    unknown_parameters,
)

if TYPE_CHECKING:
    from stripe_simulator.requests.forms import Params
    from stripe_simulator.world.generator import Generator, Json

_PAGE = frozenset({"limit", "starting_after", "ending_before", "expand"})
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "gt": lambda a, b: a > b,
    "gte": lambda a, b: a >= b,
    "lt": lambda a, b: a < b,
    "lte": lambda a, b: a <= b,
}
_INTEGER = re.compile(r"-?\d{1,18}", re.ASCII)


def values_at(made: Json, path: tuple[str, ...]) -> list[Any]:
    """All values at a path of the object; lists on the way are entered."""
    found: list[Any] = [made]
    for step in path:
        below: list[Any] = []
        for value in found:
            inner = value.get(step) if isinstance(value, dict) else None
            below += inner if isinstance(inner, list) else [inner]
        found = below
    return [value["id"] if isinstance(value, dict) and "id" in value else value for value in found]


@dataclass(frozen=True, slots=True)
class Condition:
    """A column is one of `equal`, or lies within `bounds` (each an operator and a limit)."""

    column: Column
    equal: tuple[Any, ...] = ()
    bounds: tuple[tuple[str, int], ...] = ()
    negated: bool = False

    def _accepts(self, value: Any) -> bool:
        if self.equal:
            return (value in self.equal) is not self.negated
        return value is not None and all(_COMPARE[name](value, limit) for name, limit in self.bounds)

    def holds(self, made: Json) -> bool:
        """Whether an object satisfies it; one that does not hold the column does."""
        if not self.column.path:
            return True
        values = values_at(made, self.column.path)
        check = all if self.negated else any
        return check(map(self._accepts, values))

    def tester(self, generator: Generator) -> Callable[[int], bool]:
        """The same for a generated object, from its index; without making the object where possible."""
        field = generator.fields.get(self.column.name)
        if field is None:
            return lambda index: self.holds(generator.object(index))
        value = field.value
        if field.many:
            return lambda index: any(map(self._accepts, value(index)))
        if self.equal and not self.negated:
            if len(self.equal) == 1:
                (only,) = self.equal
                return lambda index: bool(value(index) == only)
            return lambda index: value(index) in self.equal
        return lambda index: self._accepts(value(index))

    def ranges(self, generator: Generator) -> list[range] | None:
        """The indexes of generated objects that may satisfy it; None where they are not known."""
        field = generator.fields.get(self.column.name)
        if not self.equal or self.negated or field is None or field.ranges is None:
            return None
        found: list[range] = []
        for value in self.equal:
            ranges = field.ranges(value)
            if ranges is None:
                return None
            found += ranges
        return found

    def always(self, generator: Generator) -> bool | None:
        """What it says of every generated object; None where that differs."""
        field = generator.fields.get(self.column.name)
        if field is None:
            return None
        if field.constant:
            return self._accepts(field.value(0))
        if field.span is not None and not self.negated:
            low, high = self._times()
            return False if low > field.span[1] or high < field.span[0] else None
        return None

    def _times(self) -> tuple[float, float]:
        low, high = float("-inf"), float("inf")
        for name, limit in self.bounds:
            match name:
                case "gte":
                    low = max(low, limit)
                case "gt":
                    low = max(low, limit + 1)
                case "lte":
                    high = min(high, limit)
                case _:
                    high = min(high, limit - 1)
        if self.equal and not self.negated:
            low, high = max(low, min(self.equal)), min(high, max(self.equal))
        return low, high

    def _window(self, generator: Generator) -> tuple[int, int] | None:
        field = generator.fields.get(self.column.name)
        return None if self.negated or field is None else field.window

    def decided_by_range(self, generator: Generator) -> bool:
        """Whether `narrow` alone decides it, so that no object needs a test."""
        return self._window(generator) == (0, 0) and (not self.equal or len(self.equal) == 1)

    def narrow(self, generator: Generator, low: int, high: int) -> tuple[int, int]:
        """The part of [low, high) that can satisfy it: times rise with the index."""
        window = self._window(generator)
        if window is None:
            return low, high
        earliest, latest = self._times()
        since = generator.population.first_since
        if earliest > float("-inf"):
            low = max(low, since(earliest - window[1]))
        if latest < float("inf"):
            high = min(high, since(latest - window[0] + 1))
        return low, high


def conditions_of(
    resource: Resource, params: Params, *, also: frozenset[str] = frozenset()
) -> list[Condition]:
    """The conditions that the parameters of a list stand for.

    Raises StripeProblem for a parameter that the list does not have, that is missing or has a bad value.
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
            raise StripeProblem(f"Invalid string: {value}", param=name)
        unknown = [f"{name}[{key}]" for key in value if key not in _COMPARE]
        if unknown:
            raise unknown_parameters(unknown)
        bounds = tuple((key, _integer(f"{name}[{key}]", limit)) for key, limit in value.items())
        return Condition(column, bounds=bounds)
    if isinstance(value, list):
        if not item.any_of:
            raise StripeProblem(f"Invalid string: {value}", param=name)
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
        raise StripeProblem(f"Invalid string: {value}", param=item.parameter)
    literals = column.values or item.values
    if literals and value not in literals:
        words = tuple(dict.fromkeys((*literals, *_MORE.get((resource_name, item.parameter), ()))))
        raise not_one_of(item.parameter, words)
    match column.kind:
        case Kind.INTEGER | Kind.TIME:
            return _integer(item.parameter, value)
        case Kind.BOOLEAN:
            if value not in {"true", "false"}:
                raise StripeProblem(f"Invalid boolean: {value}", param=item.parameter)
            return value == "true"
        case _:
            return value
