"""The choice between a request for each value of a long list, and one list that has all of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from msgspec.structs import replace

from stripe_fdw.api.request import PARALLEL
from stripe_fdw.catalog.model import Resource
from stripe_fdw.fdw.planning.estimates import estimate_scan
from stripe_fdw.fdw.planning.plan import Lists, ListThenRetrieve, ReadPlan, Retrieve
from stripe_fdw.fdw.planning.planner import plan_read
from stripe_fdw.fdw.planning.quals import ANY, Qual, SortKey
from stripe_fdw.fdw.planning.statistics import TableStatistics

_FEW: Final = PARALLEL  # values whose requests are all under way at once


def choose_read(
    resource: Resource,
    quals: Sequence[Qual],
    statistics: TableStatistics,
    *,
    sortkeys: Sequence[SortKey] = (),
    limit: int | None = None,
    use_search: bool = False,
    named: Collection[str] = (),
    resources: Mapping[str, Resource],
) -> ReadPlan:
    """Plan a read, with the fewest requests where a column has a long list of values.

    A list that is read instead of objects by their ids may not show all of them, so those that it lacks are
    retrieved; it is not read where it cannot expand what the query needs. A filter is left out only if the
    list without it shows the same objects.

    Args:
        resource: the resource to read.
        quals: normalised quals, all of which hold for the selected rows.
        statistics: what has been learned of the resource.
        sortkeys: the order that the rows must come in, as ``planner.sortable`` returned it.
        limit: how many rows are likely to be read, if known.
        use_search: True if the search API may be used where no list filter fits.
        named: the columns of which the query needs the values.
        resources: all resources by name.

    Raises:
        MissingQualError: the resource can only be read with a qual that is not there.
    """

    def planned(unpushed: frozenset[str]) -> ReadPlan:
        return plan_read(
            resource,
            quals,
            sortkeys=sortkeys,
            limit=limit,
            use_search=use_search,
            named=named,
            resources=resources,
            unpushed=unpushed,
        )

    def requests(plan: ReadPlan) -> float:
        estimated = estimate_scan(plan, quals, statistics, resources).requests
        is_lazy = isinstance(plan.access, Retrieve) and limit is not None
        return min(estimated, limit or 1) if is_lazy else estimated

    best = planned(frozenset())
    for column in _columns_with_many_values(resource, best):
        other = _instead(best, planned(frozenset({column})))
        if other is not None and requests(other) < requests(best):
            best = other
    return best


def _columns_with_many_values(resource: Resource, plan: ReadPlan) -> list[str]:
    """Return the columns for each of whose values the plan makes a request, if it may do without."""
    if not isinstance(plan.access, Retrieve | Lists) or len(plan.access.fetches) <= _FEW:
        return []
    names = [
        qual.column
        for qual in plan.pushed
        if qual.operator == ANY and isinstance(qual.value, tuple) and len(qual.value) > _FEW
    ]
    if isinstance(plan.access, Retrieve):
        return ["id"] if "id" in names and resource.is_listed and not resource.parents else []
    return [name for name in dict.fromkeys(names) if _may_be_left_out(resource, name)]


def _may_be_left_out(resource: Resource, name: str) -> bool:
    """Return True if the list without the filter on the column shows all objects that it shows with it."""
    item = resource.filter.get(name)
    return (
        item is not None
        and not item.required
        and not item.reveals
        and not item.extra_parameters
        and bool(resource.column[name].path)
    )


def _instead(plan: ReadPlan, other: ReadPlan) -> ReadPlan | None:
    """Return the other plan, completed by what it may lack of the first; None if it cannot stand for it."""
    if not isinstance(other.access, Lists) or other.not_expanded:
        return None
    if isinstance(plan.access, Retrieve):
        return replace(other, access=ListThenRetrieve(other.access, plan.access))
    return other
