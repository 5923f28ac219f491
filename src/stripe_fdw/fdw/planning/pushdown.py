"""Multiplies out what a list is asked for: a request for each combination of its parameters' values."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final
from urllib.parse import quote

from stripe_fdw.api.request import Method, Request
from stripe_fdw.catalog.model import Column, Filter, Kind, Parent, Resource
from stripe_fdw.fdw.planning.plan import Fetch
from stripe_fdw.fdw.planning.restrictions import MAX_VALUE_LENGTH, Value, ValueSet, fits_path

_STREAMS_AT_MOST: Final = 100  # of the product of several "= any": a condition beyond is left to Postgres
_MANY_AT_MOST: Final = 50  # values in one request, where Stripe names no limit
Params = Sequence[tuple[str, str]]


@dataclass(slots=True)
class PushedParameter:
    """A parameter and the values it is sent with: each group in a request of its own."""

    parameter: str
    column: str
    groups: tuple[tuple[Value, ...], ...]
    in_path: bool = False
    filled: bool = False  # rows get the value from the request, for their objects do not know it
    many: bool = False  # the parameter is a list: parameter[0]=a&parameter[1]=b
    overlapping: bool = False  # an object may be found with more than one of the values
    also: Params = ()

    @property
    def repeats(self) -> bool:
        """Whether an object may come twice."""
        return self.overlapping and len(self.groups) > 1


def parent_parameter(
    parent: Parent, choice: ValueSet, parameter: str | None = None
) -> PushedParameter | None:
    """The parent's ids in the path; None if one of them cannot stand there."""
    if not all(map(fits_path, choice.values)):
        return None
    values = tuple((value,) for value in choice.values)
    return PushedParameter(parameter or parent.parameter, parent.column, values, in_path=True, filled=True)


def filter_parameter(item: Filter, column: Column, choice: ValueSet) -> PushedParameter | None:
    """The filter with the values that the quals leave; None if it cannot say them all."""
    if not (item.equal or item.any_of) or column.kind in (Kind.DECIMAL, Kind.FLOAT, Kind.JSON):
        return None
    filled = not column.path
    values = tuple(value for value in choice.values if _accepted(value, item.values))
    if len(values) < len(choice.values) and not (filled or item.required):
        return None  # Stripe would refuse the value, yet an object may have it
    # A row that gets its value from the request needs a request for each value.
    size = 1 if filled or not item.any_of else (item.max_values or _MANY_AT_MOST)
    return PushedParameter(
        item.parameter,
        item.column,
        tuple(values[start : start + size] for start in range(0, len(values), size)),
        filled=filled,
        many=item.any_of,
        overlapping=filled or is_multivalued(column) or not item.exact,
        also=item.extra_parameters,
    )


def pushed_parameters(resource: Resource, given: Mapping[str, ValueSet]) -> list[PushedParameter]:
    """The parents and filters that the quals give values for, unless the requests become too many."""
    parents = [
        parent_parameter(parent, given[parent.column])
        for parent in resource.parents
        if parent.column in given
    ]
    axes = [axis for axis in parents if axis is not None]
    streams = 1
    for axis in axes:
        streams *= max(1, len(axis.groups))
    taken: set[str] = {axis.column for axis in axes}
    for item in resource.filters:
        column, choice = resource.column.get(item.column), given.get(item.column)
        if column is None or choice is None or item.column in taken:
            continue
        new = filter_parameter(item, column, choice)
        if new is None:
            continue
        count = max(1, len(new.groups))
        if item.required or new.filled or 1 in (count, streams) or streams * count <= _STREAMS_AT_MOST:
            axes.append(new)
            taken.add(item.column)
            streams *= count
    return axes


def fetches(
    method: Method, endpoint: str, axes: Sequence[PushedParameter], params: Params, last: Params
) -> list[Fetch]:
    """One fetch for each combination of the axes' groups, in the order in which these were given."""
    found = []
    for groups in product(*(axis.groups for axis in axes)):
        chosen = list(zip(axes, groups, strict=True))
        path = endpoint
        sent: list[tuple[str, str]] = []
        for axis, group in chosen:
            if axis.in_path:
                path = path.replace("{" + axis.parameter + "}", _in_path(group[0]))
            elif axis.many:
                sent.extend(
                    (f"{axis.parameter}[{index}]", parameter_text(value)) for index, value in enumerate(group)
                )
            else:
                sent.append((axis.parameter, parameter_text(group[0])))
            sent.extend(axis.also)
        constant_columns = tuple((axis.column, group[0]) for axis, group in chosen if axis.filled)
        found.append(Fetch(Request(method, endpoint, path, (*sent, *params, *last)), constant_columns))
    return found


def placeholders(path: str) -> list[str]:
    """The names in braces of a path template, in their order."""
    return re.findall(r"\{([^}]*)\}", path)


def is_multivalued(column: Column) -> bool:
    """Whether an object may have several values of the column: its path goes through a list."""
    return "data" in column.path


def parameter_text(value: Value) -> str:
    """A value as Stripe takes it in a parameter."""
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _in_path(value: Value) -> str:
    return quote(value, safe="") if isinstance(value, str) else str(value)


def _accepted(value: Value, literals: Collection[str]) -> bool:
    """Whether Stripe takes the value for a filter with these literals; none means any."""
    if not isinstance(value, str | int | float):
        return True  # not known yet
    written = parameter_text(value)
    return 0 < len(written) <= MAX_VALUE_LENGTH and (not literals or written in literals)
