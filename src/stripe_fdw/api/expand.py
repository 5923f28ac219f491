"""The parameter ``expand``: fields that Stripe sends only in answers to requests that ask for them.

Version 2 of the API calls it ``include``. Its paths are the same in a list, and a column may need several.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from msgspec.structs import replace

from stripe_fdw import exact_json
from stripe_fdw.api.request import Request
from stripe_fdw.errors import ApiError, PermissionDeniedError

_PARAMETER = re.compile(r"(?:expand|include)\[\d+\]")
_IN_LISTS = "data."
_SEPARATOR = ","  # of the paths that one column needs


def with_expansions(request: Request, paths: Iterable[str], *, in_list: bool = False) -> Request:
    """Return the request with parameters that expand these paths of the object, or of all objects listed."""
    prefix = _IN_LISTS if in_list and not request.is_version_2 else ""
    name = "include" if request.is_version_2 else "expand"
    present = [value for key, value in request.params if _PARAMETER.fullmatch(key)]
    wanted = [prefix + path for joined in paths for path in joined.split(_SEPARATOR)]
    if request.body:
        return replace(request, body=_with_include(request.body, wanted))
    added = [path for path in dict.fromkeys(wanted) if path not in present]
    expand = tuple((f"{name}[{index}]", path) for index, path in enumerate(added, len(present)))
    return replace(request, params=(*request.params, *expand)) if expand else request


def _with_include(body: str, wanted: Iterable[str]) -> str:
    """Return the JSON of a request with these paths, and those that it includes already."""
    parameters = exact_json.loads(body)
    present = parameters.get("include") or []
    if not isinstance(present, list) or not (added := [path for path in wanted if path not in present]):
        return body
    return exact_json.dumps({**parameters, "include": [*present, *dict.fromkeys(added)]}).decode()


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
    return bool(expanded) and (
        error.param in ("expand", "include") or isinstance(error, PermissionDeniedError)
    )
