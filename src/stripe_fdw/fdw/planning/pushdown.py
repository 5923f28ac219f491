"""Parameters that push quals down to Stripe, and the requests for all combinations of their values."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from itertools import product
from typing import Final
from urllib.parse import quote

from msgspec import Struct

from stripe_fdw.api.request import Method, Request
from stripe_fdw.catalog.model import Column, Filter, Kind, Parent, Resource
from stripe_fdw.fdw.planning.plan import Fetch
from stripe_fdw.fdw.planning.restrictions import MAX_VALUE_LENGTH, Value, ValueSet, fits_path

_MAX_LISTS: Final = 100  # of the product of several "= any"; further conditions are left to Postgres
_MAX_VALUES: Final = 50  # in one request, where Stripe documents no limit
Parameters = Sequence[tuple[str, str]]


class PushedParameter(Struct):
    """A parameter, the column whose quals it expresses, and its values: a request for each group of them."""

    parameter: str
    column: str
    groups: tuple[tuple[Value, ...], ...]
    in_path: bool = False
    is_constant: bool = False  # rows take the column's value from the request: objects do not have it
    any_of: bool = False  # the parameter is a list: parameter[0]=a&parameter[1]=b
    overlapping: bool = False  # more than one of the groups may return an object
    extra_parameters: Parameters = ()

    @property
    def has_duplicates(self) -> bool:
        """True if the requests may return an object twice."""
        return self.overlapping and len(self.groups) > 1


def parent_parameter(
    parent: Parent, value_set: ValueSet, parameter: str | None = None
) -> PushedParameter | None:
    """Return the path parameter with the parent's ids; None if one of them cannot be part of a path."""
    if not all(map(fits_path, value_set.values)):
        return None
    groups = tuple((value,) for value in value_set.values)
    name = parameter or parent.parameter
    return PushedParameter(name, parent.column, groups, in_path=True, is_constant=True)


def filter_parameter(item: Filter, column: Column, value_set: ValueSet) -> PushedParameter | None:
    """Return the filter's parameter with the values of the quals; None if it cannot express all of them."""
    if not (item.equal or item.any_of) or column.kind in (Kind.DECIMAL, Kind.FLOAT, Kind.JSON):
        return None
    is_constant = not column.path
    values = tuple(value for value in value_set.values if _is_accepted(value, item.values))
    if len(values) < len(value_set.values) and not (is_constant or item.required):
        return None  # Stripe would refuse the value, although an object may have it
    # A row that takes the value from its request needs a request for each value.
    size = 1 if is_constant or not item.any_of else (item.max_values or _MAX_VALUES)
    return PushedParameter(
        item.parameter,
        item.column,
        tuple(values[start : start + size] for start in range(0, len(values), size)),
        is_constant=is_constant,
        any_of=item.any_of,
        overlapping=is_constant or is_multivalued(column) or not item.exact,
        extra_parameters=item.extra_parameters,
    )


def pushed_parameters(resource: Resource, value_sets: Mapping[str, ValueSet]) -> list[PushedParameter]:
    """Return the parameters of parents and filters that express the value sets.

    A filter that would make too many requests is left out, unless Stripe requires it.
    """
    parents = [
        parent_parameter(parent, value_sets[parent.column])
        for parent in resource.parents
        if parent.column in value_sets
    ]
    pushed = [parameter for parameter in parents if parameter is not None]
    lists = 1
    for parameter in pushed:
        lists *= max(1, len(parameter.groups))
    pushed_columns: set[str] = {parameter.column for parameter in pushed}
    for item in resource.filters:
        column, value_set = resource.column.get(item.column), value_sets.get(item.column)
        if column is None or value_set is None or item.column in pushed_columns:
            continue
        candidate = filter_parameter(item, column, value_set)
        if candidate is None:
            continue
        groups = max(1, len(candidate.groups))
        is_needed = item.required or candidate.is_constant
        if is_needed or 1 in (groups, lists) or lists * groups <= _MAX_LISTS:
            pushed.append(candidate)
            pushed_columns.add(item.column)
            lists *= groups
    return pushed


def fetches(
    method: Method, endpoint: str, pushed: Sequence[PushedParameter], params: Parameters, last: Parameters
) -> list[Fetch]:
    """Return one fetch for each combination of the pushed parameters' groups, in the order of the quals.

    Args:
        method: of all requests.
        endpoint: the path template of all requests.
        pushed: the parameters whose groups are combined.
        params: parameters that each request has after these.
        last: parameters that each request has at its end.
    """
    combinations = []
    for groups in product(*(parameter.groups for parameter in pushed)):
        combination = list(zip(pushed, groups, strict=True))
        path = endpoint
        sent: list[tuple[str, str]] = []
        for parameter, group in combination:
            name = parameter.parameter
            if parameter.in_path:
                path = path.replace("{" + name + "}", _path_text(group[0]))
            elif parameter.any_of:
                sent.extend((f"{name}[{index}]", parameter_text(value)) for index, value in enumerate(group))
            else:
                sent.append((name, parameter_text(group[0])))
            sent.extend(parameter.extra_parameters)
        constant_columns = tuple(
            (parameter.column, group[0]) for parameter, group in combination if parameter.is_constant
        )
        request = Request(method, endpoint, path, (*sent, *params, *last))
        combinations.append(Fetch(request, constant_columns))
    return combinations


def list_name(parameter: str) -> str:
    """Return the name of a parameter's list for one of its elements: ``statuses`` for ``statuses[0]``."""
    return re.sub(r"\[\d+\]$", "", parameter)


def placeholders(path: str) -> list[str]:
    """Return the names in braces of a path template, in their order."""
    return re.findall(r"\{([^}]*)\}", path)


def is_multivalued(column: Column) -> bool:
    """Return True if an object may have several values of the column: its path leads through a list."""
    return "data" in column.path


def parameter_text(value: Value) -> str:
    """Return a value as Stripe takes it in a parameter."""
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _path_text(value: Value) -> str:
    return quote(value, safe="") if isinstance(value, str) else str(value)


def _is_accepted(value: Value, accepted_values: Collection[str]) -> bool:
    """Return True if Stripe accepts the value for a filter with these values; an empty one accepts all."""
    if not isinstance(value, str | int | float):
        return True  # not known yet
    text = parameter_text(value)
    return 0 < len(text) <= MAX_VALUE_LENGTH and (not accepted_values or text in accepted_values)
