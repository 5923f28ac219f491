"""Known failures of other ways to read Stripe from Postgres, each as a test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psycopg
import pytest
import urllib3

from stripe_simulator.process import SimulatorProcess
from support.database import Server, Servers, column, count, failing, one, refused, said
from support.simulators import Simulators

Requests = Callable[[], list[str]]
KEY = "sk_test_51KeyOfThePeersTests0000"


@pytest.fixture(scope="module")
def world(simulators: Simulators) -> SimulatorProcess:
    """A simulated Stripe in which some objects have more children than others expect."""
    return simulators(customers=400, seed=13)


@pytest.fixture
def live(servers: Servers, world: SimulatorProcess) -> Iterator[Server]:
    """Tables on that Stripe."""
    world.control("DELETE", "/faults")
    tables = (
        "customer", "subscription", "subscription_item", "invoice", "line_item", "invoiceitem",
        "payment_method", "coupon", "credit_note", "customer_balance_transaction", "price",
    )  # fmt: skip
    yield servers(*tables, mapping={"api_key": KEY}, api_base=world.url, max_requests_per_second=10_000)
    world.control("DELETE", "/faults")


@pytest.fixture
def new_requests(world: SimulatorProcess) -> Requests:
    """The requests since the last call."""

    def since() -> list[str]:
        entries = world.requests()
        world.control("DELETE", "/requests")
        return [f"{entry['method']} {entry['path']}?{entry['query_string']}" for entry in entries]

    since()
    return since


def post(simulator: SimulatorProcess, path: str, fields: dict[str, object]) -> dict[str, Any]:
    answer = urllib3.request(
        "POST",
        f"{simulator.url}/v1/{path}",
        body=urlencode(fields),
        headers={"Authorization": f"Bearer {KEY}", "Content-Type": "application/x-www-form-urlencoded"},
    )
    assert answer.status == 200, answer.data
    content: dict[str, Any] = answer.json()
    return content


# -- Supabase Wrappers --------------------------------------------------------------------------------------


def test_a_limit_behind_a_local_filter_looks_beyond_the_first_page(
    db: psycopg.Connection, live: Server
) -> None:
    table = live.table("customer")
    oldest = f"(select id from {table} order by created limit 30)"
    names = column(db, f"select name from {table} where id in {oldest} and name is not null")
    newest = set(column(db, f"select name from {table} order by created desc limit 100"))
    name = next(name for name in names if name not in newest)
    matches = column(db, f"select name from {table} where name = %s limit 10", name)
    assert 1 <= len(matches) <= 10
    assert set(matches) == {name}


def test_a_limit_behind_a_local_sort_sorts_all_rows(db: psycopg.Connection, live: Server) -> None:
    table = live.table("customer")
    ids = sorted(str(identifier) for identifier in column(db, f"select id from {table}"))
    assert column(db, f'select id from {table} order by id collate "C" limit 10') == ids[:10]
    assert column(db, f"select id from {table} order by created limit 1 offset 350") != []


def test_a_limit_of_a_view_with_a_condition_loses_no_rows(db: psycopg.Connection, live: Server) -> None:
    table = live.table("customer")
    expected = count(db, f"select count(*) from {table} where delinquent is not true")
    assert expected > 150
    db.execute(f"create view good as select * from {table} where delinquent is not true".encode())
    try:
        assert count(db, "select count(*) from (select id from good limit 150) g") == 150
        assert count(db, "select count(*) from (select id from good limit 9999) g") == expected
    finally:
        db.execute("drop view good")


def test_an_id_and_another_condition_retrieve_one_object_and_list_nothing(
    db: psycopg.Connection, live: Server, new_requests: Requests
) -> None:
    table = live.table("subscription")
    identifier, status = db.execute(f"select id, status from {table} limit 1".encode()).fetchone() or ("", "")
    new_requests()
    query = f"select count(*) from {table} where id = '{identifier}' and status = '%s'"
    assert count(db, query % status) == 1
    assert count(db, query % ("active" if status != "active" else "canceled")) == 0
    assert new_requests() == [f"GET /v1/subscriptions/{identifier}?"] * 2


def test_in_lists_are_pushed(db: psycopg.Connection, live: Server, new_requests: Requests) -> None:
    table = live.table("customer")
    ids = column(db, f"select id from {table} limit 3")
    new_requests()
    assert set(column(db, f"select id from {table} where id = any(%s)", ids)) == set(ids)
    assert sorted(new_requests()) == sorted(f"GET /v1/customers/{identifier}?" for identifier in ids)
    subscription_count = count(
        db, f"select count(*) from {live.table('subscription')} where status in ('active', 'unpaid')"
    )
    requests = new_requests()
    assert all("status=active" in request or "status=unpaid" in request for request in requests)
    assert subscription_count == count(
        db, f"select count(*) from {live.table('subscription')} where status || '' in ('active', 'unpaid')"
    )


def test_ranges_on_created_are_pushed(db: psycopg.Connection, live: Server, new_requests: Requests) -> None:
    table = live.table("customer")
    low, high = (
        one(db, f"select created from {table} order by created desc offset {position} limit 1")
        for position in (60, 20)
    )
    new_requests()
    ids_in_range = column(db, f"select id from {table} where created >= %s and created < %s", low, high)
    requests = new_requests()
    assert len(requests) == 1
    assert "created%5Bgte%5D=" in requests[0] or "created[gte]=" in requests[0]
    assert len(ids_in_range) >= 40


def test_canceled_subscriptions_are_shown_and_their_status_can_be_selected(
    db: psycopg.Connection, live: Server
) -> None:
    table = live.table("subscription")
    counts = dict(db.execute(f"select status, count(*) from {table} group by status".encode()).fetchall())
    assert counts["canceled"] > 0
    for status, number in counts.items():
        assert set(column(db, f"select status from {table} where status = '{status}'")) == {status}
        assert count(db, f"select count(*) from {table} where status = '{status}'") == number


def memory(db: psycopg.Connection) -> int:
    """The private memory of the backend, in kB."""
    lines = Path(f"/proc/{db.info.backend_pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))


def test_the_whole_result_is_never_in_memory(
    db: psycopg.Connection, servers: Servers, big: SimulatorProcess
) -> None:
    big.control("POST", "/latency", {"ms": 0})
    options: dict[str, object] = {"api_base": big.url, "max_requests_per_second": 10_000}
    table = servers("subscription", mapping={"api_key": KEY}, **options).table("subscription")
    with db.transaction():
        db.execute(f"declare c cursor for select _raw from {table} order by created desc".encode())
        db.execute("move 7000 from c")  # more than a statement remembers
        before = memory(db)
        db.execute("move 8000 from c")  # more than 32 MB of JSON
        after = memory(db)
        assert len(db.execute("fetch 1 from c").fetchall()) == 1
    big.control("POST", "/latency", {"ms": 30})
    assert after - before < 8_000


def test_the_first_rows_come_before_the_last_are_fetched(
    db: psycopg.Connection, live: Server, new_requests: Requests
) -> None:
    with db.transaction():
        db.execute(f"declare c cursor for select id from {live.table('customer')}".encode())
        assert len(db.execute("fetch 10 from c").fetchall()) == 10
        assert len(new_requests()) == 1


def test_a_query_can_be_cancelled_while_paging(
    db: psycopg.Connection, live: Server, world: SimulatorProcess
) -> None:
    fault = {"kind": "hang", "path": "/v1/customers", "skip": 1, "count": None}
    world.control("POST", "/faults", fault)
    db.execute("set statement_timeout = 300")
    error = failing(db, f"select count(*) from {live.table('customer')}")
    assert "cancel" in said(error)
    db.execute("reset statement_timeout")


def test_a_parameterised_join_asks_for_what_joins_and_lists_no_side(
    db: psycopg.Connection, servers: Servers, big: SimulatorProcess
) -> None:
    big.control("POST", "/latency", {"ms": 0})
    server = servers(
        "customer", "subscription", mapping={"api_key": KEY}, api_base=big.url, max_requests_per_second=10_000
    )
    customers = column(
        db, f"select customer from (select customer from {server.table('subscription')} limit 60) s limit 3"
    )
    db.execute("create temp table orgs as select unnest(%s::text[]) as stripe_id", (customers,))
    db.execute("analyze orgs")
    big.control("DELETE", "/requests")
    rows = db.execute(
        f"select o.stripe_id, s.id from orgs o"
        f" join {server.table('subscription')} s on s.customer = o.stripe_id".encode()
    ).fetchall()
    paths = [(item["path"], item["query_string"]) for item in big.requests()]
    db.execute("drop table orgs")
    assert {customer for customer, _ in rows} == set(customers)
    assert all("customer=" in query for _, query in paths), paths
    assert len(paths) <= 2 * len(set(customers))
    big.control("POST", "/latency", {"ms": 30})


def test_the_error_of_stripe_is_kept_with_its_code_and_request(
    db: psycopg.Connection, live: Server, world: SimulatorProcess
) -> None:
    fault = {
        "kind": "status",
        "status": 400,
        "code": "parameter_invalid_empty",
        "message": "You passed nothing.",
    }
    world.control("POST", "/faults", {**fault, "path": "/v1/customers"})
    text = said(failing(db, f"select * from {live.table('customer')}"))
    assert "You passed nothing." in text
    assert "parameter_invalid_empty" in text
    assert "req_" in text


def test_wrong_option_names_are_refused(db: psycopg.Connection, servers: Servers) -> None:
    def use() -> None:
        server = servers(
            "customer", mapping={"api_key": KEY}, api_url="http://127.0.0.1:9", api_base="http://127.0.0.1:9"
        )
        db.execute(f"select * from {server.table('customer')}".encode())

    assert "api_url" in said(refused(use))


CLAUSES = [
    "select id from {c} where email like '%a%' or name ~ '^B' or metadata ->> 'x' = 'y'",
    "select id from {c} where upper(email) = 'X' and created::date > '2001-01-01'",
    "select distinct livemode from {c} order by livemode nulls first",
    "select currency, count(*) from {c} group by rollup (currency) having count(*) > 1",
    "select id, row_number() over (partition by currency order by created) from {c} limit 5 offset 7",
    "select a.id from {c} a left join {c} b on a.email = b.email and b.id <> a.id where b.id is null limit 3",
    "select id from {c} where (id, email) in (select id, email from {c} limit 2)",
    "select id from {c} where created > now() - interval '7 days' and not delinquent is true",
    "select id from {c} tablesample system (100)",
]


@pytest.mark.parametrize("clause", CLAUSES, ids=lambda text: text[19:50])
def test_clauses_that_cannot_be_pushed_raise_no_warnings(
    db: psycopg.Connection, live: Server, clause: str
) -> None:
    notices: list[str] = []
    db.add_notice_handler(lambda diag: notices.append(str(diag.message_primary)))
    query = clause.format(c=live.table("customer"))
    if "tablesample" in clause:  # Postgres itself refuses it for any foreign table
        assert failing(db, query).sqlstate == "0A000"
    else:
        db.execute(query.encode())
    assert notices == []


def test_rate_limits_never_make_data_empty(
    db: psycopg.Connection, live: Server, world: SimulatorProcess
) -> None:
    expected = count(db, f"select count(*) from {live.table('customer')}")
    world.control(
        "POST",
        "/faults",
        {"kind": "status", "status": 429, "probability": 0.4, "count": None, "path": "/v1/*"},
    )
    for _ in range(3):
        assert count(db, f"select count(*) from {live.table('customer')}") == expected


def test_joins_are_complete(db: psycopg.Connection, live: Server) -> None:
    customers, subscriptions = live.table("customer"), live.table("subscription")
    plain = db.execute(
        f"select customer, id from {subscriptions} where customer in (select id from {customers})".encode()
    ).fetchall()
    assert len(plain) > 300
    for setting in ("enable_hashjoin", "enable_mergejoin", "enable_nestloop"):
        db.execute(f"set {setting} = off".encode())
        joined = db.execute(
            f"select c.id, s.id from {customers} c join {subscriptions} s on s.customer = c.id".encode()
        ).fetchall()
        db.execute("reset all")
        assert sorted(joined) == sorted(plain)


@pytest.mark.parametrize("name", ["subscription_item", "payment_method", "coupon", "credit_note"])
def test_tables_that_are_missing_elsewhere_have_rows(db: psycopg.Connection, live: Server, name: str) -> None:
    rows = db.execute(f"select id, _raw ->> 'id' from {live.table(name)}".encode()).fetchall()
    assert rows
    assert all(identifier == raw for identifier, raw in rows)
    assert len({identifier for identifier, _ in rows}) == len(rows)


# -- Stripe sync engine, Airbyte, dj-stripe: children -------------------------------------------------------


@pytest.mark.parametrize("number", [9, 10, 11, 100, 101, 230])
def test_all_children_of_an_object_are_rows_however_many(
    db: psycopg.Connection, live: Server, world: SimulatorProcess, number: int
) -> None:
    customer = post(world, "customers", {"name": "Many"})["id"]
    for amount in range(number):
        fields = {"amount": amount + 1, "currency": "usd"}
        post(world, f"customers/{customer}/balance_transactions", fields)
    table = live.table("customer_balance_transaction")
    amounts = column(db, f"select amount from {table} where customer = '{customer}'")
    assert sorted(amounts, key=str) == sorted(range(1, number + 1), key=str)
    query = f"select count(distinct id) from {table} where customer = any('{{{customer},cus_none}}')"
    assert count(db, query) == number


def test_all_lines_of_invoices_are_rows_however_many(
    db: psycopg.Connection, live: Server, world: SimulatorProcess
) -> None:
    invoices, lines = live.table("invoice"), live.table("line_item")
    long_invoices = column(db, f"select id from {invoices} where _raw -> 'lines' ->> 'has_more' = 'true'")
    assert long_invoices
    expected = {str(invoice): lines_of(world, str(invoice)) for invoice in long_invoices}
    assert max(expected.values()) > 100
    query = f"select invoice, count(distinct id) from {lines} where invoice = any(%s) group by 1"
    assert dict(db.execute(query.encode(), (long_invoices,)).fetchall()) == expected
    query = f"select i.id, count(l.id) from {invoices} i join {lines} l on l.invoice = i.id group by 1"
    with db.transaction():
        db.execute("set local enable_nestloop = off")  # which would ask for the lines of each invoice
        joined = dict(db.execute(query.encode()).fetchall())
    assert {invoice: joined[invoice] for invoice in expected} == expected
    assert sum(joined.values()) == count(db, f"select count(*) from {lines}")


def lines_of(simulator: SimulatorProcess, invoice: str) -> int:
    """The number of lines of an invoice, counted page by page."""
    line_count, after = 0, ""
    while True:
        answer = urllib3.request(
            "GET",
            f"{simulator.url}/v1/invoices/{invoice}/lines?limit=100{after}",
            headers={"Authorization": f"Bearer {KEY}"},
        ).json()
        line_count += len(answer["data"])
        if not answer["has_more"]:
            return line_count
        after = f"&starting_after={answer['data'][-1]['id']}"


def test_items_of_all_subscriptions_are_those_that_each_has(db: psycopg.Connection, live: Server) -> None:
    items, subscriptions = live.table("subscription_item"), live.table("subscription")
    item_counts = dict(
        db.execute(f"select subscription, count(*) from {items} group by 1".encode()).fetchall()
    )
    assert set(item_counts) == set(column(db, f"select id from {subscriptions}"))
    largest = max(item_counts, key=lambda identifier: item_counts[identifier])
    assert count(db, f"select count(*) from {items} where subscription = '{largest}'") == item_counts[largest]


# -- Steampipe ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [{"kind": "html"}, {"kind": "status", "status": 403}, {"kind": "half"}])
def test_pages_of_items_that_fail_are_errors_and_not_fewer_rows(
    db: psycopg.Connection, live: Server, world: SimulatorProcess, fault: dict[str, object]
) -> None:
    path = "/v1/customers/*/balance_transactions"
    world.control("POST", "/faults", {**fault, "path": path, "count": None, "skip": 5})
    error = failing(db, f"select count(*) from {live.table('customer_balance_transaction')}")
    assert "balance_transactions" in said(error)


# -- Sequin -------------------------------------------------------------------------------------------------


def test_payment_methods_are_listed_with_their_customer_alone(
    db: psycopg.Connection, requests: Callable[[], list[str]]
) -> None:
    """Stripe's list without a customer shows none that is attached to one."""
    attached = column(
        db, "select default_payment_method from stripe_live.customer where created > '2001-01-01'"
    )
    wanted = {identifier for identifier in attached if identifier is not None}
    assert wanted
    requests()
    assert wanted <= {*column(db, "select id from stripe_live.payment_method")}
    lists = [request for request in requests() if request.startswith("GET /v1/payment_methods")]
    assert lists
    assert all("customer=cus_" in request for request in lists)
    plan = "\n".join(map(str, column(db, "explain select * from stripe_live.payment_method")))
    assert "GET /v1/payment_methods?customer={customer}&limit=100 for each customer of" in plan
    of_account = "explain select * from stripe_live.payment_method where customer_account = 'acct_1'"
    assert "for each" not in "\n".join(map(str, column(db, of_account)))


def test_upcoming_invoices_are_rows_by_customer(db: psycopg.Connection) -> None:
    customer = one(db, "select customer from stripe_live.subscription where status = 'active' limit 1")
    query = "select customer, currency from stripe_live.upcoming_invoice where customer = %s"
    rows = db.execute(query, (customer,)).fetchall()
    assert [row[0] for row in rows] == [customer]


# -- Multicorn2's own hazards -------------------------------------------------------------------------------


def test_an_error_after_many_rows_leaves_the_backend_as_it_was(db: psycopg.Connection, live: Server) -> None:
    for _ in range(20):
        failing(db, f"select 1 / (row_number() over () - 150) from {live.table('customer')}")
    assert count(db, f"select count(*) from {live.table('customer')}") > 300


def test_cursors_that_are_rolled_back_leave_no_rows_in_memory(db: psycopg.Connection, live: Server) -> None:
    cursor = f"declare c cursor for select id from {live.table('customer')}; fetch 1 from c"

    def roll_back(times: int) -> int:
        for _ in range(times):
            db.execute(f"begin; savepoint s; {cursor}; rollback to s; commit".encode())
        return memory(db)

    before = roll_back(20)
    assert roll_back(40) - before < 5_000  # a page of customers is more than 500 kB of objects
