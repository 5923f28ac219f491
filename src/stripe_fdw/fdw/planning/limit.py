"""LIMIT: how many objects the first page of a list needs to have."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from stripe_fdw.catalog.model import Resource
from stripe_fdw.fdw.planning.pushdown import is_multivalued
from stripe_fdw.fdw.planning.quals import Qual


def first_page_limit(
    resource: Resource, quals: Iterable[Qual], pushed_quals: Collection[Qual], limit: int | None
) -> int:
    """Return the query's LIMIT if Stripe checks all its conditions, else the largest page.

    LIMIT is a hint: Postgres's Limit node stays, and a scan reads on where it wants more rows.

    Args:
        resource: whose list it is.
        quals: the conditions of the query.
        pushed_quals: those that the request has as parameters.
        limit: how many rows the query can use, if known.
    """
    columns = {qual.column for qual in pushed_quals}
    is_exact = all(item.exact for item in resource.filters if item.column in columns) and not any(
        is_multivalued(resource.column[name]) for name in columns
    )
    if limit is None or not is_exact or not all(qual in pushed_quals for qual in quals):
        return resource.page_size
    return max(1, min(limit, resource.page_size))
