"""The planner's choice between asking value by value and reading everything, and what scans teach it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from uuid import uuid4

import psycopg
import pytest

from stripe_simulator.process import SimulatorProcess
from support.database import Server, Servers, column, count, one

Requests = Callable[[], list[str]]


def nodes(db: psycopg.Connection, query: str) -> list[str]:
    """The types of a plan's nodes, from the top."""

    def walk(node: dict[str, object]) -> Iterator[str]:
        yield str(node["Node Type"])
        for child in node.get("Plans", ()):  # type: ignore[attr-defined]
            yield from walk(child)

    return list(walk(explained(db, query)))


def explained(db: psycopg.Connection, query: str) -> dict[str, object]:
    """The top node of a plan."""
    plans = one(db, f"explain (format json) {query}")
    assert isinstance(plans, list)
    return plans[0]["Plan"]  # type: ignore[no-any-return]


def estimate(db: psycopg.Connection, query: str) -> int:
    """The number of rows that the planner expects."""
    return int(str(explained(db, query)["Plan Rows"]))


@pytest.fixture
def unknown(servers: Servers, simulator: SimulatorProcess) -> Server:
    """A server without statistics: its key was never used."""
    mapping = {"api_key": f"sk_test_{uuid4().hex}"}
    tables = ("customer", "subscription", "line_item", "billing_meter", "billing_meter_event_summary")
    return servers(*tables, mapping=mapping, api_base=simulator.url, max_requests_per_second=10_000)


def test_a_handful_of_outer_rows_are_asked_for_one_by_one(
    db: psycopg.Connection, unknown: Server, requests: Requests
) -> None:
    newest = column(db, "select id from stripe_live.customer order by created desc limit 4")
    db.execute("create temp table orgs as select unnest(%s::text[]) as stripe_id", (newest,))
    query = (
        f"select count(s.id) from orgs join {unknown.table('subscription')} s on s.customer = orgs.stripe_id"
    )
    assert "Nested Loop" in nodes(db, query)  # also before ANALYZE
    requests()
    db.execute(query.encode())
    assert sorted(requests()) == sorted(
        f"GET /v1/subscriptions?customer={customer}&status=all&limit=100" for customer in newest
    )


def test_the_customers_of_a_month_are_a_handful(db: psycopg.Connection, unknown: Server, host: str) -> None:
    join = f"{unknown.table('customer')} c join {unknown.table('subscription')} s on s.customer = c.id"
    conditions = [f"c.created > '{date.today() - timedelta(days=30)}'"]
    if host == "bundled":  # Multicorn computes what is no constant only when it runs
        conditions.append("c.created > now() - interval '30 days'")
    for condition in conditions:
        assert "Nested Loop" in nodes(db, f"select * from {join} where {condition}")
    assert "Nested Loop" not in nodes(db, f"select * from {join}")
    assert "Nested Loop" not in nodes(db, f"select * from {join} where c.created > '2018-01-01'")


def test_many_outer_rows_read_the_list_once(
    db: psycopg.Connection, unknown: Server, requests: Requests, host: str
) -> None:
    customers, subscriptions = unknown.table("customer"), unknown.table("subscription")
    total = count(db, f"select count(*) from {customers}")
    pages = -(-count(db, f"select count(*) from {subscriptions}") // 100)
    query = f"select count(*) from {customers} c join {subscriptions} s on s.customer = c.id"
    assert "Nested Loop" not in nodes(db, query)
    requests()
    db.execute(query.encode())
    assert len(requests()) <= -(-total // 100) + pages + 4  # a few where a slice is cut
    # Now that both are known to be small, reading the list is quicker than asking for each of a hundred,
    # eight at a time, but not than for each of nine.
    assert pages < 9

    def plan(customers_asked: int) -> list[str]:
        asked = f"(select id from {customers} order by created desc limit {customers_asked}) c"
        return nodes(db, f"select count(*) from {asked} join {subscriptions} s on s.customer = c.id")

    assert "Nested Loop" not in plan(100) or "Materialize" in plan(100)
    if host == "bundled":
        assert "Nested Loop" in plan(9)
        assert "Custom Scan" in plan(9)


def test_the_row_count_of_one_backend_is_known_to_all(
    db: psycopg.Connection, unknown: Server, database: str
) -> None:
    query = f"select * from {unknown.table('customer')}"
    assert estimate(db, query) > 100_000
    total = count(db, f"select count(*) from {unknown.table('customer')}")
    with psycopg.connect(database) as other:
        assert estimate(other, query) == total
        month = estimate(other, f"{query} where created > '{date.today() - timedelta(days=30)}'")
        assert 1 <= month < total / 4


def test_planning_makes_no_request(db: psycopg.Connection, unknown: Server, requests: Requests) -> None:
    requests()
    nodes(db, f"select * from {unknown.table('customer')} where created > now() - interval '1 day'")
    assert requests() == []


def test_a_list_that_needs_a_parent_comes_last(db: psycopg.Connection, unknown: Server) -> None:
    db.execute("create temp table wanted as select id from stripe_live.invoice limit 3")
    join = f"select * from {unknown.table('line_item')} l join wanted on wanted.id = l.invoice"
    assert "Nested Loop" in nodes(db, join)


def test_a_list_that_needs_several_values_is_asked_for_with_all_of_them(
    db: psycopg.Connection, unknown: Server, requests: Requests, host: str
) -> None:
    meters = column(db, "select id from stripe_live.billing_meter")
    customer = one(db, "select id from stripe_live.customer order by created desc limit 1")
    db.execute("create temp table wanted as select %s as id", (customer,))
    db.execute("analyze wanted")
    summary = unknown.table("billing_meter_event_summary")
    query = (
        f"select s.id from wanted w join {summary} s on s.customer = w.id"
        f" join {unknown.table('billing_meter')} m on s.meter = m.id"
        " where s.window_start = '2026-10-01' and s.window_end = '2026-11-01'"
    )
    requests()
    db.execute(query.encode())
    paths = [request.partition("?")[0] for request in requests()]
    assert sorted(paths) == sorted(
        ["GET /v1/billing/meters", *(f"GET /v1/billing/meters/{meter}/event_summaries" for meter in meters)]
    )
    assert "Nested Loop" in nodes(db, query)
    if host == "bundled":
        # By a meter alone, every customer's list is read: the plan's cost says so.
        alone = query.replace("join", "cross join", 1).replace("on s.customer = w.id ", "")
        expensive = float(str(explained(db, alone.replace("s.id", "count(*)", 1))["Total Cost"]))
        assert expensive > 1000 * float(str(explained(db, query)["Total Cost"]))


def test_a_long_list_of_ids_reads_the_list_and_retrieves_what_it_lacks(
    db: psycopg.Connection, requests: Requests, host: str
) -> None:
    count(db, "select count(*) from stripe_live.customer")  # teaches how many there are
    ids = column(db, "select id from stripe_live.customer order by created desc limit 250")
    deleted = [f"cus_NotListed{number}" for number in range(3)]
    query = "select id from stripe_live.customer where id = any(%s)"
    requests()
    assert sorted(column(db, query, [*ids, *deleted])) == sorted(ids)
    asked = requests()
    assert sorted(asked)[:3] == [f"GET /v1/customers/{identifier}" for identifier in deleted]
    assert len(asked) <= 10
    assert all(request.startswith("GET /v1/customers?") for request in sorted(asked)[3:])
    # Rows in the order of the list, also those that were retrieved.
    newest = f"{query} order by created desc"
    assert column(db, newest, [*reversed(ids[:50]), *deleted]) == ids[:50]
    # Once all ids are found, no further page is read.
    requests()
    assert sorted(column(db, query, ids[:20])) == sorted(ids[:20])
    assert len(requests()) == 1
    # A few are asked for by id, and so are those that a lateral join gives.
    assert len(column(db, query, ids[:4])) == 4
    by_id = sorted(f"GET /v1/customers/{identifier}" for identifier in ids[:4])
    assert sorted(requests()) == by_id
    lateral = (
        "select c.id from unnest(%s::text[]) wanted(id) cross join lateral"
        " (select * from stripe_live.customer where customer.id = wanted.id limit 1) c"
    )
    assert len(column(db, lateral, ids[:60])) == 60
    assert len(requests()) == 60
    literals = ", ".join(f"'{identifier}'" for identifier in ids[:60])
    lines = "\n".join(
        map(str, column(db, f"explain select id from stripe_live.customer where id in ({literals})"))
    )
    assert "Stripe Request: GET /v1/customers?limit=100" in lines
    assert "GET /v1/customers/{customer} for those of the 60 ids that are not listed" in lines
    assert "Stripe Checked Locally: id = ANY" in lines
    if host == "bundled":
        few = f"select id from stripe_live.customer where id in ({literals}) limit 2"
        assert "not listed" not in "\n".join(map(str, column(db, f"explain {few}")))


def test_inline_prices_in_a_long_list_of_ids_are_found_though_no_list_has_them(
    db: psycopg.Connection, requests: Requests
) -> None:
    listed = column(db, "select id from stripe_live.price")
    of_items = column(db, "select price from stripe_live.subscription_item")
    wanted = sorted({*map(str, listed), *map(str, of_items)})
    assert sorted(column(db, "select id from stripe_live.price where id = any(%s)", wanted)) == wanted


def test_a_long_list_of_another_column_s_values_reads_the_list(
    db: psycopg.Connection, requests: Requests
) -> None:
    count(db, "select count(*) from stripe_live.customer")
    emails = column(db, "select email from stripe_live.customer where email is not null limit 60")
    requests()
    assert {*column(db, "select email from stripe_live.customer where email = any(%s)", emails)} == {*emails}
    assert len(requests()) <= 10
    # Without a customer, the subscriptions of a test clock would be missing.
    ids = column(db, "select id from stripe_live.customer limit 40")
    requests()
    column(db, "select id from stripe_live.subscription where customer = any(%s)", ids)
    assert len(requests()) == 40


def test_structured_explain_has_the_requests_as_a_list(db: psycopg.Connection, host: str) -> None:
    if host == "multicorn2":
        return  # its own EXPLAIN repeats one label
    ids = ", ".join(f"'cus_{n}'" for n in range(3))
    plan = explained(db, f"select id from stripe_live.customer where id in ({ids})")
    assert plan["Stripe Requests"] == [f"GET /v1/customers/cus_{n}" for n in range(3)]
    assert explained(db, "select * from stripe_live.price")["Stripe Requests"]
    plans = one(db, "explain (analyze, format json) select id from stripe_live.customer limit 3")
    assert isinstance(plans, list)
    scan = plans[0]["Plan"]["Plans"][0]
    assert (scan["Stripe Requests Made"], scan["Stripe Retries"]) == (1, 0)
    assert isinstance(scan["Stripe Time Waiting on Limits"], float | int)
    assert scan["Stripe Bytes Received"] > 1000
