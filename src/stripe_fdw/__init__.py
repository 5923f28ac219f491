"""Stripe as tables in Postgres."""

from __future__ import annotations

from typing import Any

from stripe_fdw.version import __version__

__all__ = ["StripeForeignDataWrapper", "__version__"]


def __getattr__(name: str) -> Any:
    # Loaded on first use: the command line and the catalog need no database host.
    if name == "StripeForeignDataWrapper":
        globals()[name] = _wrapper()
        return globals()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _wrapper() -> Any:
    import gc

    # All that is imported stays: looking for garbage in it would take a tenth of a backend's first query, and
    # time of every later scan.
    enabled = gc.isenabled()
    gc.disable()
    try:
        from stripe_fdw.fdw.multicorn.wrapper import StripeForeignDataWrapper
    finally:
        if enabled:
            gc.enable()
    gc.freeze()
    return StripeForeignDataWrapper
