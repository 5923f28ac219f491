"""Stripe's API as data: tables with their columns, filters and operations. ``load()`` returns it."""

from __future__ import annotations

from functools import cache

from stripe_fdw.catalog.model import (
    ANY_VALUE,
    Catalog,
    Column,
    Filter,
    Freshness,
    Holder,
    Kind,
    Operation,
    Parameter,
    Parent,
    Resource,
    Transition,
    WritePath,
)

__all__ = [
    "ANY_VALUE",
    "Catalog",
    "Column",
    "Filter",
    "Freshness",
    "Holder",
    "Kind",
    "Operation",
    "Parameter",
    "Parent",
    "Resource",
    "Transition",
    "WritePath",
    "load",
]


@cache
def load() -> Catalog:
    """Return the catalog of this release: some milliseconds on the first call, cached afterwards.

    Raises:
        OSError: the built file is missing from the installation.

    """
    from stripe_fdw.catalog.loader import read

    return read()
