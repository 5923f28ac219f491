"""Stripe as tables in Postgres."""

from __future__ import annotations

from typing import Any

from stripe_fdw.version import __version__

__all__ = ["StripeForeignDataWrapper", "__version__"]


def __getattr__(name: str) -> Any:
    # Loaded on first use: the command line and the catalog need no foreign data wrapper.
    if name == "StripeForeignDataWrapper":
        from stripe_fdw.imports import import_permanently

        globals()[name] = import_permanently("stripe_fdw.fdw.multicorn.wrapper").StripeForeignDataWrapper
        return globals()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
