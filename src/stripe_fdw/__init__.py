"""Stripe as tables in Postgres."""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"
__all__ = ["StripeForeignDataWrapper", "__version__"]


def __getattr__(name: str) -> Any:
    # Loaded on first use: the command line and the catalog need no database host.
    if name == "StripeForeignDataWrapper":
        from stripe_fdw.fdw.wrapper import StripeForeignDataWrapper

        return StripeForeignDataWrapper
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
