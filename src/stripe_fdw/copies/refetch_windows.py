"""Objects in doubt that a list shows with fewer requests than they would take one by one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import psycopg

from stripe_fdw.api.request import PAGE, Request
from stripe_fdw.catalog.model import Resource
from stripe_fdw.copies.copied_columns import expanded_columns
from stripe_fdw.copies.doubts import Doubt
from stripe_fdw.copies.lists import NotListedError, list_parent, list_requests
from stripe_fdw.database.schemas import Schemas


@dataclass(frozen=True, slots=True)
class Window:
    """Doubtful objects that were created one after the other, with few others in between.

    ``first`` and ``last`` are their times of creation, in seconds since 1970; ``rows`` is how many rows the
    copy has from the first to the last.
    """

    first: int
    last: int
    rows: int
    doubts: tuple[Doubt, ...]

    def requests(self, resource: Resource) -> tuple[Request, ...]:
        """Return the requests for the lists that have the objects."""
        bounds = {"created[gte]": self.first, "created[lte]": self.last}
        return tuple(request.with_params(**bounds) for request in list_requests(resource))


def can_list_windows(resource: Resource) -> bool:
    """Return True if lists by time of creation show objects as well as requests for each do."""
    created = resource.filter.get("created")
    try:
        has_own_list = list_parent(resource) is None
    except NotListedError:
        return False
    return (
        has_own_list
        and resource.paged
        and resource.newest_first
        and created is not None
        and created.range
        and all(column.expanded_in_lists for column in expanded_columns(resource))
    )


def plan_windows(
    connection: psycopg.Connection,
    schemas: Schemas,
    resource: Resource,
    doubts: Sequence[Doubt],
    account: str,
) -> list[Window]:
    """Return the windows that take fewer requests than their objects would one by one.

    Objects of which the copy has no row are in none.
    """
    if not can_list_windows(resource):
        return []
    table, lists = schemas.table(resource), len(list_requests(resource))
    by_id = {doubt.key: doubt for doubt in doubts if doubt.created_since is None}
    created = connection.execute(
        f"select id, floor(extract(epoch from created))::bigint from {table}"
        " where _account = %s and id = any (%s) and created is not null order by 2, 1".encode(),
        (account, list(by_id)),
    ).fetchall()
    if not created:
        return []
    times = sorted({second for _, second in created})
    rows: dict[int, int] = dict(
        connection.execute(
            "select width_bucket(floor(extract(epoch from created))::bigint, %s::bigint[]), count(*)"
            f" from {table} where _account = %s and not _deleted"
            " and created >= to_timestamp(%s) and created < to_timestamp(%s) group by 1".encode(),
            (times, account, times[0], times[-1] + 1),
        ).fetchall()
    )
    members: dict[int, list[Doubt]] = {second: [] for second in times}
    for identifier, second in created:
        members[second].append(by_id[identifier])
    steps = [(second, rows.get(bucket, 0), members[second]) for bucket, second in enumerate(times, 1)]
    return [
        window
        for window in _windows(steps)
        if math.ceil(max(1, window.rows) / PAGE) * lists < len(window.doubts)
    ]


def _windows(steps: Iterable[tuple[int, int, list[Doubt]]]) -> Iterator[Window]:
    """Yield the windows: a page of other objects between two doubtful ones is where the next one begins.

    ``steps`` are the times at which doubtful objects were created, in their order, each with the number of
    objects from then to the next one, and the doubtful ones of then.
    """
    first, last, rows, doubts = 0, 0, 0, list[Doubt]()
    following = 0  # objects since the last doubtful one
    for second, count, members in steps:
        if doubts and following >= PAGE:
            yield Window(first, last, rows, tuple(doubts))
            doubts, rows, following = [], 0, 0
        if not doubts:
            first = second
        rows += following + len(members)
        doubts += members
        last, following = second, max(0, count - len(members))
    if doubts:
        yield Window(first, last, rows, tuple(doubts))
