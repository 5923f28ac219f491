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
    tables = ("customer", "subscription", "line_item")
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
    db: psycopg.Connection, unknown: Server, requests: Requests
) -> None:
    customers, subscriptions = unknown.table("customer"), unknown.table("subscription")
    total = count(db, f"select count(*) from {customers}")
    pages = -(-count(db, f"select count(*) from {subscriptions}") // 100)
    query = f"select count(*) from {customers} c join {subscriptions} s on s.customer = c.id"
    assert "Nested Loop" not in nodes(db, query)
    requests()
    db.execute(query.encode())
    assert len(requests()) <= -(-total // 100) + pages + 4  # a few where a slice is cut
    # Now that both are known to be small, reading the list is cheaper than asking for each of nine.
    nine = f"(select id from {customers} order by created desc limit 9) c"
    assert pages < 9
    query = f"select count(*) from {nine} join {subscriptions} s on s.customer = c.id"
    assert "Nested Loop" not in nodes(db, query) or "Materialize" in nodes(db, query)


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


def test_structured_explain_has_the_requests_as_a_list(db: psycopg.Connection, host: str) -> None:
    if host == "multicorn2":
        return  # its own EXPLAIN repeats one label
    ids = ", ".join(f"'cus_{n}'" for n in range(3))
    plan = explained(db, f"select * from stripe_live.customer where id in ({ids})")
    assert plan["Stripe Requests"] == [f"GET /v1/customers/cus_{n}" for n in range(3)]
    assert explained(db, "select * from stripe_live.price")["Stripe Requests"]
