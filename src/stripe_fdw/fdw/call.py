"""The table behind ``stripe_live.call``: a SELECT with method, path and params given runs that operation."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

import orjson

from stripe_fdw.api.request import Request
from stripe_fdw.catalog import load
from stripe_fdw.errors import MissingQualError, StripeFdwError
from stripe_fdw.fdw.closest import closest
from stripe_fdw.fdw.quals import EQUAL, Qual, Unknown

_WORDS = ("method", "path", "params")
_PATH = re.compile(r"/v[0-9]+(/[A-Za-z0-9_.:@+=~%-]+)+")


class CallError(StripeFdwError):
    """What was asked for is no operation of Stripe's, or not one that can be called so."""

    default_sqlstate = "22023"  # invalid_parameter_value


@dataclass(frozen=True, slots=True)
class Call:
    """What to ask Stripe, and the words in which it was asked for: the row repeats them."""

    request: Request
    words: dict[str, str]


def call_of(quals: Iterable[Qual]) -> Call | None:
    """The call that the quals describe; None if one of them is NULL.

    Raises:
        MissingQualError: method or path is missing.
        CallError: Stripe has no such operation, or the parameters are no JSON object.
    """
    given = {qual.column: qual.value for qual in quals if qual.operator == EQUAL}
    for name in _WORDS:
        if name in given and given[name] is None:
            return None
    if "method" not in given or "path" not in given:
        raise MissingQualError(
            "an operation needs its method and its path",
            hint="SELECT stripe_live.call('GET', '/v1/balance');",
        )
    words: dict[str, str] = {name: str(value) for name, value in given.items() if name in _WORDS}
    if any(isinstance(value, Unknown) for value in given.values()):
        return Call(Request("GET", words["path"], words["path"]), words)
    if words["method"] != "GET":
        raise CallError(
            f"{words['method']} {words['path']} would change something: only GET operations can be called",
            sqlstate="0A000",  # feature_not_supported
        )
    params = _params(words.get("params", "{}"))
    endpoint = _endpoint(words["path"])
    return Call(Request("GET", endpoint, words["path"], Request.of("GET", "/", params).params), words)


def _params(text: str) -> dict[str, Any]:
    try:
        params = orjson.loads(text)
    except orjson.JSONDecodeError:
        params = None
    if not isinstance(params, dict):
        raise CallError(
            "the parameters of an operation are a JSON object", hint="""For example '{"limit": 3}'."""
        )
    return params


def _endpoint(path: str) -> str:
    if "?" in path:
        raise CallError(
            "the path of an operation holds no parameters", hint="Give them as the third argument."
        )
    if not _PATH.fullmatch(path) or "/../" in path + "/" or "/./" in path + "/":
        raise CallError(f'"{path}" is no path of the API', hint="It looks like /v1/customers/cus_….")
    for template, pattern in _templates():
        if pattern.fullmatch(path):
            return template
    known = [template for template, _ in _templates()]
    near = closest(path, known)
    raise CallError(
        f"Stripe has no operation GET {path}", detail=f"Closest: {', '.join(near)}." if near else None
    )


@cache
def _templates() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """The paths of all reading operations; those with fewer ids first, for /search is no id."""
    paths = {operation.path for operation in load().operations if operation.method == "GET"}
    ordered = sorted(paths, key=lambda path: (path.count("{"), path))
    return tuple((path, re.compile(_pattern(path))) for path in ordered)


def _pattern(path: str) -> str:
    return "".join(
        "[^/]+" if part.startswith("{") else re.escape(part) for part in re.split(r"(\{[^}]*\})", path)
    )
