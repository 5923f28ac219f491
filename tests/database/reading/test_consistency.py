"""One statement sees one answer; a cached one serves until it is too old or was said to have changed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

import psycopg
import pytest
import urllib3

from stripe_simulator.process import SimulatorProcess
from support.database import Server, Servers, column, count, failing, one, refused, said
from support.simulators import Simulators
from support.waiting import wait_until

MAPPING = {"api_key": "sk_test_51KeyOfTheConsistencyTests"}
FAST = {"max_requests_per_second": 10_000}


@pytest.fixture(scope="module")
def changing(simulators: Simulators) -> SimulatorProcess:
    """A simulated Stripe whose objects the tests change."""
    return simulators(customers=150, seed=11)


@pytest.fixture
def requests(changing: SimulatorProcess) -> Callable[[], list[str]]:
    """The GET requests that were sent since the last call."""

    def since() -> list[str]:
        entries = changing.requests()
        changing.control("DELETE", "/requests")
        return [f"{entry['path']}?{entry['query_string']}" for entry in entries if entry["method"] == "GET"]

    since()
    return since


def post(simulator: SimulatorProcess, path: str, **fields: object) -> dict[str, Any]:
    """Change an object in Stripe directly, without Postgres."""
    answer = urllib3.request(
        "POST",
        f"{simulator.url}/v1/{path}",
        body=urlencode(fields),
        headers={
            "Authorization": f"Bearer {MAPPING['api_key']}",
            "Content-Type": "application/x-www-form-urlencoded",
        },
    )
    assert answer.status == 200, answer.data
    content: dict[str, Any] = answer.json()
    return content


@pytest.fixture
def live(servers: Servers, changing: SimulatorProcess) -> Server:
    """Tables on that Stripe, without a cache."""
    return servers("customer", "subscription", "product", mapping=MAPPING, api_base=changing.url, **FAST)


@pytest.fixture
def cached(servers: Servers, changing: SimulatorProcess) -> Server:
    """Tables on that Stripe, with a cache of a minute that is empty."""
    server = servers(
        "customer", "subscription", "subscription_item", "invoice", "line_item", "_invalidation",
        mapping=MAPPING, api_base=changing.url, cache_ttl=60, **FAST,
    )  # fmt: skip
    for resource in ("customer", "subscription", "invoice"):
        servers.connection.execute(
            f"insert into {server.table('_invalidation')} (resource) values ('{resource}')".encode()
        )
    return server


STATEMENTS: dict[str, tuple[str, Callable[[int], int]]] = {  # each with its result for n customers
    "a self join": ("select count(*) from {c} a join {c} b using (id)", lambda n: n),
    "a self join that is no equality": (
        "select count(*) from {c} a join {c} b on a.id < b.id",
        lambda n: n * (n - 1) // 2,
    ),
    "a subquery for each row": (
        "select count(*) from {c} a where exists (select 1 from {c} b where b.id > a.id)",
        lambda n: n - 1,
    ),
    "a CTE used twice": (
        "with x as not materialized (select id from {c}) select count(*) from x, x y where x.id = y.id",
        lambda n: n,
    ),
    "EXCEPT": (
        "select count(*) from (select id from {c} except all select id from {c}) d",
        lambda n: 0,
    ),
    "two subqueries": (
        "select (select count(*) from {c}) - (select count(*) from {c} where id is not null)",
        lambda n: 0,
    ),
    "a union": ("select count(*) from (select id from {c} union select id from {c}) d", lambda n: n),
}


JOINS = ("enable_hashjoin", "enable_nestloop", "enable_mergejoin")


@pytest.mark.parametrize("case", STATEMENTS)
def test_a_statement_asks_for_a_list_once_however_it_is_joined(
    db: psycopg.Connection, live: Server, requests: Callable[[], list[str]], case: str
) -> None:
    table = live.table("customer")
    statement, result = STATEMENTS[case]
    query = statement.format(c=table)
    customer_count = count(db, f"select count(*) from {table}")
    pages = len(requests())
    for join in JOINS:
        for other in JOINS:
            db.execute(f"set {other} = {'on' if other == join else 'off'}".encode())
        row_count = count(db, query)
        sent = requests()
        lists = [request for request in sent if request.startswith("/v1/customers?")]
        # A nested loop may ask for each object by its id instead, once for each.
        assert len(lists) <= pages
        assert len(set(sent)) == len(sent) <= pages + customer_count
        assert row_count == result(customer_count)


HALFWAY = "pg_advisory_lock_shared(1)"  # where a statement waits for what is done ``halfway``


@contextmanager
def halfway(database: str, act: Callable[[], object]) -> Iterator[None]:
    """Do something when a statement in the block has come to ``HALFWAY``."""

    def act_and_unlock() -> None:
        waiting = "select count(*) from pg_locks where locktype = 'advisory' and not granted"
        wait_until(lambda: count(other, waiting), "the statement's coming half way")
        act()
        other.execute("select pg_advisory_unlock(1)")

    with psycopg.connect(database, autocommit=True) as other, ThreadPoolExecutor(1) as pool:
        other.execute("select pg_advisory_lock(1)")
        done = pool.submit(act_and_unlock)
        yield
        done.result()


def test_a_change_during_a_statement_is_seen_by_no_part_of_it(
    db: psycopg.Connection, database: str, live: Server, changing: SimulatorProcess
) -> None:
    table = live.table("customer")
    with halfway(database, lambda: post(changing, "customers", name="Late Comer")):
        first, _, second = db.execute(
            f"select (select count(*) from {table}), {HALFWAY}, (select count(*) from {table})".encode()
        ).fetchone() or (0, 0, 1)
    assert first == second
    assert count(db, f"select count(*) from {table}") == first + 1


def test_an_object_that_a_loop_asks_for_twice_is_the_same_both_times(
    db: psycopg.Connection,
    database: str,
    live: Server,
    changing: SimulatorProcess,
    requests: Callable[[], list[str]],
) -> None:
    customer = post(changing, "customers", name="before")
    table = live.table("customer")
    query = (
        f"select (select name from {table} where id = '{customer['id']}'), {HALFWAY},"
        f" (select name from {table} where id = '{customer['id']}')"
    )
    with halfway(database, lambda: post(changing, f"customers/{customer['id']}", name="after")):
        assert [row[::2] for row in db.execute(query.encode())] == [("before", "before")]
    assert len(requests()) == 1
    assert one(db, f"select name from {table} where id = '{customer['id']}'") == "after"


def test_each_statement_of_a_transaction_sees_stripe_anew(
    db: psycopg.Connection, live: Server, changing: SimulatorProcess
) -> None:
    table = live.table("customer")
    with db.transaction():
        db.execute("set transaction isolation level repeatable read")
        customer = post(changing, "customers", name="one")
        query = f"select name from {table} where id = '{customer['id']}'"
        assert one(db, query) == "one"
        post(changing, f"customers/{customer['id']}", name="two")
        assert one(db, query) == "two"


def test_a_nested_loop_repeats_no_request(
    db: psycopg.Connection, live: Server, requests: Callable[[], list[str]]
) -> None:
    table = live.table("customer")
    ids = column(db, f"select id from {table} order by created desc limit 2")
    db.execute("create temp table wanted (id text)")
    for _ in range(2):
        db.execute("insert into wanted select unnest(%s::text[])", (ids,))
    db.execute("analyze wanted")
    requests()
    each = f"(select id from {table} c where c.id = w.id offset 0) x"
    row_count = count(db, f"select count(*) from wanted w, lateral {each}")
    db.execute("drop table wanted")
    assert row_count == 4
    assert sorted(requests()) == sorted(f"/v1/customers/{identifier}?" for identifier in ids)


# -- the cache ----------------------------------------------------------------------------------------------


def test_an_answer_is_served_until_it_is_too_old(
    db: psycopg.Connection, servers: Servers, changing: SimulatorProcess, requests: Callable[[], list[str]]
) -> None:
    server = servers("customer", mapping=MAPPING, api_base=changing.url, cache_ttl=1, **FAST)
    customer = post(changing, "customers", name="old")
    query = f"select name from {server.table('customer')} where id = '{customer['id']}'"
    asked_at = time.monotonic()
    assert one(db, query) == "old"
    answered_at = time.monotonic()
    post(changing, f"customers/{customer['id']}", name="new")
    assert one(db, query) == "old" or time.monotonic() - asked_at > 1
    time.sleep(max(0, answered_at + 1.1 - time.monotonic()))
    assert one(db, query) == "new"


WAYS = {
    "an INSERT": "insert into {0} (resource, id) values ('customer', '{1}')",
    "an INSERT of a query": "insert into {0} (resource, id) select 'customer', unnest(array['cus_1', '{1}'])",
    "an INSERT about all": "insert into {0} (resource) values ('customer')",
}


@pytest.mark.parametrize("way", WAYS)
def test_an_invalidation_in_one_backend_applies_to_all(
    db: psycopg.Connection, database: str, cached: Server, changing: SimulatorProcess, way: str
) -> None:
    table = cached.table("customer")
    newest = f"newest {time.monotonic_ns()}"
    first = post(changing, "customers", name="old")
    second = post(changing, "customers", name="old")
    point = f"select name from {table} where id = '%s'"
    listed = f"select name from {table} order by created desc, id limit 200"
    with psycopg.connect(database, autocommit=True) as reader:
        for session in (db, reader):
            assert one(session, point % first["id"]) == one(session, point % second["id"]) == "old"
            assert newest not in column(session, listed)
        post(changing, f"customers/{first['id']}", name=newest)
        post(changing, f"customers/{second['id']}", name=newest)
        assert one(db, point % first["id"]) == one(reader, point % first["id"]) == "old"
        db.execute(WAYS[way].format(cached.table("_invalidation"), first["id"]).encode())
        for session in (db, reader):
            assert one(session, point % first["id"]) == newest
            assert newest in column(session, listed)
        if "about all" not in way:
            assert one(reader, point % second["id"]) == "old"


def test_invalidating_an_object_invalidates_the_lists_inside_it(
    db: psycopg.Connection, cached: Server, requests: Callable[[], list[str]]
) -> None:
    invoice = one(db, f"select id from {cached.table('invoice')} limit 1")
    subscription = one(db, f"select id from {cached.table('subscription')} limit 1")
    lines = f"select count(*) from {cached.table('line_item')} where invoice = '{invoice}'"
    items = f"select count(*) from {cached.table('subscription_item')} where subscription = '{subscription}'"
    for query, parent in ((lines, "invoice"), (items, "subscription")):
        count(db, query)
        requests()
        count(db, query)
        assert requests() == []
        db.execute(f"insert into {cached.table('_invalidation')} (resource) values ('{parent}')".encode())
        count(db, query)
        assert len(requests()) == 1, parent


def test_a_wrong_invalidation_is_refused_with_a_reason(db: psycopg.Connection, cached: Server) -> None:
    table = cached.table("_invalidation")
    assert "custmer" in said(failing(db, f"insert into {table} (resource) values ('custmer')"))
    assert "resource" in said(failing(db, f"insert into {table} (id) values ('cus_1')"))
    assert column(db, f"select resource from {table}") == []


def test_a_failure_is_not_cached(db: psycopg.Connection, cached: Server, changing: SimulatorProcess) -> None:
    query = f"select count(*) from {cached.table('customer')} where email is null or true"
    db.execute(f"insert into {cached.table('_invalidation')} (resource) values ('customer')".encode())
    changing.control("POST", "/faults", {"kind": "html", "path": "/v1/customers", "skip": 1})
    try:
        failing(db, query)
        assert count(db, query) > 100
    finally:
        changing.control("DELETE", "/faults")


def test_a_missing_object_is_looked_for_again_when_it_was_said_to_be_there(
    db: psycopg.Connection, cached: Server, changing: SimulatorProcess
) -> None:
    email = f"late{time.monotonic_ns()}@comer.example"
    query = f"select count(*) from {cached.table('customer')} where email = '{email}'"
    assert count(db, query) == 0
    customer = post(changing, "customers", email=email)
    assert count(db, query) == 0
    db.execute(
        f"insert into {cached.table('_invalidation')} values ('customer', '{customer['id']}')".encode()
    )
    assert count(db, query) == 1


def test_roles_do_not_see_each_others_cached_answers(
    db: psycopg.Connection, database: str, cached: Server, changing: SimulatorProcess, host: str
) -> None:
    role = f"other_{host}_{time.monotonic_ns()}"
    db.execute(f"create role {role}".encode())
    db.execute(f"grant usage on schema {cached.name} to {role}".encode())
    db.execute(f"grant select on {cached.table('customer')} to {role}".encode())
    key = "rk_test_51OtherRole000"
    db.execute(f"create user mapping for {role} server {cached.name} options (api_key '{key}')".encode())
    changing.control("POST", "/keys", {"restricted": {key: []}})
    query = f"select count(*) from {cached.table('customer')}"
    try:
        assert count(db, query) > 100
        db.execute(f"set role {role}".encode())
        error = refused(lambda: db.execute(query.encode()))
        assert "required permissions" in said(error)
    finally:
        db.execute("reset role")
        db.execute(f"drop owned by {role}".encode())
        db.execute(f"drop user mapping if exists for {role} server {cached.name}".encode())
        db.execute(f"drop role {role}".encode())
        changing.control("DELETE", "/keys")
    assert count(db, query) > 100


def test_half_a_list_in_the_cache_is_not_taken_for_the_whole(db: psycopg.Connection, cached: Server) -> None:
    table = cached.table("customer")
    db.execute("begin")
    db.execute(f"declare c cursor for select id from {table}")
    db.execute("fetch 3 from c")
    db.execute("commit")
    customer_count = count(db, f"select count(*) from {table}")
    assert customer_count > 100
    assert count(db, f"select count(distinct id) from {table}") == customer_count


def test_a_partly_read_list_is_continued_from_the_cache(
    db: psycopg.Connection, cached: Server, live: Server, changing: SimulatorProcess
) -> None:
    table = cached.table("customer")
    query = "select id, created from {} order by created desc limit 150"
    before = db.execute(query.format(live.table("customer")).encode()).fetchall()
    db.execute("begin")
    db.execute(f"declare c cursor for select id from {table} order by created desc")
    db.execute("fetch 3 from c")
    db.execute("close c")
    db.execute("commit")
    for number in range(3):
        post(changing, "customers", name=f"Late {number}")
    for _ in range(2):
        assert db.execute(query.format(table).encode()).fetchall() == before


def test_each_statement_counts_its_own_requests(
    database: str, servers: Servers, changing: SimulatorProcess, host: str
) -> None:
    if host != "bundled":
        pytest.skip("Multicorn's EXPLAIN ANALYZE tells no requests")
    cached = servers("customer", mapping=MAPPING, api_base=changing.url, cache_ttl=300, **FAST)
    table = cached.table("customer")
    with psycopg.connect(database, autocommit=True) as session:  # one that has nothing in its cache
        session.execute(f"select id from {table} order by created desc limit 100".encode())
        for requests, hits in ((1, 1), (0, 2)):
            query = f"explain (analyze, costs off) select id from {table} order by created desc limit 150"
            lines = "\n".join(row[0] for row in session.execute(query.encode()))
            assert f"Stripe Requests Made: {requests}" in lines
            assert f"Stripe Cache Hits: {hits}" in lines


def test_a_cursor_keeps_its_answer_while_others_are_told_to_forget(
    db: psycopg.Connection, cached: Server
) -> None:
    table = cached.table("customer")
    customer_count = count(db, f"select count(*) from {table}")
    db.execute("begin")
    db.execute(f"declare c cursor for select id from {table}")
    ids = [row[0] for row in db.execute("fetch 10 from c")]
    db.execute(f"insert into {cached.table('_invalidation')} (resource) values ('customer')".encode())
    count(db, f"select count(*) from {table}")
    ids += [row[0] for row in db.execute("fetch all from c")]
    db.execute("commit")
    assert len(ids) == len(set(ids)) == customer_count
