"""Tables of objects that Stripe does not list: requests for those inside others, and join keys."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from stripe_fdw.api.expand import with_expansions
from stripe_fdw.catalog.model import Resource
from stripe_fdw.fdw.planning.plan import Fetch
from stripe_fdw.fdw.planning.pushdown import PushedParameter, fetches
from stripe_fdw.fdw.planning.restrictions import ValueSet, fits_path

_ROWS_PER_HOLDER: Final = 2.0  # a customer has few cards and discounts

PathKeys = list[tuple[tuple[str, ...], float]]
"""Columns by which a nested loop may ask, together, with the rows for each of their values."""


def held_fetches(resource: Resource, value_set: ValueSet) -> tuple[Fetch, ...]:
    """Return the requests that have the objects inside those with these ids; none where none can exist."""
    groups = tuple((value,) for value in value_set.values if fits_path(value))
    found = []
    for holder in resource.holders if groups else ():
        if holder.column != value_set.column:
            continue
        pushed = PushedParameter(
            holder.parameter, holder.column, groups, in_path=holder.in_path, is_constant=True
        )
        for fetch in fetches("GET", holder.path, [pushed], holder.extra_parameters, ()):
            expand = (holder.expand,) if holder.expand else ()
            request = with_expansions(fetch.request, expand, in_list=holder.is_list)
            found.append(replace(fetch, request=request))
    return tuple(found)


def unlisted_keys(resource: Resource) -> PathKeys | None:
    """Return the columns of a table without a list, with the rows for each value; None where it has a list.

    An object that is the only one of its account has none: one request has all rows of its table.
    """
    if resource.is_listed or resource.preview:
        return None
    if resource.holders:
        columns = dict.fromkeys(holder.column for holder in resource.holders)
        return [((column,), _ROWS_PER_HOLDER) for column in columns]
    if resource.single:
        required = [item.column for item in resource.filters if item.required]
        substitutes = [item.substitute for item in resource.filters if item.substitute]
        return [
            ((name,), 1.0)
            for name in (*(parent.column for parent in resource.parents), *required, *substitutes)
        ]
    return [((*(parent.column for parent in resource.parents), "id"), 1.0)]
