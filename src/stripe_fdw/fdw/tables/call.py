"""The table behind ``stripe_live.call``: SELECT runs an operation that reads, INSERT one that writes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Final, cast

from msgspec import Struct
from msgspec.structs import replace

from stripe_fdw import exact_json, sqlstates
from stripe_fdw.api.request import Method, Request
from stripe_fdw.catalog import load
from stripe_fdw.catalog.model import VERSION_2
from stripe_fdw.errors import MissingQualError, StripeFdwError
from stripe_fdw.fdw.planning.quals import EQUAL, Qual, Unknown
from stripe_fdw.fdw.schema.import_schema import CALL_TABLE
from stripe_fdw.fdw.schema.table_names import UNNAMED, TableNames
from stripe_fdw.fdw.writing.plan.row_plan import RowPlan
from stripe_fdw.fdw.writing.plan.write_request import WriteRequest
from stripe_fdw.fdw.writing.values.column_parameters import check_idempotency_key
from stripe_fdw.fdw.writing.values.nested import encode_untyped
from stripe_fdw.object_ids import is_safe_path
from stripe_fdw.suggestions import closest_names
from stripe_fdw.text_limits import MAX_NAME_CHARACTERS, excerpt

_ARGUMENTS = ("method", "path", "params")
_KEY: Final = "idempotency_key"
_WRITE_METHODS: Final = ("POST", "DELETE")
_MAX_PATH_CHARACTERS: Final = 8192  # what servers take as a request line
_ENCODED_SLASH = re.compile(
    r"%(?:2f|5c)", re.IGNORECASE
)  # of an id: then the path might be another operation's
_PATH = re.compile(r"/v[0-9]+(/[A-Za-z0-9_.:@+=~%-]+)+")


class CallError(StripeFdwError):
    """The call names no operation of Stripe, or one that cannot be called in this way."""

    default_sqlstate = sqlstates.INVALID_PARAMETER_VALUE


class ReadCall(Struct, frozen=True):
    """The request of an operation that reads, and the arguments of the call, which its row repeats."""

    request: Request
    arguments: dict[str, str]


class WriteCall(Struct, frozen=True):
    """The plan of an operation that writes, and the arguments of the call, which its row repeats."""

    plan: RowPlan
    arguments: dict[str, str]


def plan_read_call(quals: Iterable[Qual], names: TableNames = UNNAMED) -> ReadCall | None:
    """Return the call that the quals describe; None if an argument is NULL.

    ``names`` are those of the table, for hints.

    Raises:
        MissingQualError: method or path is missing.
        CallError: Stripe has no such operation, or it writes, or the parameters are no JSON object.
    """
    equal = [qual for qual in quals if qual.operator == EQUAL and not qual.path]
    values_by_column = {qual.column: qual.value for qual in equal}
    for name in _ARGUMENTS:
        if name in values_by_column and values_by_column[name] is None:
            return None
    if "method" not in values_by_column or "path" not in values_by_column:
        raise MissingQualError(
            "an operation needs its method and its path",
            hint=f"SELECT {names.qualified('call')}('GET', '/v1/balance');",
        )
    arguments: dict[str, str] = {
        name: str(value) for name, value in values_by_column.items() if name in _ARGUMENTS
    }
    if any(isinstance(value, Unknown) for value in values_by_column.values()):
        return ReadCall(Request("GET", arguments["path"], arguments["path"]), arguments)
    method = _method(arguments["method"])
    if method != "GET":
        raise CallError(
            f"{method} {_shown(arguments['path'])} writes; SELECT can only read",
            hint=f"SELECT {names.qualified('call')}('{method}', ...) does it:"
            f" by INSERT INTO {names.qualified(CALL_TABLE)}.",
            sqlstate=sqlstates.FEATURE_NOT_SUPPORTED,
        )
    params = _params(arguments.get("params", "{}"))
    endpoint = _endpoint(method, arguments["path"])
    return ReadCall(replace(Request.of("GET", arguments["path"], params), endpoint=endpoint), arguments)


def plan_write_call(values: Mapping[str, Any], names: TableNames = UNNAMED) -> WriteCall:
    """Return the call that an inserted row describes. ``names`` are those of the table, for hints.

    Raises:
        CallError: Stripe has no such operation, or it only reads, or the parameters are no JSON object.
    """
    arguments = {name: str(values[name]) for name in _ARGUMENTS if values.get(name) is not None}
    if "method" not in arguments or "path" not in arguments:
        raise CallError(
            "an operation needs its method and its path",
            hint=f"SELECT {names.qualified('call')}('POST', '/v1/customers', '{{}}');",
            sqlstate=sqlstates.NOT_NULL_VIOLATION,
        )
    method, path = _method(arguments["method"]), arguments["path"]
    if method not in _WRITE_METHODS:
        raise CallError(
            f"{method} {_shown(path)} only reads: use SELECT",
            hint=f"SELECT {names.qualified('call')}('{method}', ...).",
            sqlstate=sqlstates.FEATURE_NOT_SUPPORTED,
        )
    params = _params(arguments.setdefault("params", "{}"))
    endpoint = _endpoint(method, path)
    sent = params if path.startswith(VERSION_2) else encode_untyped(params)
    request = replace(Request.of(method, path, sent), endpoint=endpoint)
    plan = RowPlan(
        requests=(WriteRequest(request, "call"),),
        invalidates=_resource(endpoint),
        idempotency_key=check_idempotency_key(values.get(_KEY), _KEY),
        is_call=True,
    )
    return WriteCall(plan, arguments)


def _shown(text: str) -> str:
    return excerpt(text, MAX_NAME_CHARACTERS)


def _method(text: str) -> Method:
    known = {operation.method for operation in load().operations}
    if text not in known:
        raise CallError(
            f'Stripe has no operation with method "{_shown(text)}"', hint=f"{', '.join(sorted(known))}."
        )
    return cast("Method", text)


def _params(text: str) -> dict[str, Any]:
    try:
        params = exact_json.loads(text)
    except OverflowError:
        raise CallError(
            "the parameters of an operation have a number that is out of range",
            sqlstate=sqlstates.NUMERIC_VALUE_OUT_OF_RANGE,
        ) from None
    except exact_json.TooDeepError:
        raise CallError(
            f"the parameters of an operation are nested more than {exact_json.MAX_DEPTH} deep",
            sqlstate=sqlstates.STATEMENT_TOO_COMPLEX,
        ) from None
    except exact_json.TooLargeError:
        raise CallError(
            f"the parameters of an operation have more than {exact_json.MAX_VALUES} values",
            sqlstate=sqlstates.STATEMENT_TOO_COMPLEX,
        ) from None
    except ValueError:
        params = None
    if not isinstance(params, dict):
        raise CallError(
            "the parameters of an operation are a JSON object", hint="""For example '{"limit": 3}'."""
        )
    return params


def _endpoint(method: Method, path: str) -> str:
    if len(path) > _MAX_PATH_CHARACTERS:
        raise CallError(
            f"the path of an operation has {len(path):,} characters,"
            f" and at most {_MAX_PATH_CHARACTERS:,} are sent"
        )
    if "?" in path:
        raise CallError(
            "the path of an operation must not contain parameters", hint="Give them as the third argument."
        )
    if "{" in path:
        raise CallError(
            f'the path "{_shown(path)}" still has a placeholder',
            hint="Put an id in its place: /v1/customers/cus_....",
        )
    if not _PATH.fullmatch(path) or _ENCODED_SLASH.search(path) or not is_safe_path(path):
        raise CallError(
            f'"{_shown(path)}" is not a path of the API',
            hint="It looks like /v1/customers/cus_123.",
        )
    for template, pattern in _templates(method):
        if pattern.fullmatch(path):
            return template
    known = [template for template, _ in _templates(method)]
    near = closest_names(_shown(path), known)
    raise CallError(
        f"Stripe has no operation {method} {_shown(path)}",
        detail=f"Closest: {', '.join(near)}." if near else None,
    )


@cache
def _templates(method: Method) -> tuple[tuple[str, re.Pattern[str]], ...]:
    """Return the paths of all operations with patterns, those with fewer ids first: /search is no id."""
    paths = {operation.path for operation in load().operations if operation.method == method}
    ordered = sorted(paths, key=lambda path: (path.count("{"), path))
    return tuple((path, re.compile(_pattern(path))) for path in ordered)


@cache
def _resource(endpoint: str) -> str | None:
    """Return the resource that an operation writes; None where no resource has the operation."""
    for resource in load().resources:
        own = (resource.create, resource.update, resource.delete, *resource.operations)
        if any(operation is not None and operation.path == endpoint for operation in own):
            return resource.name
    return None


def _pattern(path: str) -> str:
    return "".join(
        "[^/]+" if part.startswith("{") else re.escape(part) for part in re.split(r"(\{[^}]*\})", path)
    )
