"""Stripe as data: ``load()`` gives every table, column, filter and operation there is."""

from __future__ import annotations

from functools import cache

from stripe_fdw.catalog.model import (
    ANY_VALUE,
    Catalog,
    Column,
    Filter,
    Freshness,
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
    """The catalog that was built with this release; some milliseconds the first time, then nothing.

    Raises OSError where the installation lost its file.
    """
    from stripe_fdw.catalog.loader import read

    return read()
