"""Requests equal those of the stripe SDK, which is the oracle for our own encoding and headers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl

import pytest
import requests
import stripe

from stripe_fdw.api.request import Request

ACCOUNT = "acct_1"
# The headers that name the client or concern the connection: the only ones that may differ.
OWN = (
    "user-agent",
    "x-stripe-client-user-agent",
    "accept",
    "accept-encoding",
    "connection",
    "content-length",
)

PARAMETERS: list[dict[str, Any]] = [
    {},
    {"name": "plain"},
    {"name": "a [b] & c=d+e %5B / ? # ;", "email": "ä&b@example.com"},
    {"description": "日本語 🎉 \u00a0\u2028 \t\n'\"\\", "name": ""},
    {"metadata": {"x y": "", "z": 1, "ключ": "ü", "a&b=c": "[]"}},
    {"on": True, "off": False, "nested": {"on": True, "deeper": {"off": False}}},
    {"zero": 0, "negative": -5, "large": 2**60, "decimal": 0.1, "exponent": 1e-7, "whole": 5.0},
    {"items": [{"price": "p", "quantity": 2, "on": True}, {"price": "q", "tax_rates": ["t", "u"]}]},
    {"expand": ["customer", "latest_invoice.payments"], "matrix": [[1, 2], ["x", ["y"]]]},
    {"metadata": {}, "items": [], "kept": {"empty": {}, "list": [], "value": "v"}, "holes": [{}, [], "x"]},
    {"a": {"b": {"c": {"d": {"e": [{"f": [{"g": "h"}]}]}}}}},
    {"usage": "off_session", "base": "x", "headers": "y", "idempotency_key": "z", "id": "w"},
]
each_parameters = pytest.mark.parametrize("params", PARAMETERS, ids=[",".join(p) for p in PARAMETERS])


def never() -> None:
    """The interrupt check of a query that is never cancelled."""


@pytest.fixture
def client(make_client: Any) -> Any:
    return make_client(stripe_account=ACCOUNT)


@pytest.fixture
def sdk(server: Any, key: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[stripe.StripeClient]:
    """The SDK in its usual setup, with its own HTTP library, connected to the same server."""
    monkeypatch.setattr(stripe, "enable_telemetry", False)  # it would keep a file in the home directory
    session = requests.Session()
    session.trust_env = False  # a proxy of this machine
    yield stripe.StripeClient(
        key,
        stripe_account=ACCOUNT,
        stripe_version="2026-10-28.endive",
        base_addresses={"api": server.base},
        http_client=stripe.RequestsClient(session=session),
    )
    session.close()


def assert_same(server: Any, *, is_json: bool = False) -> None:
    """Assert that the first request received, ours, equals the second, the SDK's."""
    ours, theirs = server.got
    assert (ours.method, ours.path, ours.params) == (theirs.method, theirs.path, theirs.params)
    if is_json:
        assert json.loads(ours.body) == json.loads(theirs.body)
    else:
        assert parse_qsl(ours.body, True, True) == parse_qsl(theirs.body, True, True)
    left, right = (
        {name: value for name, value in got.headers.items() if name not in OWN} for got in (ours, theirs)
    )
    assert left == right
    assert ours.headers.get("content-length", "0") == str(len(ours.body.encode()))


@each_parameters
def test_a_post(client: Any, server: Any, sdk: Any, params: Any) -> None:
    client.fetch(Request.of("POST", "/v1/customers", params), check=never, idempotency_key="mine")
    sdk.v1.customers.create(params, {"idempotency_key": "mine"})
    assert_same(server)


@each_parameters
def test_a_delete(client: Any, server: Any, sdk: Any, params: Any) -> None:
    client.fetch(Request.of("DELETE", "/v1/subscriptions/{s}", params, s="sub_1"), check=never)
    sdk.v1.subscriptions.cancel("sub_1", params)
    assert_same(server)


@each_parameters
def test_a_get(client: Any, server: Any, sdk: Any, params: Any) -> None:
    client.fetch(Request.of("GET", "/v1/customers/{c}", params, c="cus_1"), check=never)
    sdk.v1.customers.retrieve("cus_1", params)
    assert_same(server)


@each_parameters
def test_a_post_of_version_2(client: Any, server: Any, sdk: Any, params: Any) -> None:
    client.fetch(Request.of("POST", "/v2/core/accounts", params), check=never, idempotency_key="mine")
    sdk.v2.core.accounts.create(params, {"idempotency_key": "mine"})
    assert_same(server, is_json=True)


def test_a_delete_of_version_2(client: Any, server: Any, sdk: Any) -> None:
    request = Request.of("DELETE", "/v2/core/event_destinations/{id}", id="ed_1")
    client.fetch(request, check=never, idempotency_key="mine")
    sdk.v2.core.event_destinations.delete("ed_1", options={"idempotency_key": "mine"})
    assert_same(server)


def test_an_id_of_the_users_own(client: Any, server: Any, sdk: Any) -> None:
    client.fetch(Request.of("DELETE", "/v1/coupons/{c}", c="ä/?#%[]&=x"), check=never)
    sdk.v1.coupons.delete("ä/?#%[]&=x")
    assert_same(server)


def test_null_unsets_where_the_sdk_would_leave_it_out(client: Any, server: Any, sdk: Any) -> None:
    params = {"name": None, "metadata": {"a": None}, "list": [None]}
    client.fetch(Request.of("POST", "/v1/customers", params), check=never, idempotency_key="mine")
    sdk.v1.customers.create({"name": "", "metadata": {"a": ""}, "list": [""]}, {"idempotency_key": "mine"})
    assert_same(server)


def test_booleans_in_a_list_are_stripes_where_the_sdk_writes_pythons(
    client: Any, server: Any, sdk: Any
) -> None:
    request = Request.of("POST", "/v1/customers", {"list": [True, False]})
    client.fetch(request, check=never, idempotency_key="mine")
    sdk.v1.customers.create({"list": ["true", "false"]}, {"idempotency_key": "mine"})
    assert_same(server)
