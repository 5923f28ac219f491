"""Hints for errors about what a request expands: a key may lack the permission for it."""

from __future__ import annotations

from stripe_fdw.api.expand import refuses_expansion, without_expansions
from stripe_fdw.api.request import Request
from stripe_fdw.errors import ApiError


def add_expansion_hint(error: ApiError, request: Request) -> None:
    """Say in the error's hint that the request expands columns, if they may be the reason for the error."""
    if not refuses_expansion(error, request):
        return
    _, expanded = without_expansions(request)
    hint = (
        f"The query names columns that the request expands: {', '.join(sorted(expanded))}. "
        f"Name only columns that you need."
    )
    error.hint = f"{error.hint} {hint}" if error.hint else hint
