"""The parameter ``expand``: fields that Stripe sends only in answers to requests that ask for them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from stripe_fdw.api.request import Request
from stripe_fdw.errors import ApiError, PermissionDeniedError

_PARAMETER = re.compile(r"expand\[\d+\]")
_IN_LISTS = "data."


def with_expansions(request: Request, paths: Iterable[str], *, in_list: bool = False) -> Request:
    """Return the request with parameters that expand these paths of the object, or of all objects listed."""
    prefix = _IN_LISTS if in_list else ""
    present = [value for name, value in request.params if _PARAMETER.fullmatch(name)]
    added = [prefix + path for path in paths if prefix + path not in present]
    expand = tuple((f"expand[{index}]", path) for index, path in enumerate(added, len(present)))
    return replace(request, params=(*request.params, *expand)) if expand else request


def without_expansions(request: Request) -> tuple[Request, frozenset[str]]:
    """Return the request without its expansions, and their paths in an object."""
    expanded = [value for name, value in request.params if _PARAMETER.fullmatch(name)]
    if not expanded:
        return request, frozenset()
    others = tuple(item for item in request.params if not _PARAMETER.fullmatch(item[0]))
    return replace(request, params=others), frozenset(path.removeprefix(_IN_LISTS) for path in expanded)


def refuses_expansion(error: ApiError, request: Request) -> bool:
    """Return True if the error may be about what the request expands."""
    _, expanded = without_expansions(request)
    return bool(expanded) and (error.param == "expand" or isinstance(error, PermissionDeniedError))
