"""Nested loops that ask ahead: which requests leave, and that nothing else changes."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from stripe_simulator.process import SimulatorProcess
from support.database import Servers, column, count, create, failing, one, rows
from support.hosts import BUNDLED_ALONE
from support.joined import Shop, make_shop
from support.waiting import wait_until

# Multicorn2 has no such node.
pytestmark = BUNDLED_ALONE
Requests = Callable[[], list[str]]


@pytest.fixture
def shop(db: psycopg.Connection, servers: Servers, simulator: SimulatorProcess) -> Shop:
    """Tables of a test's own, without statistics, in a session that prefers nested loops."""
    return make_shop(db, servers, simulator)


def of_customers(shop: Shop) -> list[str]:
    return [f"GET /v1/subscriptions?customer={customer}&status=all&limit=100" for customer in shop.customers]


JOINS = {
    "a join": "select o.n, s.id from orgs o join stripe.subscription s on s.customer = o.customer",
    "a left join": "select o.n, s.id from orgs o left join stripe.subscription s on s.customer = o.customer",
    "exists": "select o.n from orgs o where exists"
    " (select 1 from stripe.subscription s where s.customer = o.customer)",
    "not exists": "select o.n from orgs o where not exists"
    " (select 1 from stripe.subscription s where s.customer = o.customer)",
    "a lateral join": "select o.n, x.id from orgs o left join lateral"
    " (select id from stripe.subscription s where s.customer = o.customer offset 0) x on true",
    "an aggregate of a lateral join": "select o.n, x.c from orgs o cross join lateral"
    " (select count(*) c from stripe.subscription s where s.customer = o.customer) x",
    "two branches": "select o.n, x.id from orgs o cross join lateral"
    " (select id from stripe.subscription s where s.customer = o.customer"
    " union all select id from stripe.customer c where c.id = o.customer) x",
}


@pytest.mark.parametrize("query", JOINS.values(), ids=JOINS.keys())
def test_rows_and_their_order_stay_and_each_value_is_asked_for_once(
    shop: Shop, requests: Requests, query: str
) -> None:
    assert "Stripe Asks Ahead" in shop.plan(query)
    requests()
    ahead = shop.rows(query)
    sent = requests()
    assert len(sent) == len(set(sent))
    assert set(of_customers(shop)) <= set(sent)
    shop.db.execute(f"alter server {shop.server.name} options (add ask_ahead 'off')".encode())
    assert "Stripe Asks Ahead" not in shop.plan(query)
    assert shop.rows(query) == ahead
    assert sorted(requests()) == sorted(sent)


def test_requests_of_later_rows_are_under_way_while_the_first_is_not_answered(
    shop: Shop, simulator: SimulatorProcess, requests: Requests
) -> None:
    # The first request that comes hangs, and yet those of the next eight rows come.
    simulator.control("POST", "/faults", {"kind": "hang", "path": "/v1/subscriptions", "seconds": 30})
    with ThreadPoolExecutor(1) as executor:
        query = executor.submit(failing, shop.db, shop(JOINS["a join"]))
        wait_until(lambda: len(simulator.requests()) >= 8, "requests ahead")
        shop.db.cancel()
        assert isinstance(query.result(), psycopg.errors.QueryCanceled)
    assert 8 <= len(requests()) <= 2 * 9


def test_a_limit_asks_for_few_rows_beyond(shop: Shop, requests: Requests) -> None:
    query = f"{JOINS['a join']} limit 3"
    assert "Stripe Asks Ahead" in shop.plan(query)
    requests()
    found = shop.rows(query)
    assert len(found) == 3
    reached = {n for n, _ in found}
    assert len(requests()) <= 1.5 * max(reached) + 1


def test_a_cursor_is_ahead_by_half_of_what_it_has_read(shop: Shop, requests: Requests) -> None:
    requests()
    with shop.db.transaction():
        shop.db.execute(f"declare c cursor for {shop(JOINS['a left join'])}".encode())
        shop.db.execute("fetch 1 from c")
        assert len(requests()) == 1
        found = column(shop.db, "fetch 3 from c")
        assert len(requests()) <= 1.5 * int(str(found[-1]))
        shop.db.execute("fetch all from c")
    sent = requests()
    assert len(sent) == len(set(sent))


def test_explain_analyze_counts_what_was_asked_ahead(shop: Shop) -> None:
    every = shop.asked_ahead(JOINS["a join"])
    assert every["Custom Plan Provider"] == "Stripe Asks Ahead"
    assert every["Stripe Tables Asked"] == ["s"]
    assert every["Stripe Rows Ahead"] == 8
    assert every["Stripe Requests Ahead"] == len(shop.customers)
    assert every["Stripe Requests Ahead Not Used"] == 0
    few = shop.asked_ahead(f"{JOINS['a left join']} limit 4")
    assert few["Stripe Requests Ahead Not Used"] > 0
    assert few["Actual Rows"] == 4


def test_a_chain_asks_ahead_at_each_step(shop: Shop, requests: Requests) -> None:
    query = (
        "select o.n, i.id, p.name from orgs o"
        " join stripe.subscription s on s.customer = o.customer"
        " join stripe.subscription_item i on i.subscription = s.id"
        " join stripe.price r on r.id = i.price join stripe.product p on p.id = r.product"
    )
    assert shop.plan(query).count("Custom Scan (Stripe Asks Ahead)") >= 2
    requests()
    found = shop.rows(query)
    sent = requests()
    assert len(found) > 20
    assert len(sent) == len(set(sent))
    shop.db.execute(f"alter server {shop.server.name} options (add ask_ahead 'off')".encode())
    assert sorted(shop.rows(query)) == sorted(found)


# -- errors


def test_the_request_of_a_row_that_is_never_reached_fails_nothing(
    shop: Shop, simulator: SimulatorProcess
) -> None:
    query = "select o.n, c.id from orgs o left join stripe.customer c on c.id = o.customer"
    assert "Stripe Asks Ahead" in shop.plan(f"{query} limit 2")
    path = f"/v1/customers/{shop.customers[2]}"
    refusal = {"kind": "status", "status": 400, "message": "not for you", "path": path, "count": None}
    simulator.control("POST", "/faults", refusal)
    assert [n for n, _ in shop.rows(f"{query} limit 2")] == [1, 2]
    assert "not for you" in str(failing(shop.db, shop(f"{query} limit 3")))
    assert "not for you" in str(failing(shop.db, shop(query)))


def test_of_a_chain_the_request_of_a_row_that_is_never_reached_fails_nothing(
    shop: Shop, simulator: SimulatorProcess
) -> None:
    """The outer side of the second loop reads from Stripe itself, ahead."""
    query = (
        "select o.n, p.id from orgs o left join stripe.customer c on c.id = o.customer"
        " left join stripe.subscription p on p.customer = c.id where o.n <= 9"
    )
    assert shop.plan(f"{query} limit 2").count("Stripe Asks Ahead") == 2
    every = shop.rows(query)
    position = next(i for i, (n, _) in enumerate(every) if n == 4)
    path = f"/v1/customers/{shop.customers[3]}"
    refusal = {"kind": "status", "status": 400, "message": "not for you", "path": path, "count": None}
    simulator.control("POST", "/faults", refusal)
    assert shop.rows(f"{query} limit {position}") == every[:position]
    explained = f"explain (analyze, costs off) {query} limit {position}"
    assert "Stripe Asks Ahead" in str(shop.rows(explained))
    assert "not for you" in str(failing(shop.db, shop(f"{query} limit {position + 1}")))
    with shop.db.transaction():
        shop.db.execute(f"declare c cursor for {shop(query)}".encode())
        assert rows(shop.db, f"fetch {position} from c") == every[:position]
    assert shop.rows("select count(*) from orgs") == [(22,)]


def test_a_value_that_cannot_be_asked_for_fails_when_its_row_is_reached(shop: Shop) -> None:
    query = "select o.n, c.id from orgs o left join stripe.customer c on c.id = o.customer order by o.n"
    shop.db.execute(f"update {shop.orgs} set customer = repeat('x', 20000) where n = 4".encode())
    shop.db.execute(f"analyze {shop.orgs}".encode())
    assert len(shop.rows(f"{query} limit 3")) == 3
    assert len(shop.rows(query)) == 22


def test_a_row_that_is_never_reached_is_not_computed_where_it_could_fail(shop: Shop) -> None:
    query = "select o.n, s.id from (select n, customer, 1 / (4 - n) as x from orgs) o left join lateral"
    query += " (select id from stripe.subscription s where s.customer = o.customer offset 0) s on true"
    computed = f"{query} where o.x > -100 limit 2"
    assert "Stripe Asks Ahead" not in shop.plan(computed)
    assert len(shop.rows(computed)) == 2
    assert "division by zero" in str(failing(shop.db, shop(f"{query} where o.x > -100")))


# -- where reading ahead could be noticed

OBSERVABLE = {
    "a volatile function": "select o.n, s.id from (select nextval('seq') n, customer from orgs offset 0) o"
    " left join stripe.subscription s on s.customer = o.customer",
    "a volatile condition": "select o.n, s.id from orgs o left join stripe.subscription s"
    " on s.customer = o.customer where o.n + random() > 0",
    "a lock": "select o.n, s.id from (select * from orgs for update) o"
    " left join stripe.subscription s on s.customer = o.customer",
    "a write": "with o as (insert into orgs (customer) select customer from orgs limit 3 returning *)"
    " select o.n, s.id from o left join stripe.subscription s on s.customer = o.customer",
    "a volatile subquery": "select o.n, s.id from"
    " (select n, customer, (select nextval('seq') where n > 0) from orgs offset 0) o"
    " left join stripe.subscription s on s.customer = o.customer",
}


@pytest.mark.parametrize("query", OBSERVABLE.values(), ids=OBSERVABLE.keys())
def test_where_it_could_be_noticed_no_row_is_read_ahead(shop: Shop, query: str) -> None:
    shop.db.execute(f"create sequence {shop.server.name}.seq".encode())
    query = query.replace("seq", f"{shop.server.name}.seq")
    assert "Stripe Asks Ahead" not in shop.plan(query)
    assert shop.rows(query)


def test_a_statement_that_writes_to_stripe_reads_as_it_goes(shop: Shop) -> None:
    update = "update stripe.subscription s set description = o.name from orgs o where s.customer = o.customer"
    assert "Stripe Asks Ahead" not in shop.plan(update)
    insert = "insert into stripe.product (name) select s.status from orgs o"
    insert += " join stripe.subscription s on s.customer = o.customer"
    assert "Stripe Asks Ahead" not in shop.plan(insert)


def test_a_statement_that_writes_elsewhere_asks_ahead(shop: Shop, requests: Requests) -> None:
    shop.db.execute(f"create table {shop.server.name}.found (n int, id text)".encode())
    fill = f"insert into {shop.server.name}.found {JOINS['a join']}"
    assert "Stripe Asks Ahead" in shop.plan(fill)
    requests()
    shop.db.execute(shop(fill).encode())
    assert sorted(requests()) == sorted(of_customers(shop))
    update = "update orgs o set name = s.status from stripe.subscription s where s.customer = o.customer"
    assert "Stripe Asks Ahead" in shop.plan(update)
    shop.db.execute(shop(update).encode())
    statuses = "select name from orgs where name <> 'org'"
    assert len(shop.rows(statuses)) > 10


def test_what_was_asked_before_a_write_does_not_count(
    db: psycopg.Connection, servers: Servers, written: SimulatorProcess
) -> None:
    """A function renames the customer of the next row when a row is read."""
    shop, simulator = make_shop(db, servers, written), written
    made = [create(simulator, "customers", {"name": "before"})["id"] for _ in range(4)]
    shop.db.execute(f"truncate {shop.orgs} restart identity".encode())
    with shop.db.cursor() as cursor:
        insert = f"insert into {shop.orgs} (customer) values (%s)".encode()
        cursor.executemany(insert, [(identifier,) for identifier in made])
    shop.db.execute(f"analyze {shop.orgs}".encode())
    shop.db.execute(
        shop(
            """
            create function stripe.rename(customer text) returns text language plpgsql as $$
            begin
              update stripe.customer c set name = 'after' where c.id = customer;
              return customer;
            end $$
            """
        ).encode()
    )
    query = (
        "select o.n, c.name, stripe.rename(n.customer) from orgs o"
        " join stripe.customer c on c.id = o.customer"
        " join lateral (select customer from orgs following where following.n = o.n + 1 offset 0) n on true"
    )
    assert "Stripe Asks Ahead" in shop.plan(query)
    found = shop.rows(query)
    assert [(n, name) for n, name, _ in found] == [(1, "before"), (2, "after"), (3, "after")]
    assert shop.db.info.transaction_status.name == "IDLE"


# -- how plans run


def test_an_inner_loop_that_begins_again(shop: Shop) -> None:
    query = (
        "select g, x.n, x.id from generate_series(1, 3) g cross join lateral"
        f" ({JOINS['a join']} where o.n % g = 0 offset 0) x order by g, x.n, x.id"
    )
    ahead = shop.rows(query)
    assert "Stripe Asks Ahead" in shop.plan(query)
    shop.db.execute(f"alter server {shop.server.name} options (add ask_ahead 'off')".encode())
    assert shop.rows(query) == ahead
    assert len(ahead) > 20


def test_prepared_statements_and_functions(shop: Shop, requests: Requests) -> None:
    query = f"{JOINS['a join']} where o.n <= $1"
    shop.db.execute("set plan_cache_mode = force_generic_plan")
    shop.db.execute(shop(f"prepare few (int) as {query}").encode())
    for most in (3, 9):
        requests()
        found = rows(shop.db, f"execute few({most})")
        assert {n for n, _ in found} <= set(range(1, most + 1))
        assert len(requests()) == most
    shop.db.execute(
        shop(
            "create function stripe.found(most int) returns bigint language plpgsql as $$"
            " declare total bigint = 0;"
            f" r record; begin for r in {query.replace('$1', 'most')} loop total := total + r.n; end loop;"
            " return total; end $$"
        ).encode()
    )
    requests()
    assert one(shop.db, shop("select stripe.found(9)")) == sum(n for n, _ in found)
    assert len(requests()) == 9


def test_locked_rows_are_looked_at_again(shop: Shop, database: str) -> None:
    """EvalPlanQual runs the plan for one row: the node hands it on."""
    query = "select o.n, o.name from orgs o join stripe.subscription s on s.customer = o.customer"
    query += " where o.name <> 'gone' order by o.n for update of o"
    first = shop.customers[0]
    with psycopg.connect(database) as other:
        other.execute(f"update {shop.orgs} set name = 'gone' where n = 1".encode())
        other.execute(f"update {shop.orgs} set name = 'kept' where n = 2".encode())
        with ThreadPoolExecutor(1) as executor:
            shop.db.execute("set statement_timeout = '20s'")
            query_result = executor.submit(shop.rows, query)
            waits = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and pid = %s"
            pid = shop.db.info.backend_pid
            with psycopg.connect(database, autocommit=True) as third:
                wait_until(lambda: count(third, waits, pid) == 1, "lock")
            other.commit()
            found = query_result.result()
    assert first
    assert 1 not in {n for n, _ in found}
    assert (2, "kept") in found or not shop.rows(
        f"select id from stripe.subscription where customer = '{shop.customers[1]}'"
    )


def test_rows_of_a_megabyte_are_read_one_by_one(shop: Shop, requests: Requests) -> None:
    query = (
        "select o.n, length(o.name) from (select n, customer, repeat(name, 600000) name from orgs offset 0) o"
    )
    query += " join stripe.subscription s on s.customer = o.customer"
    assert "Stripe Asks Ahead" in shop.plan(query)
    requests()
    found = shop.rows(query)
    assert {length for _, length in found} == {1_800_000}
    assert sorted(requests()) == sorted(of_customers(shop))


def test_names_of_columns_that_are_not_the_catalogs(
    shop: Shop, servers: Servers, simulator: SimulatorProcess, requests: Requests
) -> None:
    shop.db.execute(
        f"create foreign table {shop.server.name}.abo (kennung text options (column_name 'id'),"
        f" kunde text options (column_name 'customer')) server {shop.server.name}"
        " options (object 'subscription')".encode()
    )
    query = "select o.n, a.kennung from orgs o join stripe.abo a on a.kunde = o.customer"
    assert "Stripe Asks Ahead" in shop.plan(query)
    requests()
    assert shop.rows(query) == shop.rows(JOINS["a join"])
    assert sorted(requests()) == sorted([*of_customers(shop)] * 2)


def test_a_cancel_ends_what_is_asked_ahead(shop: Shop, simulator: SimulatorProcess) -> None:
    simulator.control(
        "POST", "/faults", {"kind": "hang", "path": "/v1/subscriptions", "count": None, "seconds": 30}
    )
    shop.db.execute("set statement_timeout = '500ms'")
    assert isinstance(failing(shop.db, shop(JOINS["a join"])), psycopg.errors.QueryCanceled)
    simulator.control("DELETE", "/faults")
    shop.db.execute("set statement_timeout = 0")
    assert len(shop.rows(JOINS["a join"])) > 10
