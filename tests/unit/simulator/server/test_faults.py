"""Faults, rate limits, latency and webhooks, set by the control endpoint."""

import hashlib
import hmac
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest


def fault(simulator, **description):
    simulator.control("POST", "/faults", description)


def test_an_error_so_many_times_and_then_none(stripe, simulator):
    fault(simulator, kind="status", status=500, count=2, path="/v1/customers")
    assert stripe.get("/products").status_code == 200
    responses = [stripe.get("/customers") for _ in range(3)]
    assert [response.status_code for response in responses] == [500, 500, 200]
    assert responses[0].json()["error"]["type"] == "api_error"


def test_too_many_requests(stripe, simulator):
    fault(simulator, kind="status", status=429, headers={"Retry-After": "2"})
    response = stripe.get("/customers")
    assert response.status_code == 429
    assert response.json()["error"]["code"] == "rate_limit"
    assert response.headers["retry-after"] == "2"


def test_an_object_that_another_request_has_locked(stripe, simulator):
    fault(simulator, kind="lock_timeout", method="POST")
    headers = {"Idempotency-Key": "locked"}
    response = stripe.post("/customers", headers=headers)
    assert (response.status_code, response.json()["error"]["code"]) == (429, "lock_timeout")
    assert response.json()["error"]["message"].startswith("This object cannot be accessed right now")
    assert "stripe-rate-limited-reason" not in response.headers
    again = stripe.post("/customers", headers=headers)
    assert again.status_code == 200
    assert "idempotent-replayed" not in again.headers


def test_a_conflict(stripe, simulator):
    fault(simulator, kind="conflict", method="POST")
    response = stripe.post("/customers")
    assert (response.status_code, response.headers["stripe-should-retry"]) == (409, "true")
    assert stripe.post("/customers").status_code == 200


def test_an_error_in_the_middle_of_a_request_is_kept_under_its_key(stripe, simulator):
    fault(simulator, kind="status", status=500, method="POST", kept=True)
    headers = {"Idempotency-Key": "broken"}
    first, again = (stripe.post("/customers", headers=headers) for _ in range(2))
    assert (first.status_code, again.status_code) == (500, 500)
    assert again.headers["idempotent-replayed"] == "true"
    assert stripe.get("/events").json()["data"] == []


@pytest.mark.parametrize(
    ("kind", "error"),
    [("reset", httpx.ReadError), ("cut", httpx.RemoteProtocolError), ("hang", httpx.NetworkError)],
)
def test_broken_connections(stripe, simulator, kind, error):
    fault(simulator, kind=kind, seconds=0.2)
    with pytest.raises(error):
        stripe.get("/customers")
    assert stripe.get("/customers").status_code == 200


def test_answers_that_are_not_stripes(stripe, simulator):
    fault(simulator, kind="html", status=502)
    assert stripe.get("/customers").headers["content-type"] == "text/html"
    fault(simulator, kind="half")
    with pytest.raises(json.JSONDecodeError):
        stripe.get("/customers").json()
    fault(simulator, kind="redirect", location="https://example.com/login")
    moved = stripe.get("/customers")
    assert (moved.status_code, moved.headers["location"]) == (302, "https://example.com/login")
    fault(simulator, kind="wrong")
    assert isinstance(stripe.get("/customers").json(), list)
    fault(simulator, kind="empty")
    assert stripe.get("/customers").content == b""


def test_a_slow_body_still_arrives(stripe, simulator):
    fault(simulator, kind="slow", seconds=0.3)
    began = time.monotonic()
    assert len(stripe.get("/customers").json()["data"]) == 10
    assert time.monotonic() - began > 0.25


def test_a_lost_answer_was_carried_out_all_the_same(stripe, simulator):
    fault(simulator, kind="reset", after=True, method="POST")
    headers = {"Idempotency-Key": "lost"}
    with pytest.raises(httpx.ReadError):
        stripe.post("/customers", data={"name": "lost"}, headers=headers)
    again = stripe.post("/customers", data={"name": "lost"}, headers=headers)
    assert again.headers["idempotent-replayed"] == "true"
    assert [event["type"] for event in stripe.get("/events").json()["data"]] == ["customer.created"]


def test_a_request_is_carried_out_though_its_client_has_left(stripe, simulator):
    simulator.control("POST", "/latency", {"ms": 300})
    headers = {"Idempotency-Key": "left"}
    with pytest.raises(httpx.ReadTimeout):
        stripe.post("/customers", data={"name": "left"}, headers=headers, timeout=0.05)
    conflict = stripe.post("/customers", data={"name": "left"}, headers=headers)
    assert conflict.status_code == 409
    again = stripe.post("/customers", data={"name": "left"}, headers=headers)
    assert again.headers["idempotent-replayed"] == "true"
    assert [event["type"] for event in stripe.get("/events").json()["data"]] == ["customer.created"]


def test_a_request_that_never_arrived_was_not_carried_out(stripe, simulator):
    fault(simulator, kind="status", status=503, method="POST")
    headers = {"Idempotency-Key": "refused"}
    assert stripe.post("/customers", headers=headers).status_code == 503
    assert stripe.get("/events").json()["data"] == []
    assert "idempotent-replayed" not in stripe.post("/customers", headers=headers).headers


def test_a_fault_that_is_not_understood_is_refused(simulator):
    with pytest.raises(RuntimeError, match="unknown kind"):
        fault(simulator, kind="earthquake")
    with pytest.raises(RuntimeError, match="probability"):
        fault(simulator, kind="reset", chance=1)


def test_limits_in_all_and_by_endpoint(stripe, simulator):
    simulator.control("POST", "/limits", {"rate": 1000, "endpoint_rate": 5})
    responses = [stripe.get("/customers?limit=1") for _ in range(12)]
    refused = [response for response in responses if response.status_code == 429]
    assert 5 <= len(refused) <= 7
    assert refused[0].headers["stripe-rate-limited-reason"] == "endpoint-rate"
    assert stripe.get("/products").status_code == 200
    simulator.control("POST", "/limits", {"rate": 3})
    reasons = [
        stripe.get(path).headers.get("stripe-rate-limited-reason") for path in ["/products", "/prices"] * 4
    ]
    assert "global-rate" in reasons
    simulator.control("DELETE", "/limits")
    assert stripe.get("/customers").status_code == 200


def test_latency(stripe, simulator):
    simulator.control("POST", "/latency", {"ms": 150})
    began = time.monotonic()
    stripe.get("/customers")
    assert time.monotonic() - began > 0.14


class Receiver:
    """An endpoint for webhooks that refuses the first so many."""

    def __init__(self, refuse: int = 0) -> None:
        self.seen: list[tuple[str, bytes]] = []
        self.refuse = refuse
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.seen.append((self.headers["Stripe-Signature"], body))
                status = 500 if len(receiver.seen) <= receiver.refuse else 200
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> "Receiver":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    def wait(self, number: int, seconds: float = 5) -> list[dict]:
        deadline = time.monotonic() + seconds
        while len(self.seen) < number and time.monotonic() < deadline:
            time.sleep(0.02)
        return [json.loads(body) for _, body in self.seen]


def test_webhooks_are_signed_as_stripe_signs_them(stripe):
    with Receiver() as receiver:
        data = {"url": receiver.url, "enabled_events[]": ["customer.created"]}
        endpoint = stripe.post("/webhook_endpoints", data=data).json()
        assert endpoint["secret"].startswith("whsec_")
        assert "secret" not in stripe.get(f"/webhook_endpoints/{endpoint['id']}").json()
        customer = stripe.post("/customers", data={"name": "hooked"}).json()
        stripe.post("/products", data={"name": "not asked for"})
        (event,) = receiver.wait(1)
        assert event["data"]["object"] == customer
        assert event["pending_webhooks"] == 1
        header, body = receiver.seen[0]
        parts = dict(part.split("=", 1) for part in header.split(","))
        signed = parts["t"].encode() + b"." + body
        assert parts["v1"] == hmac.new(endpoint["secret"].encode(), signed, hashlib.sha256).hexdigest()


def test_a_connect_endpoint_gets_the_events_of_connected_accounts_alone(stripe):
    with Receiver() as own, Receiver() as connected:
        for receiver, connect in ((own, "false"), (connected, "true")):
            data = {"url": receiver.url, "enabled_events[]": ["customer.created"], "connect": connect}
            assert "connect" not in stripe.post("/webhook_endpoints", data=data).json()
        account = stripe.get("/accounts").json()["data"][0]["id"]
        stripe.post("/customers")
        stripe.post("/customers", headers={"Stripe-Account": account})
        assert [event.get("account") for event in own.wait(1)] == [None]
        assert [event.get("account") for event in connected.wait(1)] == [account]


def test_webhooks_have_the_version_and_shape_of_the_endpoint(stripe, simulator, shop):
    """The account's version may be an older one, in which /v1/events has the same event."""
    simulator.control("POST", "/account_version", {"api_version": "2024-06-20"})
    with Receiver() as receiver:
        hook = {"url": receiver.url, "secret": "whsec_test", "api_version": "2026-10-28.endive"}
        simulator.control(
            "POST", "/webhook_endpoints", hook | {"enabled_events": ["customer.subscription.updated"]}
        )
        subscription = shop.subscription(shop.customer(), shop.price())
        path = f"/subscriptions/{subscription['id']}"
        item = subscription["items"]["data"][0]["id"]
        changed = shop.post(path, **{"items[0][id]": item, "items[0][quantity]": 2})
        (sent,) = receiver.wait(1)
    assert (sent["api_version"], sent["data"]["object"]) == ("2026-10-28.endive", changed)
    assert "current_period_end" in sent["data"]["previous_attributes"]["items"]["data"][0]
    listed = stripe.get(f"/events/{sent['id']}").json()
    assert (listed["api_version"], "current_period_end" in listed["data"]["object"]) == ("2024-06-20", True)
    assert "current_period_end" not in listed["data"]["previous_attributes"]["items"]["data"][0]


def test_webhooks_are_tried_again(stripe, simulator):
    with Receiver(refuse=1) as receiver:
        simulator.control("POST", "/webhook_endpoints", {"url": receiver.url, "secret": "whsec_test"})
        stripe.post("/customers")
        first, second = receiver.wait(2)
        assert first["id"] == second["id"]


def test_webhooks_may_come_twice_or_never(stripe, simulator):
    with Receiver() as receiver:
        simulator.control("POST", "/webhook_endpoints", {"url": receiver.url, "secret": "whsec_test"})
        simulator.control("POST", "/webhooks", {"duplicate": 1.0})
        stripe.post("/customers")
        assert len(receiver.wait(2)) == 2
        simulator.control("POST", "/webhooks", {"drop": 1.0})
        stripe.post("/customers")
        assert len(receiver.wait(3, seconds=0.3)) == 2
