"""The exact requests of each query, so that no change of pushdown goes unnoticed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from uuid import uuid4

import psycopg
import pytest

from stripe_simulator.process import SimulatorProcess
from support.database import Servers

Requests = Callable[[], list[str]]


@dataclass(frozen=True)
class Ids:
    """Ids that are in the data."""

    customer: str
    other: str
    subscription: str
    invoice: str
    price: str


@pytest.fixture(scope="module")
def ids(database: str) -> Ids:
    with psycopg.connect(database, autocommit=True) as connection:

        def value(query: str) -> str:
            row = connection.execute(query).fetchone()
            assert row is not None
            return str(row[0])

        subscription = value("select id from stripe_live.subscription limit 1")
        customer = value(f"select customer from stripe_live.subscription where id = '{subscription}'")
        return Ids(
            customer,
            value(f"select id from stripe_live.customer where id <> '{customer}' limit 1"),
            subscription,
            value("select id from stripe_live.invoice limit 1"),
            value("select id from stripe_live.price limit 1"),
        )


CASES = {
    "a filter": (
        "select * from stripe_live.subscription where customer = '{customer}'",
        ["GET /v1/subscriptions?customer={customer}&status=all&limit=100"],
    ),
    "a filter with a list default": (
        "select id from stripe_live.subscription where customer = '{customer}' and status = 'active'",
        ["GET /v1/subscriptions?customer={customer}&status=active&limit=100"],
    ),
    "an id": (
        "select id, name, _raw from stripe_live.customer where id = '{customer}'",
        ["GET /v1/customers/{customer}"],
    ),
    "all columns": (
        "select * from stripe_live.customer where id = '{customer}'",
        [
            "GET /v1/customers/{customer}?expand[0]=cash_balance&expand[1]=invoice_credit_balance"
            "&expand[2]=sources&expand[3]=subscriptions&expand[4]=tax&expand[5]=tax_ids"
        ],
    ),
    "an expanded column of a list": (
        "select id from stripe_live.customer where tax ->> 'automatic_tax' = 'x' and email = 'a@b.c'",
        ["GET /v1/customers?email=a@b.c&limit=100&expand[0]=data.tax"],
    ),
    "an id and more": (
        "select id, name from stripe_live.customer where id = '{customer}' and name = 'no such name'",
        ["GET /v1/customers/{customer}"],
    ),
    "ids, doubled and NULL": (
        "select id, name from stripe_live.customer where id in ('{customer}', '{other}', '{customer}', null)",
        ["GET /v1/customers/{customer}", "GET /v1/customers/{other}"],
    ),
    "no id": ("select * from stripe_live.customer where id = ''", []),
    "a path as an id": ("select * from stripe_live.customer where id = '../v1/charges'", []),
    "an id with a space": ("select * from stripe_live.customer where id = 'cus 1'", []),
    "NULL": ("select * from stripe_live.customer where id = null", []),
    "an unknown time": (
        "select * from stripe_live.customer where created > (select null::timestamptz)",
        [],
    ),
    "nothing": ("select * from stripe_live.customer where id = any('{{}}')", []),
    "LIMIT": ("select id from stripe_live.customer limit 3", ["GET /v1/customers?limit=3"]),
    "newest first": (
        "select id from stripe_live.customer order by created desc limit 2",
        ["GET /v1/customers?limit=2"],
    ),
    "the newest": ("select max(created) from stripe_live.charge", ["GET /v1/charges?limit=1"]),
    "newest first, then by another column": (
        "select id from stripe_live.subscription where customer = '{customer}' order by created desc, id",
        ["GET /v1/subscriptions?customer={customer}&status=all&limit=100"],
    ),
    "a range": (
        "select id from stripe_live.customer"
        " where created >= '1999-01-01 00:00:00+01' and created < '1999-02-01 12:00:00.5+00'",
        ["GET /v1/customers?created[gte]=915145200&created[lte]=917870400&limit=100"],
    ),
    "BETWEEN": (
        "select id from stripe_live.customer"
        " where created between '1999-01-01 00:00Z' and '1999-01-02 00:00Z'",
        ["GET /v1/customers?created[gte]=915148800&created[lte]=915235200&limit=100"],
    ),
    "an empty range": (
        "select id from stripe_live.customer where created > '2020-01-01' and created < '2019-01-01'",
        [],
    ),
    "ANY on a filter": (
        "select id from stripe_live.subscription where customer = any('{{{customer},{other},{customer}}}')",
        [
            "GET /v1/subscriptions?customer={customer}&status=all&limit=100",
            "GET /v1/subscriptions?customer={other}&status=all&limit=100",
        ],
    ),
    "a value that the filter does not know": (
        "select id from stripe_live.subscription where customer = '{customer}' and status = 'mad'",
        ["GET /v1/subscriptions?customer={customer}&status=all&limit=100"],
    ),
    "a boolean": (
        "select id from stripe_live.price where active and type = 'recurring' and product = 'prod_none'",
        ["GET /v1/prices?active=true&product=prod_none&type=recurring&limit=100"],
    ),
    "a negated boolean": (
        "select id from stripe_live.price where not active and product = 'prod_none'",
        ["GET /v1/prices?active=false&product=prod_none&limit=100"],
    ),
    "what a list hides by default": (
        "select id from stripe_live.price where product = 'prod_none'",
        [
            "GET /v1/prices?product=prod_none&active=true&limit=100",
            "GET /v1/prices?product=prod_none&active=false&limit=100",
        ],
    ),
    "a list inside an object": (
        "select id from stripe_live.line_item where invoice = '{invoice}'",
        ["GET /v1/invoices/{invoice}/lines?limit=100"],
    ),
    "items of a subscription": (
        "select id from stripe_live.subscription_item where subscription = '{subscription}'",
        ["GET /v1/subscription_items?subscription={subscription}&limit=100"],
    ),
    "a missing object": (
        "select id from stripe_live.subscription where customer = 'cus_none'",
        ["GET /v1/subscriptions?customer=cus_none&status=all&limit=100"],
    ),
    "a condition that only Postgres knows": (
        "select id from stripe_live.subscription"
        " where customer = '{customer}' and (status = 'active' or cancel_at_period_end)",
        ["GET /v1/subscriptions?customer={customer}&status=all&limit=100"],
    ),
    "OR on an id": (
        "select id from stripe_live.customer where id = '{customer}' or id = '{other}' or id = '{customer}'",
        ["GET /v1/customers/{customer}", "GET /v1/customers/{other}"],
    ),
    "OR on a filter": (
        "select id from stripe_live.subscription where customer = '{customer}' or customer = '{other}'",
        [
            "GET /v1/subscriptions?customer={customer}&status=all&limit=100",
            "GET /v1/subscriptions?customer={other}&status=all&limit=100",
        ],
    ),
    "OR on another filter": (
        "select id from stripe_live.subscription"
        " where customer = '{customer}' and (status = 'active' or status = 'canceled')",
        [
            "GET /v1/subscriptions?customer={customer}&status=active&limit=100",
            "GET /v1/subscriptions?customer={customer}&status=canceled&limit=100",
        ],
    ),
    "a self join": (
        "select count(*) from stripe_live.subscription a join stripe_live.subscription b using (id)"
        " where a.customer = '{customer}' and b.customer = '{customer}'",
        ["GET /v1/subscriptions?customer={customer}&status=all&limit=100"],
    ),
    "an upcoming invoice": (
        "select count(*) from stripe_live.upcoming_invoice where customer = '{customer}'",
        ["POST /v1/invoices/create_preview"],
    ),
    "any operation": (
        "select stripe_live.call('GET', '/v1/customers/{customer}')",
        ["GET /v1/customers/{customer}"],
    ),
    "any operation with parameters": (
        "select stripe_live.call('get', '/v1/customers', '{{\"limit\": 2}}')",
        ["GET /v1/customers?limit=2"],
    ),
    "EXPLAIN alone": ("explain select * from stripe_live.customer", []),
    "planning a prepared statement": (
        "prepare p(text) as select * from stripe_live.customer where id = $1",
        [],
    ),
}

# Multicorn gives no LIMIT hint.
MULTICORN2 = {
    "LIMIT": ["GET /v1/customers?limit=100"],
    "newest first": ["GET /v1/customers?limit=100"],
    "the newest": ["GET /v1/charges?limit=100"],
    "OR on another filter": ["GET /v1/subscriptions?customer={customer}&status=all&limit=100"],
}

# Multicorn hands no OR over, and no NULL for sure, so all that there is is read.
BUNDLED_ONLY = ("OR on an id", "OR on a filter", "an unknown time")


@pytest.mark.parametrize("case", CASES)
def test_exactly_these_requests_leave(
    db: psycopg.Connection, requests: Requests, ids: Ids, host: str, case: str
) -> None:
    query, expected = CASES[case]
    if host == "multicorn2" and case in BUNDLED_ONLY:
        pytest.skip("Multicorn does not hand it over")
    if host == "multicorn2":
        expected = MULTICORN2.get(case, expected)
    requests()
    db.execute(query.format(**vars(ids)).encode())
    assert sorted(requests()) == sorted(text.format(**vars(ids)) for text in expected)


def test_a_nested_loop_asks_once_for_each_value(
    db: psycopg.Connection, requests: Requests, ids: Ids, servers: Servers, simulator: SimulatorProcess
) -> None:
    # A key of its own has no statistics yet; with them, the short list would be read as a whole.
    server = servers("customer", mapping={"api_key": f"sk_test_{uuid4().hex}"}, api_base=simulator.url)
    db.execute("create temp table orgs (stripe_id text)")
    db.execute("insert into orgs values (%s), (%s), (%s), (null)", (ids.customer, ids.other, ids.customer))
    db.execute("analyze orgs")
    requests()
    query = f"select c.id from orgs join {server.table('customer')} c on c.id = orgs.stripe_id"
    rows = db.execute(query.encode()).fetchall()
    assert sorted(rows) == sorted([(ids.customer,), (ids.other,), (ids.customer,)])
    assert sorted(requests()) == sorted(
        [f"GET /v1/customers/{ids.customer}", f"GET /v1/customers/{ids.other}"]
    )


def test_a_cursor_fetches_no_more_than_is_read(db: psycopg.Connection, requests: Requests) -> None:
    requests()
    with db.transaction():
        db.execute("declare c cursor for select id from stripe_live.customer")
        db.execute("fetch 5 from c")
        assert requests() == ["GET /v1/customers?limit=100"]
        db.execute("select 1")
        rest = db.execute("fetch all from c").fetchall()
    total = db.execute("select count(*) from stripe_live.customer").fetchone()
    assert total == (len(rest) + 5,)


def test_items_that_a_parent_includes_are_not_requested(db: psycopg.Connection, requests: Requests) -> None:
    row = db.execute(
        "select count(*) from stripe_live.subscription where _raw->'items'->>'has_more' = 'true'"
    ).fetchone()
    assert row is not None
    requests()
    rows = db.execute("select subscription, id from stripe_live.subscription_item").fetchall()
    item_requests = [request for request in requests() if not request.startswith("GET /v1/subscriptions?")]
    assert len(item_requests) == row[0]
    assert len(rows) == len(set(rows)) > 0


def test_items_of_radar_lists_are_asked_for_list_by_list(db: psycopg.Connection, requests: Requests) -> None:
    lists = db.execute("select id from stripe_live.radar_value_list").fetchall()
    requests()
    rows = db.execute("select value_list, id from stripe_live.radar_value_list_item").fetchall()
    assert {value_list for value_list, _ in rows} <= {identifier for (identifier,) in lists}
    assert len(rows) == len(set(rows)) > 0
    item_requests = [request for request in requests() if "value_list=" in request]
    assert len(item_requests) <= len(lists)
