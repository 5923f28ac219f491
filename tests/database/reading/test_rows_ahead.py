"""Rows that a query never reaches, of those that a nested loop reads ahead."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from stripe_simulator.process import SimulatorProcess
from support.database import Servers, column, failing, one, rows
from support.hosts import BUNDLED_ALONE
from support.joined import Shop, make_shop

# Multicorn2 has no such node.
pytestmark = BUNDLED_ALONE
Requests = Callable[[], list[str]]

SUBSCRIPTIONS = (
    "left join lateral (select id from stripe.subscription s where s.customer = o.customer limit 1) s on true"
)
FAILS_AT_SEVEN = f"(select n, customer, 1 / (7 - n) as x from orgs) o {SUBSCRIPTIONS} where o.x > -100"


@pytest.fixture
def shop(db: psycopg.Connection, servers: Servers, simulator: SimulatorProcess) -> Shop:
    """Tables of a test's own, without statistics, in a session that prefers nested loops."""
    return make_shop(db, servers, simulator)


# -- queries of which some rows are read, which only their run knows

PARTS = {
    "a function in SQL": "language sql as $$ select o.n from {} $$",
    "select into": "language plpgsql as $$ declare r int; begin select o.n into r from {}; return r; end $$",
    "a cursor in PL/pgSQL": "language plpgsql as $$ declare c cursor for select o.n from {}; r int;"
    " begin open c; fetch c into r; close c; return r; end $$",
}


@pytest.mark.parametrize("body", PARTS.values(), ids=PARTS.keys())
def test_a_row_after_those_that_a_function_takes_fails_nothing(
    shop: Shop, requests: Requests, body: str
) -> None:
    definition = f"create function stripe.first() returns int {body.format(FAILS_AT_SEVEN)}"
    shop.db.execute(shop(definition).encode())
    requests()
    assert one(shop.db, shop("select stripe.first()")) == 1
    assert len(requests()) == 1
    assert "division by zero" in str(failing(shop.db, shop(f"select o.n from {FAILS_AT_SEVEN}")))


def test_a_set_returning_function_that_is_read_in_part(shop: Shop) -> None:
    definition = "create function stripe.every() returns setof int language sql as"
    definition += f" $$ select o.n from {FAILS_AT_SEVEN} $$"
    shop.db.execute(shop(definition).encode())
    assert shop.rows("select stripe.every() limit 2") == [(1,), (2,)]


def test_where_all_rows_are_read_it_asks_ahead_whatever_could_fail(shop: Shop) -> None:
    query = f"select o.n from {FAILS_AT_SEVEN.replace('7 - n', '70 - n')}"
    assert "Stripe Asks Ahead" in shop.plan(query)
    asked = shop.asked_ahead(query)
    assert asked["Stripe Requests Ahead"] == len(shop.customers)


# -- what may stop

STOPS = {
    "a limit": "select o.n from {} limit 2",
    "a window whose rank is bounded": "select n from"
    " (select o.n, row_number() over (order by o.n) as r from {}) ranked where r <= 2",
}


@pytest.mark.parametrize("query", STOPS.values(), ids=STOPS.keys())
def test_a_row_after_the_last_that_is_needed_fails_nothing(shop: Shop, query: str) -> None:
    shop.db.execute("set enable_seqscan = off; set enable_incremental_sort = off")
    assert shop.rows(query.format(FAILS_AT_SEVEN)) == [(1,), (2,)]


def test_a_hash_join_without_inner_rows_looks_at_one_outer_row(shop: Shop, requests: Requests) -> None:
    shop.db.execute(
        shop(
            "create table stripe.emptied (n int);"
            " insert into stripe.emptied select generate_series(1, 20000);"
            " delete from stripe.emptied where n > 9; analyze stripe.emptied; delete from stripe.emptied;"
            f" create table stripe.many as select i as n, '{shop.customers[0]}' as customer"
            " from generate_series(1, 1000) i; analyze stripe.many; set enable_hashjoin = on"
        ).encode()
    )
    failing_at_seven = FAILS_AT_SEVEN.replace("orgs", "stripe.many")
    query = f"select y.n from (select o.n, s.id from {failing_at_seven} offset 0) y"
    query += " join stripe.emptied e on e.n = y.n"
    assert "Hash Join" in shop.plan(query)
    assert shop.rows(query) == []
    assert len(requests()) <= 1


# -- expressions that fail though they take no column

UNREACHED = {
    "a subquery that runs when it is needed": "select o.n, s.id from orgs o {} where"
    " case when o.n < 3 then true else (select count(*) / 0 from orgs) > 0 end limit 2",
    "a subquery of the row": "select o.n, s.id from orgs o {} where"
    " o.n < 3 or 10 / (select 0 where o.n > 0) > 0 limit 2",
}


@pytest.mark.parametrize("query", UNREACHED.values(), ids=UNREACHED.keys())
def test_what_is_not_computed_for_the_rows_that_are_reached_fails_nothing(shop: Shop, query: str) -> None:
    assert [n for n, *_ in shop.rows(query.format(SUBSCRIPTIONS))] == [1, 2]


def test_a_parameter_of_a_generic_plan_that_fails_later(shop: Shop) -> None:
    shop.db.execute("set plan_cache_mode = force_generic_plan")
    shop.db.execute(
        shop(
            f"prepare some_rows (int) as select o.n from orgs o {SUBSCRIPTIONS}"
            " where o.n < 3 or 10 / $1 > 0 limit 2"
        ).encode()
    )
    assert rows(shop.db, "execute some_rows(0)") == [(1,), (2,)]


# -- inner sides of which a part is read


def test_of_two_branches_only_the_first_is_asked_ahead_where_the_second_may_not_be_read(
    shop: Shop, requests: Requests
) -> None:
    query = (
        "select o.n, x.id from orgs o cross join lateral"
        " (select id from stripe.customer c where c.id = o.customer"
        " union all select id from stripe.subscription s where s.customer = o.customer limit 1) x"
    )
    assert "Stripe Asks Ahead" in shop.plan(query)
    requests()
    assert len(shop.rows(query)) == 21
    assert len(requests()) == len(shop.customers)


def test_a_value_of_a_branch_that_is_not_read_fails_nothing(shop: Shop) -> None:
    query = (
        "select o.n, x.id from orgs o cross join lateral"
        " (select id from stripe.customer c where c.id = o.customer union all"
        " select id from stripe.subscription s where s.customer = o.customer || 1 / (5 - o.n) limit 1) x"
    )
    assert len(shop.rows(query.replace("orgs o", "(select * from orgs where customer <> '') o"))) == 21


# -- outer sides that read some of their rows later than the first


VOLATILE_LATER = {
    "for each row": "(select g.n, g.customer, x.v from orgs g cross join lateral"
    " (select count(*) v from (select nextval('seq') v from generate_series(1, g.n) offset 0) v) x) o",
    "of a later branch": "(select n, customer from orgs where n < 3 union all"
    " (select v::int, null"
    " from (select nextval('seq') v from generate_series(1, 3) offset 0) v order by v)) o",
}


@pytest.mark.parametrize("outer", VOLATILE_LATER.values(), ids=VOLATILE_LATER.keys())
def test_what_is_aggregated_or_sorted_later_is_not_read_ahead(shop: Shop, outer: str) -> None:
    shop.db.execute(shop("create sequence stripe.seq").encode())
    query = f"select o.n, s.id from {outer} {SUBSCRIPTIONS} limit 2".replace("seq", f"{shop.server.name}.seq")
    shop.rows(query)
    calls = one(shop.db, shop("select case when is_called then last_value else 0 end from stripe.seq"))
    assert calls == (3 if "order by" not in outer else 0)


# -- errors that wait


CHAIN = (
    "select o.n, i.id from orgs o left join stripe.customer c on c.id = o.customer"
    " left join lateral (select * from stripe.subscription s where s.customer = c.id limit 1) s on true"
    " left join lateral"
    " (select * from stripe.subscription_item i where i.subscription = s.id limit 1) i on true"
)


def refuse(simulator: SimulatorProcess, path: str, **more: object) -> None:
    fault = {"kind": "status", "status": 400, "message": "not for you", "path": path, "count": None}
    simulator.control("POST", "/faults", {**fault, **more})


def test_of_a_chain_of_three_an_error_waits_at_each_step(shop: Shop, simulator: SimulatorProcess) -> None:
    every = shop.rows(CHAIN)
    assert shop.plan(f"{CHAIN} limit 2").count("Stripe Asks Ahead") == 3
    for failing_row in range(4, 9):
        simulator.control("DELETE", "/faults")
        refuse(simulator, f"/v1/customers/{shop.customers[failing_row - 1]}")
        for most in range(1, failing_row):
            assert shop.rows(f"{CHAIN} limit {most}") == every[:most]
        assert "not for you" in str(failing(shop.db, shop(f"{CHAIN} limit {failing_row}")))


def test_after_an_error_that_waited_a_rescan_begins_anew(shop: Shop, simulator: SimulatorProcess) -> None:
    """A node that an error has left half way keeps rows, even if it is read again from the start."""
    found = (
        "select o.n, o.customer, u.id from orgs o cross join lateral (select distinct u.id from"
        " (select id from stripe.subscription s where s.customer = o.customer union all"
        " select id from stripe.customer c where c.id = o.customer) u) u where o.n <> i offset 0"
    )
    query = (
        "select i, y.* from generate_series(1, 4) i cross join lateral (select x.n, x.id, c.name from"
        f" ({found}) x left join stripe.customer c on c.id = x.customer limit 3) y"
    )
    shop.rows(query)  # DISTINCT has another order where more rows are expected: have them learned first
    expected = shop.rows(query)
    reached = max(n for _, n, *_ in expected)
    for customer in shop.customers[reached : reached + 4]:
        refuse(simulator, f"/v1/customers/{customer}")
    assert shop.rows(query) == expected
    assert column(shop.db, shop("select count(*) from orgs")) == [22]
