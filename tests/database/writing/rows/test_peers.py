"""Writes at which another way to Stripe from Postgres (Supabase Wrappers) fails, each as a test."""

from __future__ import annotations

import psycopg
import pytest

from stripe_simulator.process import SimulatorProcess
from support.database import failing, outcome, said
from support.written_objects import World, filled


def test_returning_is_supported(live: psycopg.Connection) -> None:
    row = live.execute("insert into customer (name) values ('a') returning name, id").fetchone()
    assert row is not None
    assert row[0] == "a"


def test_the_new_id_is_a_value_and_no_notice(live: psycopg.Connection) -> None:
    notices: list[str] = []
    live.add_notice_handler(lambda diag: notices.append(str(diag.message_primary)))
    query = (
        "with made as (insert into customer (name) values ('a') returning id)"
        " insert into invoice (customer) select id from made returning customer, id"
    )
    customer, invoice = live.execute(query).fetchone() or ("", "")
    assert str(customer).startswith("cus_")
    assert str(invoice).startswith("in_")
    assert notices == []


def test_setting_null_unsets(live: psycopg.Connection, world: World) -> None:
    query = f"update customer set phone = null, address = null where id = '{world['cus']}'"
    live.execute(query.encode())
    customer = world.call("GET", f"customers/{world['cus']}")
    assert (customer["phone"], customer["address"]) == (None, None)
    assert (customer["name"], customer["email"]) == ("Ada", "ada@b.c")


def test_nested_parameters_are_plain_json(live: psycopg.Connection, world: World) -> None:
    query = """insert into subscription (customer, items) values
        ('<cus_who_pays>', '[{"price": "<price>", "quantity": 2, "metadata": {"seat": "a"}}]')
        returning items"""
    (items,) = live.execute(filled(query, world).encode()).fetchone() or ({},)
    (item,) = items["data"]
    assert (item["price"]["id"], item["quantity"], item["metadata"]) == (world["price"], 2, {"seat": "a"})


def test_times_can_be_written(live: psycopg.Connection, world: World) -> None:
    query = f"update subscription set trial_end = '2030-01-01 00:00:00+00' where id = '{world['sub']}'"
    live.execute(query.encode())
    assert world.call("GET", f"subscriptions/{world['sub']}")["trial_end"] == 1893456000


@pytest.mark.parametrize(
    "fault", [{"kind": "reset"}, {"kind": "reset", "after": True}, {"kind": "status", "status": 500}], ids=str
)
def test_a_request_that_is_sent_again_creates_once(
    live: psycopg.Connection, stripe: SimulatorProcess, world: World, fault: dict[str, object]
) -> None:
    stripe.control("POST", "/faults", fault | {"method": "POST", "path": "/v1/customers"})
    name = world["word"]
    live.execute("insert into customer (name) values (%s) returning id", [name])
    first, second = [item for item in stripe.requests() if item["method"] == "POST"][-2:]
    assert first["form"] == second["form"] == [["name", name]]
    assert first["idempotency_key"] == second["idempotency_key"] != ""
    count = live.execute("select count(*) from customer where name = %s", [name]).fetchone()
    assert count == (1,)


def test_the_statement_can_be_run_again_with_a_key(live: psycopg.Connection, world: World) -> None:
    query = (
        f"insert into customer (name, _idempotency_key) values ('a', 'again-{world['word']}') returning id"
    )
    first, second = (live.execute(query.encode()).fetchone() for _ in range(2))
    assert first == second
    assert first is not None


def test_stripes_message_is_kept(live: psycopg.Connection) -> None:
    error = failing(live, "insert into coupon (percent_off, duration) values (500, 'once')")
    assert "percent_off" in said(error)
    assert "request req_" in said(error)
    assert "POST /v1/coupons answered 400" in said(error)


def test_wrong_option_names_are_refused(live: psycopg.Connection, schema: str) -> None:
    """Of the server and the table; where the host has no check of its own, when the table is first used."""
    statements = [
        f"alter server {schema} options (add api_kee 'x')",
        f"create foreign table wrong (id text) server {schema} options (objekt 'customer')",
        "insert into wrong (id) values ('x')",
    ]
    errors = [outcome(live, query) for query in statements]
    outcome(live, "drop foreign table if exists wrong")
    outcome(live, f"alter server {schema} options (drop api_kee)")
    error_texts = [said(error) for error in errors if error is not None]
    assert any("api_kee" in text or "objekt" in text for text in error_texts)
    assert errors[-1] is not None
