"""Lists of version 2 of the API: filters, pages, and the URL of the next one."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import orjson

from stripe_fdw.catalog.model import Column, Filter, Kind, Resource
from stripe_simulator.operations.version_2.errors import Version2Error, invalid_fields
from stripe_simulator.operations.version_2.shown import included, shown
from stripe_simulator.operations.version_2.store import check_parent, is_inside, objects_of
from stripe_simulator.requests.request import ApiRequest, ApiResponse
from stripe_simulator.types import Json

if TYPE_CHECKING:
    from stripe_simulator.requests.forms import Params

_DEFAULT_LIMIT = 10
_PAGING = frozenset({"limit", "page"})
_BOUNDS: dict[str, Callable[[Any, Any], bool]] = {
    "gt": lambda value, bound: bool(value > bound),
    "gte": lambda value, bound: bool(value >= bound),
    "lt": lambda value, bound: bool(value < bound),
    "lte": lambda value, bound: bool(value <= bound),
}
_TOKEN = "page_"  # noqa: S105
# Parameters whose column the object does not have under its name: how an object is matched.
_MATCHED: dict[tuple[str, str], Callable[[Json, list[str]], bool]] = {
    ("v2_core_account", "applied_configurations"): lambda item, values: (
        set(values) <= set(item["applied_configurations"])
    ),
    ("v2_money_management_adjustment", "adjusted_flow"): lambda item, values: (
        values[0] in (item["adjusted_flow"] or {}).values()
    ),
    ("v2_money_management_transaction", "flow"): lambda item, values: (
        values[0] in (item["flow"] or {}).values()
    ),
}
# Objects that a list leaves out without the parameter: parameter, and whether an object is listed.
_DEFAULTS: dict[str, tuple[str, Callable[[Json], bool]]] = {
    "v2_core_account": ("closed", lambda item: not item["closed"]),
    "v2_money_management_financial_account": ("statuses", lambda item: item["status"] != "closed"),
}


def list_objects(request: ApiRequest) -> ApiResponse:
    """Return a page of a list, newest first."""
    resource = request.route.resource
    assert resource is not None
    check_parent(request, resource)
    matching = _conditions(resource, request.params)
    limit = _limit(resource, request.params)
    include = included(resource, request.params, in_list=True)
    objects = [
        item
        for item in reversed(objects_of(request.account, resource).values())
        if is_inside(request, resource, item) and all(condition(item) for condition in matching)
    ]
    start = _start(objects, request.params.get("page"))
    page, rest = objects[start : start + limit], objects[start + limit :]
    body = {
        "data": [shown(resource, item, include) for item in page],
        "next_page_url": _url(request, page[-1]["id"]) if rest else None,
        "previous_page_url": None,
    }
    return ApiResponse(orjson.dumps(body))


def _start(objects: list[Json], token: Any) -> int:
    """Return the index of the first object of the page; 0 without a token."""
    if token is None:
        return 0
    try:
        after = base64.urlsafe_b64decode(str(token).removeprefix(_TOKEN)).decode()
    except (binascii.Error, UnicodeDecodeError):
        after = ""
    ids = [item["id"] for item in objects]
    if not str(token).startswith(_TOKEN) or after not in ids:
        raise Version2Error("The page token is invalid.", "invalid_page_token")
    return ids.index(after) + 1


def _url(request: ApiRequest, last: str) -> str:
    """Return the URL of the next page: the token, and the parameters of this one."""
    token = _TOKEN + base64.urlsafe_b64encode(last.encode()).decode()
    pairs = [(name, value) for name, value in request.query if name != "page"]
    return f"{request.path}?{urlencode([('page', token), *pairs])}"


def _limit(resource: Resource, params: Params) -> int:
    value = params.get("limit")
    if value is None:
        return _DEFAULT_LIMIT
    if not re.fullmatch(r"\d{1,9}", str(value)) or not 1 <= int(value) <= resource.page_size:
        raise invalid_fields(f"limit must be between 1 and {resource.page_size}.")
    return int(value)


def _conditions(resource: Resource, params: Params) -> list[Callable[[Json], bool]]:
    """Return the conditions that the parameters stand for. Raises Version2Error for unknown or bad ones."""
    conditions: list[Callable[[Json], bool]] = []
    known = {*_PAGING, "include"}
    for item in resource.filters:
        head, *steps = re.findall(r"[^\[\]]+", item.parameter)
        known.add(head)
        value: Any = params.get(head)
        for step in steps:
            value = value.get(step) if isinstance(value, dict) else None
        if value is not None:
            conditions.append(_condition(resource, item, value))
    unknown = sorted(params.keys() - known)
    if unknown:
        raise invalid_fields(f"Unknown parameter: {unknown[0]}.")
    name, is_listed = _DEFAULTS.get(resource.name, ("", None))
    if is_listed is not None and name not in params:
        conditions.append(is_listed)
    return conditions


def _condition(resource: Resource, item: Filter, value: Any) -> Callable[[Json], bool]:
    column = resource.column[item.column]
    if item.range and isinstance(value, dict):
        bounds = [(_bound(item.parameter, name), _time(item.parameter, text)) for name, text in value.items()]
        return lambda each: all(is_met(_time(column.name, each[column.name]), at) for is_met, at in bounds)
    if isinstance(value, dict) or isinstance(value, list) is not item.any_of:
        raise invalid_fields(f"{item.parameter} must be {'an array' if item.any_of else 'a single value'}.")
    values = [str(each) for each in (value if isinstance(value, list) else [value])]
    for each in values:
        if item.values and each not in item.values:
            raise invalid_fields(f"{item.parameter} must be one of {', '.join(item.values)}.")
    matched = _MATCHED.get((resource.name, item.parameter))
    if matched is not None:
        return lambda each: matched(each, values)
    return lambda each: _text(column, each) in values


def _text(column: Column, item: Json) -> str | None:
    value: Any = item
    for step in column.path:
        value = value.get(step) if isinstance(value, dict) else None
    if column.kind is Kind.BOOLEAN:
        return "true" if value else "false"
    return None if value is None else str(value)


def _bound(parameter: str, name: str) -> Callable[[Any, Any], bool]:
    if name not in _BOUNDS:
        raise invalid_fields(f"Unknown parameter: {parameter}[{name}].")
    return _BOUNDS[name]


def _time(parameter: str, text: Any) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        time = None
    if time is None or time.tzinfo is None:
        raise invalid_fields(f"{parameter} must be a time in RFC 3339 format, not {text}.")
    return time
