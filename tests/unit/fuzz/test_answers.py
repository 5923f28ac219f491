"""Whatever Stripe's answer holds, it is parsed and becomes rows, or it is a clear error, soon."""

from __future__ import annotations

from typing import Any

import orjson
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stripe_fdw.api.pages import cursors, next_request
from stripe_fdw.api.request import Request
from stripe_fdw.api.responses import HttpResponse, error_code, parse_response
from stripe_fdw.api.retries import retry_delay
from stripe_fdw.catalog import load
from stripe_fdw.fdw.backend.standalone import PlainColumn
from stripe_fdw.fdw.reading.rows import row_maker
from stripe_fdw.redaction import Secret
from support.clear_errors import clear_errors
from support.hostile_values import KEY, json_of, json_values, texts
from support.waiting import hang_guard

LIST = Request.of("GET", "/v1/customers")
PAGE = orjson.dumps({"object": "list", "has_more": True, "data": [{"id": "cus_1", "object": "customer"}]})
ERROR = orjson.dumps({"error": {"type": "card_error", "code": "x", "message": KEY, "param": "p"}})
HEADERS = ("date", "retry-after", "request-id", "content-type", "location", "stripe-should-retry")
SECRET = Secret(KEY)  # which is masked from now on
RESOURCES = ("customer", "subscription", "invoice", "event", "price", "file", "balance_transaction")


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Bytes: valid JSON, or a valid answer with some bytes changed."""
    kind = draw(st.sampled_from(["value", "page", "error", "bytes", "mutated"]))
    if kind == "bytes":
        return draw(st.binary(max_size=50))
    if kind == "page":
        objects = st.dictionaries(st.sampled_from(["id", "object", "x"]), json_values())
        data = draw(st.lists(objects, max_size=3))
        return json_of({"object": draw(json_values()), "has_more": draw(json_values()), "data": data})
    if kind == "error":
        fields = st.sampled_from(["type", "code", "message", "param", "decline_code"])
        return json_of({"error": draw(st.dictionaries(fields, json_values()))})
    if kind == "value":
        return json_of(draw(json_values()))
    body = bytearray(draw(st.sampled_from([PAGE, ERROR])))
    for _ in range(draw(st.integers(1, 4))):
        body[draw(st.integers(0, len(body) - 1))] = draw(st.integers(0, 255))
    return bytes(body)


@settings(max_examples=200, deadline=None)
@given(
    status=st.sampled_from([200, 204, 302, 400, 401, 402, 403, 404, 409, 429, 500, 999]),
    headers=st.dictionaries(st.sampled_from(HEADERS), texts()),
    body=bodies(),
)
@example(200, {"date": "Fri, 31 Dec 9999 23:59:59 -2359"}, PAGE)
@example(429, {"retry-after": "nan"}, ERROR)
def test_an_answer_is_parsed_or_refused_without_a_key(
    status: int, headers: dict[str, str], body: bytes
) -> None:
    response = HttpResponse(status, headers, body)
    error_code(response)
    delay = retry_delay(response, None, 1)
    assert delay is None or delay >= 0
    with clear_errors(KEY):
        page = parse_response(response, "GET /v1/customers")
        if "data" in page.body and next_request(LIST, page):
            cursors(page.body["data"])


@st.composite
def odd_objects(draw: st.DrawFn) -> tuple[str, list[dict[str, Any]], list[str]]:
    """A resource, its objects with any values where some columns are read, and these columns."""
    name = draw(st.sampled_from(RESOURCES))
    resource = load().resource[name]
    paths = {column.name: column.path for column in resource.columns if column.path}
    odd = draw(st.lists(st.sampled_from(sorted(paths)), min_size=1, max_size=3, unique=True))
    objects: list[dict[str, Any]] = []
    for _ in range(2):
        item: dict[str, Any] = {"id": "x_1", "object": resource.object}
        for path in (paths[column] for column in odd):
            value = draw(json_values())
            for key in reversed(path[1:]):
                value = draw(st.sampled_from([{key: value}, [{key: value}], [{key: value}, {key: 1}]]))
            item[path[0]] = value
        objects.append(orjson.loads(json_of(item)))
    return name, objects, odd


@settings(max_examples=150, deadline=None)
@given(odd_objects())
@example(("customer", [{"balance": "1e999999999"}], ["balance"]))
@example(("customer", [{"balance": "sNaN"}], ["balance"]))
@example(("customer", [{"created": 10**15}], ["created"]))
def test_an_object_becomes_a_row_or_an_error_that_names_the_column(
    odd: tuple[str, list[dict[str, Any]], list[str]],
) -> None:
    name, objects, columns = odd
    resource = load().resource[name]
    for column in columns:
        definition = PlainColumn(column, resource.column[column].kind.postgres_type)
        for as_text in (False, True):
            with hang_guard(2), clear_errors(KEY, f'column "{column}"'):
                row_maker(resource, [definition], as_text=as_text).rows(objects)
