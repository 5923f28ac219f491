"""Reads that do not see the latest writes, a clock beside Stripe's, and live mode."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime

import httpx
import pytest


@pytest.fixture
def live(simulator):
    headers = {"Authorization": "Bearer sk_live_simulator0123"}
    with httpx.Client(base_url=simulator.url + "/v1", headers=headers, timeout=10) as client:
        yield client


def lag(simulator, **description):
    simulator.control("POST", "/lag", description)


def test_reads_lag_until_the_lag_is_removed(stripe, simulator, post):
    changed, deleted = (post("/customers", name="old")["id"] for _ in range(2))
    chosen = post("/products", id="chosen", name="old")["id"]
    lag(simulator, path="/v1/customers*")
    post(f"/customers/{changed}", name="new")
    stripe.delete(f"/customers/{deleted}")
    created = post("/customers", name="new")["id"]
    post(f"/products/{chosen}", name="new")
    assert stripe.get(f"/customers/{changed}").json()["name"] == "old"
    assert stripe.get(f"/customers/{created}").status_code == 404
    listed = stripe.get("/customers?limit=2").json()["data"]
    assert [(item["id"], item["name"]) for item in listed] == [(deleted, "old"), (changed, "old")]
    assert stripe.get(f"/products/{chosen}").json()["name"] == "new"  # another path
    assert stripe.post(f"/customers/{changed}", data={"phone": "1"}).json()["name"] == "new"
    simulator.control("DELETE", "/lag")
    assert stripe.get(f"/customers/{changed}").json()["name"] == "new"
    assert stripe.get(f"/customers/{deleted}").json()["deleted"] is True
    assert stripe.get("/customers?limit=1").json()["data"][0]["id"] == created


def test_a_chosen_id_is_not_there_before_it_was_written(stripe, simulator, post):
    lag(simulator)
    post("/products", id="chosen", name="new")
    assert stripe.get("/products/chosen").status_code == 404
    assert post("/products", 400, id="chosen", name="new")["code"] == "resource_already_exists"
    simulator.control("DELETE", "/lag")
    assert stripe.get("/products/chosen").json()["name"] == "new"


def test_a_lag_of_some_seconds_passes_by_itself(stripe, simulator, post):
    lag(simulator, seconds=0.2)
    created = post("/customers")["id"]
    assert stripe.get(f"/customers/{created}").status_code == 404
    time.sleep(0.25)
    assert stripe.get(f"/customers/{created}").status_code == 200


def test_events_become_visible_late_and_out_of_order(stripe, simulator, post):
    lag(simulator, path="/v1/events*", share=0.5)
    created = [post("/customers")["id"] for _ in range(40)]
    seen = {event["data"]["object"]["id"] for event in stripe.get("/events?limit=100").json()["data"]}
    hidden = [identifier for identifier in created if identifier not in seen]
    assert 5 < len(hidden) < 35
    assert hidden != created[-len(hidden) :]  # later ones are visible before
    simulator.control("DELETE", "/lag")
    assert len(stripe.get("/events?limit=100").json()["data"]) == 40


def test_a_lag_that_is_not_understood_is_refused(simulator):
    with httpx.Client(base_url=simulator.url + "/_simulator") as control:
        assert control.post("/lag", json={"paht": "/v1/customers"}).status_code == 400
        assert control.get("/lag").json() == {"lags": []}


def test_the_date_differs_from_the_times_of_events(stripe, simulator, post):
    simulator.control("POST", "/clock", {"date_skew_seconds": -100})
    post("/customers")
    response = stripe.get("/events?limit=1")
    skew = parsedate_to_datetime(response.headers["date"]).timestamp() - response.json()["data"][0]["created"]
    assert -105 < skew < -95


def test_live_mode_has_objects_and_keys_of_its_own(stripe, live, post):
    made = live.post("/customers", data={"name": "live"}, headers={"Idempotency-Key": "k"}).json()
    assert made["livemode"] is True
    assert stripe.get(f"/customers/{made['id']}").status_code == 404
    assert post("/customers", name="test")["livemode"] is False
    same_key = stripe.post("/customers", data={"name": "test"}, headers={"Idempotency-Key": "k"})
    assert (same_key.status_code, same_key.json()["livemode"]) == (200, False)
    listed = live.get("/customers?limit=100").json()["data"]
    assert {item["livemode"] for item in listed} == {True}
    assert not {item["id"] for item in listed} & {
        item["id"] for item in stripe.get("/customers?limit=100").json()["data"]
    }
    [event] = live.get("/events").json()["data"]
    assert (event["livemode"], event["data"]["object"]["livemode"]) == (True, True)
    assert live.get("/account").json()["id"] == stripe.get("/account").json()["id"]


def test_all_events_occur_in_one_second(stripe, simulator, post):
    simulator.control("POST", "/clock", {"frozen_at": 1_800_000_000, "date_skew_seconds": 2})
    customer = post("/customers")["id"]
    post(f"/customers/{customer}", name="new")
    response = stripe.get("/events")
    assert [event["created"] for event in response.json()["data"]] == [1_800_000_000] * 2
    assert parsedate_to_datetime(response.headers["date"]).timestamp() == 1_800_000_002


def test_events_have_the_version_and_shape_of_the_account(stripe, simulator, shop):
    simulator.control("POST", "/account_version", {"api_version": "2024-06-20"})
    subscription = shop.subscription(shop.customer(), shop.price())
    events = stripe.get("/events?limit=100").json()["data"]
    assert {event["api_version"] for event in events} == {"2024-06-20"}
    [created] = [event for event in events if event["type"] == "customer.subscription.created"]
    shown, item = created["data"]["object"], subscription["items"]["data"][0]
    assert shown["current_period_end"] == item["current_period_end"]
    assert "current_period_end" not in shown["items"]["data"][0]
    invoices = [event["data"]["object"] for event in events if event["type"] == "invoice.created"]
    assert {invoice["subscription"] for invoice in invoices} == {subscription["id"]}
    assert "parent" not in invoices[0]
    with httpx.Client(base_url=simulator.url + "/_simulator") as control:
        assert control.post("/account_version", json={"api_version": "newest"}).status_code == 400
        assert control.get("/account_version").json() == {"api_version": "2024-06-20"}
    simulator.control("POST", "/account_version", {})
    shop.subscription(shop.customer(), shop.price())
    latest = stripe.get("/events?types[0]=customer.subscription.created").json()["data"][0]
    assert "current_period_end" not in latest["data"]["object"]
