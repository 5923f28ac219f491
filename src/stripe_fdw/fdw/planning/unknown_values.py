"""NOTICEs about conditions with values that Stripe's types do not list, such as ``status = 'activ'``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from stripe_fdw.catalog.model import Resource
from stripe_fdw.fdw.backend.hosting import Host
from stripe_fdw.sql_quoting import quote_literal
from stripe_fdw.suggestions import closest_names
from stripe_fdw.text_limits import MAX_VALUE_CHARACTERS, excerpt

_MAX_SHOWN: Final = 3  # unknown values of a condition
_MAX_KNOWN: Final = 40


def show_unknown_values(host: Host, resource: Resource, column: str, values: Sequence[str]) -> None:
    """Show a NOTICE that no object is known to have these values: a newer version of Stripe's API may."""
    known = resource.column[column].values
    shown = ", ".join(quote_literal(excerpt(value, MAX_VALUE_CHARACTERS)) for value in values[:_MAX_SHOWN])
    more = f" and {len(values) - _MAX_SHOWN} more" if len(values) > _MAX_SHOWN else ""
    near = closest_names(values[0], known, n=1)
    host.notice(
        f"{shown}{more}: not among the known values of {resource.name}.{column}",
        f"Known: {', '.join(known[:_MAX_KNOWN])}{', ...' if len(known) > _MAX_KNOWN else ''}.",
        f"Perhaps you meant {quote_literal(near[0])}." if near else None,
    )
