"""Operations by method and path."""

from __future__ import annotations

import pytest

from stripe_fdw.errors import ColumnError, MissingQualError
from stripe_fdw.fdw.planning.quals import Qual
from stripe_fdw.fdw.tables.call import CallError, plan_read_call, plan_write_call


def quals(method: str | None, path: str | None, params: str | None = "{}") -> list[Qual]:
    return [Qual("method", "=", method), Qual("path", "=", path), Qual("params", "=", params)]


@pytest.mark.parametrize(
    ("path", "params", "request_text", "endpoint"),
    [
        ("/v1/balance", "{}", "GET /v1/balance", "/v1/balance"),
        ("/v1/customers/cus_1", "{}", "GET /v1/customers/cus_1", "/v1/customers/{customer}"),
        (
            "/v1/customers/search",
            '{"query": "x"}',
            "GET /v1/customers/search?query=x",
            "/v1/customers/search",
        ),
        (
            "/v1/customers",
            '{"created": {"gte": 5}, "expand": ["data.x"], "limit": 1}',
            "GET /v1/customers?created[gte]=5&expand[0]=data.x&limit=1",
            "/v1/customers",
        ),
    ],
)
def test_requests(path: str, params: str, request_text: str, endpoint: str) -> None:
    call = plan_read_call(quals("GET", path, params))
    assert call is not None
    assert str(call.request) == request_text
    assert call.request.endpoint == endpoint
    assert call.arguments["params"] == params


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "v1/balance",
        "/v1/customers/../charges",
        "/v1/customers/a b",
        "/v1/customers/%2e%2e/charges",
        "/v1/customers/%2E%2e",
        "/v1/customers/.%2e/balance_transactions",
        "/v1/customers/..%2fcharges",
        "/v1/customers/cus_1%2f..%2f..%2fcharges",
        "/v1/customers/cus_1%5c..%5ccharges",
        "/v1/customers/cus_1%00",
        "/v1/customers/cus_1%0d%0aX: y",
        "/v1/customers/%ff",
        "/v1/customers/" + "x" * 501,
        "/v1/x\r\ny",
        "//v1/balance",
        "/v1/custmers",
    ],
)
def test_an_unknown_operation_is_not_sent(path: str) -> None:
    with pytest.raises(CallError):
        plan_read_call(quals("GET", path))


def test_only_reading() -> None:
    with pytest.raises(CallError, match="POST /v1/customers") as caught:
        plan_read_call(quals("POST", "/v1/customers"))
    assert caught.value.sqlstate == "0A000"


def test_null_calls_nothing_and_a_missing_path_is_named() -> None:
    assert plan_read_call(quals("GET", None)) is None
    with pytest.raises(MissingQualError, match="path"):
        plan_read_call([Qual("method", "=", "GET")])


@pytest.mark.parametrize("params", ["[]", "5", "{", '"x"'])
def test_parameters_are_an_object(params: str) -> None:
    with pytest.raises(CallError, match="JSON object"):
        plan_read_call(quals("GET", "/v1/balance", params))


@pytest.mark.parametrize(
    ("method", "path", "resource"),
    [
        ("POST", "/v1/customers", "customer"),
        ("DELETE", "/v1/customers/cus_1", "customer"),
        ("POST", "/v1/invoices/in_1/finalize", "invoice"),
        ("POST", "/v2/billing/meter_event_session", None),
    ],
)
def test_a_row_that_writes_knows_what_it_writes(method: str, path: str, resource: str | None) -> None:
    plan = plan_write_call(
        {"method": method, "path": path, "params": '{"a": {"b": null}}', "idempotency_key": "k"}
    ).plan
    assert (plan.invalidates, plan.idempotency_key) == (resource, "k")
    request = plan.requests[0].request
    if path.startswith("/v2"):
        assert (request.params, request.body) == ((), '{"a":{"b":null}}')
    else:
        assert (request.params, request.body) == ((("a[b]", ""),), "")


@pytest.mark.parametrize(
    ("params", "sent"),
    [
        ('{"a": 0.00001}', [("a", "0.00001")]),
        ('{"a": 1e-7, "b": 1.50}', [("a", "0.0000001"), ("b", "1.50")]),
        ('{"a": 123456789012345678901}', [("a", "123456789012345678901")]),
        ('{"a": 0.12345678901234567890}', [("a", "0.12345678901234567890")]),
        ('{"a": 1e30}', [("a", "1" + 30 * "0")]),
        ('{"a": [], "b": null, "metadata": {}}', [("a", ""), ("b", ""), ("metadata", "")]),
        ('{"a": {"b": []}, "c": {}}', [("a[b]", "")]),
        ('{"a": [1, true, "x"]}', [("a[0]", "1"), ("a[1]", "true"), ("a[2]", "x")]),
    ],
)
def test_parameters_of_a_write_keep_their_digits_and_null_unsets(
    params: str, sent: list[tuple[str, str]]
) -> None:
    call = plan_write_call({"method": "POST", "path": "/v1/customers", "params": params})
    assert list(call.plan.requests[0].request.params) == sent


def test_parameters_of_a_read_keep_their_digits() -> None:
    call = plan_read_call(quals("GET", "/v1/customers", '{"limit": 1e1, "a": 1234567890123456789012}'))
    assert call is not None
    assert call.request.params == (("limit", "10"), ("a", "1234567890123456789012"))


def test_json_of_version_2_keeps_its_digits() -> None:
    params = '{"a":0.12345678901234567890,"b":[123456789012345678901,1.50],"c":[],"d":{},"e":null}'
    call = plan_write_call({"method": "POST", "path": "/v2/core/accounts", "params": params})
    assert call.plan.requests[0].request.body == params


@pytest.mark.parametrize("number", ["1e4000", "1e-99999999999", "1" * 5000])
def test_a_number_out_of_range_is_refused(number: str) -> None:
    values = {"method": "POST", "path": "/v1/customers", "params": f'{{"a": {number}}}'}
    with pytest.raises(CallError, match="out of range") as caught:
        plan_write_call(values)
    assert caught.value.sqlstate == "22003"


def test_the_key_is_called_as_the_function_calls_it() -> None:
    values = {"method": "POST", "path": "/v1/customers", "idempotency_key": "ä"}
    with pytest.raises(ColumnError, match='"idempotency_key" takes 1 to'):
        plan_write_call(values)


@pytest.mark.parametrize(
    ("values", "sqlstate"),
    [
        ({"method": "GET", "path": "/v1/balance"}, "0A000"),
        ({"method": "POST", "path": None}, "23502"),
        ({"method": "PATCH", "path": "/v1/customers"}, "22023"),
        ({"method": "POST", "path": "/v1/customers/cus_1/../x"}, "22023"),
        ({"method": "POST", "path": "/v1/customers", "params": "[]"}, "22023"),
    ],
)
def test_a_row_that_is_no_operation_that_writes_is_refused(
    values: dict[str, str | None], sqlstate: str
) -> None:
    with pytest.raises(CallError) as caught:
        plan_write_call(values)
    assert caught.value.sqlstate == sqlstate


def test_a_placeholder_that_is_left_in_the_path_is_named() -> None:
    with pytest.raises(CallError, match="still has a placeholder") as caught:
        plan_write_call({"method": "POST", "path": "/v1/invoices/{invoice}/finalize"})
    assert "Put an id in its place" in str(caught.value.hint)
