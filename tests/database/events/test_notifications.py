"""LISTEN receives what refreshes, refetches and repairs have changed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from stripe_fdw.api.client import Client, ClientOptions
from stripe_fdw.catalog import load
from stripe_fdw.copies.accounts import check_account
from stripe_fdw.copies.apply import Evidence
from stripe_fdw.copies.doubts import note_doubts
from stripe_fdw.copies.incomplete_lists import ListCompletion
from stripe_fdw.copies.refetch import Refetcher
from stripe_fdw.copies.refresh_run import ResourceRefresh
from stripe_fdw.copies.verify import Verifier
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.errors import ApiError
from stripe_fdw.redaction import Secret
from stripe_simulator.process import SimulatorProcess
from support.bare_stripe import BareStripe
from support.database import KEY, rows
from support.simulators import Simulators

CUSTOMER, SUBSCRIPTION = (load().resource[name] for name in ("customer", "subscription"))
Heard = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def stripe(simulators: Simulators) -> SimulatorProcess:
    """A simulated Stripe of this test."""
    return simulators("events", customers=5, seed=11)


@pytest.fixture
def api(stripe: SimulatorProcess) -> BareStripe:
    """The simulated Stripe as another program uses it."""
    return BareStripe(stripe.url, KEY)


@pytest.fixture
def client(stripe: SimulatorProcess, db: psycopg.Connection) -> Iterator[Client]:
    options = ClientOptions(Secret(KEY), load().api_version, stripe.url, max_requests_per_second=10_000)
    client = Client(options)
    check_account(client, db, Schemas(), lambda: None)
    yield client
    client.close()
    db.execute("delete from stripe_sync.account")


@pytest.fixture
def heard(database: str) -> Iterator[Heard]:
    """Return what a listener has heard since the last time, without the server."""
    with psycopg.connect(database, autocommit=True) as listener:
        listener.execute("listen stripe_changes")

        def since() -> list[dict[str, Any]]:
            found = [json.loads(each.payload) for each in listener.notifies(timeout=0.05)]
            assert {each.pop("server") for each in found} <= {"stripe"}
            return found

        yield since


def test_a_refresh_tells_once_what_it_has_changed(
    db: psycopg.Connection, client: Client, api: BareStripe, heard: Heard
) -> None:
    refresh = ResourceRefresh(client, db, Schemas(), lambda: None, lambda _: None)
    refresh.refresh(CUSTOMER)
    assert heard() == [{"resource": "customer", "account": ""}]
    refresh.refresh(CUSTOMER)
    assert heard() == []


def test_a_refresh_that_fails_tells_what_it_has_changed(
    db: psycopg.Connection, client: Client, stripe: SimulatorProcess, heard: Heard
) -> None:
    db.execute(
        "insert into stripe_copy.customer (id, _raw, _as_of)"
        " values ('cus_x', '{}', now() - interval '1 hour')"
    )
    stripe.control("POST", "/faults", {"kind": "status", "status": 400, "path": "/v1/customers/cus_x"})
    with pytest.raises(ApiError):
        ResourceRefresh(client, db, Schemas(), lambda: None, lambda _: None).refresh(CUSTOMER)
    assert heard() == [{"resource": "customer", "account": ""}]


def test_an_object_that_is_asked_for_again_is_told(
    db: psycopg.Connection, client: Client, api: BareStripe, heard: Heard
) -> None:
    customer = api.post("customers", name="Ada")["id"]
    doubted = Evidence(datetime.now(UTC) - timedelta(seconds=9))
    refetcher = Refetcher(client, db, Schemas(), load(), lambda: None)
    for told in ([{"resource": "customer", "account": "", "ids": [customer]}], []):
        note_doubts(db, Schemas(), CUSTOMER, [customer], doubted)
        assert refetcher.refetch_due() == 1
        assert heard() == told


def test_a_repair_is_told_and_a_comparison_is_not(
    db: psycopg.Connection, client: Client, heard: Heard
) -> None:
    ResourceRefresh(client, db, Schemas(), lambda: None, lambda _: None).refresh(CUSTOMER)
    ((customer,),) = rows(db, "select min(id) from stripe_copy.customer")
    db.execute("update stripe_copy.customer set name = 'Damaged' where id = %s", (customer,))
    heard()
    for repair, told in ((False, []), (True, [{"resource": "customer", "account": "", "ids": [customer]}])):
        Verifier(client, db, Schemas(), lambda: None, lambda *_: None, repair=repair).verify(CUSTOMER)
        assert heard() == told


def test_the_rest_of_a_list_is_told_by_the_object_that_holds_it(
    db: psycopg.Connection, client: Client, heard: Heard
) -> None:
    ResourceRefresh(client, db, Schemas(), lambda: None, lambda _: None).refresh(SUBSCRIPTION)
    heard()
    db.execute(
        "insert into stripe_sync.incomplete (schema, resource, id, account, list)"
        " select 'stripe_copy', 'subscription', min(id), '', 'items' from stripe_copy.subscription"
    )
    assert ListCompletion(client, db, Schemas(), load(), lambda: None).complete_some() == 1
    ((subscription,),) = rows(db, "select min(id) from stripe_copy.subscription")
    assert heard() == [{"resource": "subscription", "account": "", "ids": [subscription]}]
