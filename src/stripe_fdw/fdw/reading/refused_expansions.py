"""Hints for errors about what a request expands: a key may lack the permission for it."""

from __future__ import annotations

from stripe_fdw.api.request import Request
from stripe_fdw.errors import ApiError, PermissionDeniedError
from stripe_fdw.fdw.planning.expansions import without_expansions


def add_expansion_hint(error: ApiError, request: Request) -> None:
    """Say in the error's hint that the request expands columns, if they may be the reason for the error."""
    _, expanded = without_expansions(request)
    if not expanded or not (error.param == "expand" or isinstance(error, PermissionDeniedError)):
        return
    hint = (
        f"The query names columns that the request expands: {', '.join(sorted(expanded))}. "
        f"Name only columns that you need."
    )
    error.hint = f"{error.hint} {hint}" if error.hint else hint
