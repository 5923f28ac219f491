"""The simulated version 2 of the API: pages by URL, includes, JSON bodies, errors, idempotency keys."""

from __future__ import annotations

import httpx
import pytest

from stripe_fdw.catalog import load
from stripe_simulator.process import SimulatorProcess
from support.simulators import Simulators

TABLES = [item for item in load().resources if item.is_version_2]
TOP = [item for item in TABLES if not item.parents]


@pytest.fixture(scope="module")
def running(simulators: Simulators) -> SimulatorProcess:
    return simulators("version 2", customers=60)


@pytest.fixture
def stripe(running: SimulatorProcess):
    headers = {"Authorization": "Bearer sk_test_v2"}
    with httpx.Client(base_url=running.url, headers=headers, timeout=10, verify=False) as client:
        yield client


def everything(stripe: httpx.Client, url: str | None) -> list[dict]:
    found = []
    while url is not None:
        page = stripe.get(url).json()
        found += page["data"]
        url = page["next_page_url"]
    return found


@pytest.mark.parametrize("resource", TOP, ids=lambda item: item.name)
def test_every_list_is_paged_by_url_and_each_object_is_found_by_id(stripe: httpx.Client, resource) -> None:
    objects = everything(stripe, f"{resource.list_path}?limit=7")
    assert len({item["id"] for item in objects}) == len(objects) >= 30
    times = [item["created"] for item in objects]
    assert times == sorted(times, reverse=True)
    assert all(time.endswith("Z") and "." in time for time in times)
    single = stripe.get(f"{resource.list_path}/{objects[-1]['id']}").json()
    assert single["id"] == objects[-1]["id"]
    missing = stripe.get(f"{resource.list_path}/x_1")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "not_found")


def test_the_next_url_keeps_the_parameters_and_is_relative(stripe: httpx.Client) -> None:
    page = stripe.get("/v2/core/events?limit=2&types[0]=v2.core.account.updated").json()
    assert page["next_page_url"].startswith("/v2/core/events?page=page_")
    assert "has_more" not in page
    following = everything(stripe, page["next_page_url"])
    assert {item["type"] for item in following} == {"v2.core.account.updated"}


@pytest.mark.parametrize(
    "query",
    ["limit=21", "limit=0", "limit=x", "starting_after=acct_1", "page=nonsense", "include[0]=identity"],
)
def test_what_a_list_does_not_take_is_refused(stripe: httpx.Client, query: str) -> None:
    answer = stripe.get(f"/v2/core/accounts?{query}")
    assert answer.status_code == 400
    assert {"code", "message", "type"} == answer.json()["error"].keys()


def test_times_without_an_offset_are_refused(stripe: httpx.Client) -> None:
    assert stripe.get("/v2/core/events?created[gte]=1714521600").status_code == 400
    assert stripe.get("/v2/core/events?created[gte]=2026-01-01T00:00:00").status_code == 400
    assert stripe.get("/v2/core/events?created[gte]=2026-01-01T00:00:00Z").status_code == 200


def test_fields_are_null_unless_they_are_included(stripe: httpx.Client) -> None:
    account = stripe.get("/v2/core/accounts?limit=1").json()["data"][0]
    assert account["identity"] is account["configuration"] is None
    path = f"/v2/core/accounts/{account['id']}"
    one = stripe.get(f"{path}?include[0]=configuration.merchant&include[1]=identity").json()
    assert one["identity"]
    assert one["configuration"].keys() == {"customer", "merchant", "recipient"}
    assert one["configuration"]["customer"] is None
    destination = stripe.get("/v2/core/event_destinations?limit=1").json()["data"][0]
    assert not (destination["webhook_endpoint"] or {}).get("url")


def test_a_form_and_broken_json_are_refused(stripe: httpx.Client) -> None:
    assert stripe.post("/v2/core/accounts", data={"display_name": "x"}).status_code == 400
    json_type = {"Content-Type": "application/json"}
    assert stripe.post("/v2/core/accounts", content="{", headers=json_type).status_code == 400
    assert stripe.post("/v2/core/accounts", content="[]", headers=json_type).status_code == 400


@pytest.mark.parametrize(
    "body",
    [
        {"nope": 1},
        {"display_name": 1},
        {"identity": {"nope": 1}},
        {"identity": []},
        {"configuration": {"merchant": {"applied": "yes"}}},
    ],
)
def test_fields_are_checked(stripe: httpx.Client, body: dict) -> None:
    assert stripe.post("/v2/core/accounts", json=body).status_code == 400


def test_required_fields_are_named(stripe: httpx.Client) -> None:
    error = stripe.post("/v2/core/event_destinations", json={"name": "x"}).json()["error"]
    assert error["code"] == "required_field_missing"


def test_a_delete_is_carried_out_once_for_its_key(stripe: httpx.Client) -> None:
    body = {
        "name": "x",
        "type": "webhook_endpoint",
        "event_payload": "thin",
        "enabled_events": ["v2.core.account.created"],
        "include": ["webhook_endpoint.signing_secret"],
        "webhook_endpoint": {"url": "https://example.com"},
    }
    new = stripe.post("/v2/core/event_destinations", json=body, headers={"Idempotency-Key": "create"}).json()
    assert new["webhook_endpoint"]["signing_secret"].startswith("whsec_")
    again = stripe.post("/v2/core/event_destinations", json=body, headers={"Idempotency-Key": "create"})
    assert again.json()["id"] == new["id"]
    path = f"/v2/core/event_destinations/{new['id']}"
    first, second = (stripe.delete(path, headers={"Idempotency-Key": "delete"}) for _ in range(2))
    assert first.json() == second.json() == {"id": new["id"], "object": "v2.core.event_destination"}
    assert second.headers["Idempotent-Replayed"] == "true"
    assert stripe.delete(path).status_code == 404


def test_a_ping_is_an_event_about_the_destination(stripe: httpx.Client) -> None:
    destination = stripe.get("/v2/core/event_destinations?limit=1").json()["data"][0]
    event = stripe.post(f"/v2/core/event_destinations/{destination['id']}/ping", json={}).json()
    assert event["type"] == "v2.core.event_destination.ping"
    assert event["related_object"]["id"] == destination["id"]
    listed = stripe.get(f"/v2/core/events?object_id={destination['id']}").json()["data"]
    assert [item["id"] for item in listed] == [event["id"]]


def test_a_payment_that_is_posted_cannot_be_canceled(stripe: httpx.Client) -> None:
    path = "/v2/money_management/outbound_payments"
    posted = stripe.get(f"{path}?status[0]=posted").json()["data"][0]
    answer = stripe.post(f"{path}/{posted['id']}/cancel", json={})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_state")
