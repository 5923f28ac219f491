"""Writes are seen at once by all sessions, but not by the statement that makes them."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlencode

import psycopg
import pytest
import urllib3

from stripe_simulator.process import SimulatorProcess
from support.database import KEY, Server, Servers, column, count, one

Sent = Callable[[], list[str]]


@pytest.fixture
def caching(servers: Servers, live: Server, written: SimulatorProcess) -> Server:
    """A server that remembers answers for long."""
    return servers(
        "customer",
        "product",
        "price",
        "event",
        mapping={"api_key": KEY},
        api_base=written.url,
        max_requests_per_second=10000,
        cache_ttl=1000,
    )


def customer_in_stripe(written: SimulatorProcess, customer: object, **changes: str) -> dict[str, object]:
    """The customer in Stripe, after these changes over the API, if any."""
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/x-www-form-urlencoded"}
    url, body = f"{written.url}/v1/customers/{customer}", urlencode(changes)
    answer = urllib3.request("POST" if changes else "GET", url, body=body, headers=headers, timeout=9)
    current: dict[str, object] = answer.json()
    return current


@pytest.mark.parametrize("operation", ["insert", "update", "delete"])
def test_every_session_sees_a_write_at_once(
    db: psycopg.Connection, database: str, caching: Server, operation: str
) -> None:
    table = caching.table("customer")
    customer = one(db, f"insert into {table} (name) values ('seen at once') returning id")
    statements = {
        "insert": f"insert into {table} (name) values ('seen at once')",
        "update": f"update {table} set name = 'seen' where id = '{customer}'",
        "delete": f"delete from {table} where id = '{customer}'",
    }
    query = f"select md5(string_agg(id || name, '' order by id)) from {table} where name like 'seen%'"
    single = f"select name from {table} where id = '{customer}'"
    with psycopg.connect(database, autocommit=True) as other:
        before = one(other, query), one(other, single), one(db, query), one(db, single)
        assert before[:2] == before[2:]
        db.execute(statements[operation].encode())
        after = one(other, query), one(other, single), one(db, query), one(db, single)
    assert after[:2] == after[2:]
    assert after[0] != before[0]
    assert (after[1] == before[1]) == (operation == "insert")


def test_a_write_forgets_what_it_may_change_and_nothing_else(
    database: str, caching: Server, written: SimulatorProcess
) -> None:
    with psycopg.connect(database, autocommit=True) as session:
        _writes_forget(session, caching, written)


def _writes_forget(db: psycopg.Connection, caching: Server, written: SimulatorProcess) -> None:
    def read(name: str) -> int:
        written.control("DELETE", "/requests")
        db.execute(f"select * from {caching.table(name)}".encode())
        return len(written.requests())

    for name in ("price", "event", "customer"):
        assert read(name) > 0
        assert read(name) == 0
    db.execute(f"insert into {caching.table('customer')} (name) values ('forgets')".encode())
    assert read("event") > 0  # the write is an event
    assert read("customer") > 0
    assert read("price") == 0
    db.execute(f"insert into {caching.table('product')} (name) values ('forgets')".encode())
    assert read("price") > 0


def test_an_update_compares_with_the_object_as_it_is_not_as_it_was_remembered(
    db: psycopg.Connection, caching: Server, written: SimulatorProcess
) -> None:
    table = caching.table("customer")
    customer = one(db, f"insert into {table} (name) values ('remembered') returning id")
    assert one(db, f"select name from {table} where id = %s", customer) == "remembered"
    assert customer_in_stripe(written, customer, name="else")["name"] == "else"
    assert one(db, f"select name from {table} where id = %s", customer) == "remembered"
    # Compared with what was remembered, nothing would have to be sent.
    query = f"update {table} set name = 'remembered' where id = %s returning name"
    assert one(db, query, customer) == "remembered"
    assert one(db, f"select name from {table} where id = %s", customer) == "remembered"
    assert customer_in_stripe(written, customer)["name"] == "remembered"


def test_an_insert_from_its_own_table_doubles_it_once(
    db: psycopg.Connection, live: Server, sent: Sent
) -> None:
    table = live.table("customer")
    for _ in range(2):
        db.execute(f"insert into {table} (name) select 'more' from generate_series(1, 60)".encode())
    before = count(db, f"select count(*) from {table}")
    assert before > 100
    sent()
    db.execute(f"insert into {table} (name) select 'double of ' || id from {table}".encode())
    assert len(sent()) == before
    assert count(db, f"select count(*) from {table}") == 2 * before
    doubles = column(db, f"select name from {table} where name like 'double of%'")
    assert len(set(doubles)) == len(doubles) == before


def test_an_insert_beside_its_own_lists_adds_to_each_once(
    db: psycopg.Connection, live: Server, sent: Sent
) -> None:
    table = live.table("subscription")
    customers = [str(customer) for customer in column(db, f"select distinct customer from {table} limit 12")]
    chosen = ", ".join(f"'{customer}'" for customer in customers)
    before = count(db, f"select count(*) from {table} where customer in ({chosen})")
    price = one(db, f"select items->'data'->0->'price'->>'id' from {table} where status = 'active'")
    sent()
    # Each row adds to the list of the last customer, which is read last.
    db.execute(
        f"insert into {table} (customer, items, collection_method, days_until_due)"
        f" select '{customers[-1]}', jsonb_build_array(jsonb_build_object('price', '{price}')),"
        " 'send_invoice', 30"
        f" from {table} where customer in ({chosen})".encode()
    )
    assert len(sent()) == before
    assert count(db, f"select count(*) from {table} where customer in ({chosen})") == 2 * before


def test_an_update_out_of_its_own_list_meets_each_row_once(
    db: psycopg.Connection, live: Server, sent: Sent
) -> None:
    table = live.table("customer")
    db.execute(f"insert into {table} (name, email) select 'u', 'u@u.u' from generate_series(1, 230)".encode())
    total = count(db, f"select count(*) from {table} where email = 'u@u.u'")
    assert total >= 230
    sent()
    row_count = db.execute(f"update {table} set email = 'v@v.v' where email = 'u@u.u'".encode()).rowcount
    assert row_count == total
    assert len(sent()) == total
    assert count(db, f"select count(*) from {table} where email = 'u@u.u'") == 0
    assert count(db, f"select count(*) from {table} where email = 'v@v.v'") == total
    sent()
    row_count = db.execute(
        f"update {table} set name = name || '!' where email in ('v@v.v', 'w@w.w')".encode()
    ).rowcount
    assert row_count == total == len(sent())
    assert count(db, f"select count(*) from {table} where name = 'u!'") == total
    row_count = db.execute(f"delete from {table} where email = 'v@v.v'".encode()).rowcount
    assert row_count == total == len(sent())
    assert count(db, f"select count(*) from {table} where email = 'v@v.v'") == 0
