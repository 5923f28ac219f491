"""Queries known to break foreign data wrappers, on live tables and on a plain table of the same rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from stripe_fdw.catalog import load
from stripe_simulator.process import SimulatorProcess
from support.database import Servers, column, count, not_under_multicorn2, one

LIVE = "stripe_live.customer"
KEY = {"api_key": "sk_test_51HazardsOfTheTests00000"}


@pytest.fixture(scope="module")
def plain(database: str, host: str) -> Iterator[str]:
    """A plain table of the live customers, whom no test changes."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(f"create table plain as select * from {LIVE}".encode())
        if host == "multicorn2":  # a whole row lacks expanded columns there
            columns = [column.name for column in load().resource["customer"].columns if column.expand]
            connection.execute(f"update plain set {', '.join(f'{name} = null' for name in columns)}".encode())
        yield "plain"
        connection.execute("drop table plain")


@pytest.fixture
def both(db: psycopg.Connection, plain: str) -> Callable[..., list[Any]]:
    """Run a query on live customers; its rows must be those of a plain table."""

    def run(query: str, *parameters: object) -> list[Any]:
        live, local = (
            db.execute(query.replace("{t}", name).encode(), parameters or None).fetchall()
            for name in (LIVE, plain)
        )
        assert sorted(map(repr, live)) == sorted(map(repr, local))
        return live

    return run


WHOLE_ROWS = {
    "a row": "select x.id, (x).email, x is null, x is not null from {t} x",
    "counted": "select count(x), count(distinct x.id) from {t} x",
    "as JSON": "select to_jsonb(x) - '_raw' from {t} x order by id limit 50",
    "in a join": "select a.id, (b).created from {t} a join {t} b on a.id = b.id and (b).balance = a.balance",
    "in a subquery": "select (x.y).id, (x.y)._raw ->> 'id' from (select c as y from {t} c offset 0) x",
    "aggregated": "select id, (array_agg(x))[1].email from {t} x group by id",
    "beside nothing else": "select count(*) from {t} x where x is distinct from null",
    "with a qual": "select row_to_json(x) ->> 'email' from {t} x where delinquent and balance = 0",
}


@pytest.mark.parametrize("case", WHOLE_ROWS)
def test_whole_rows(both: Callable[..., list[Any]], case: str) -> None:
    assert both(WHOLE_ROWS[case])


def test_generic_plans_with_lists_of_parameters(
    db: psycopg.Connection, both: Callable[..., list[Any]]
) -> None:
    ids = [str(identifier) for identifier in column(db, "select id from plain order by id limit 6")]
    db.execute("set plan_cache_mode = force_generic_plan")
    for name, table in (("live", LIVE), ("local", "plain")):
        for kind, where in {
            "two": "id in ($1, $2)",
            "many": "id = any($1) and id <> $2",
            "either": "id = $1 or id = $2",
            "neither": "id not in ($1, $2) and id < 'cus_5'",
            "range": "created >= $1 and created < $2",
            "mixed": "id in ($1, 'cus_none', $2) and created > now() - interval '100 years'",
        }.items():
            types = {"many": "text[], text", "range": "timestamptz, timestamptz"}.get(kind, "text, text")
            statement = f"prepare {name}_{kind} ({types}) as select id, created from {table} where {where}"
            db.execute(statement.encode())
    array = "{" + ",".join(ids) + "}"
    for kind, first, second in [
        ("two", ids[0], ids[1]),
        ("two", ids[0], ids[0]),
        ("two", ids[0], None),
        ("two", None, None),
        ("two", "cus_none", ids[2]),
        ("many", array, ids[3]),
        ("many", "{}", ids[3]),
        ("many", None, ids[3]),
        ("either", ids[4], ids[5]),
        ("either", ids[4], None),
        ("neither", ids[0], ids[1]),
        ("mixed", ids[1], ids[2]),
        ("range", "2023-01-01 00:00+05", "2025-01-01"),
        ("range", "-infinity", "infinity"),
        ("range", None, "2025-01-01"),
    ]:
        values = ", ".join("null" if value is None else f"'{value}'" for value in (first, second))
        live, local = (
            sorted(db.execute(f"execute {name}_{kind}({values})".encode()).fetchall())
            for name in ("live", "local")
        )
        assert live == local, (kind, values)


STYLES = ["ISO, DMY", "German", "SQL, DMY", "SQL, MDY", "Postgres, MDY", "Postgres, DMY"]
ZONES = ["UTC", "Asia/Tokyo", "Asia/Kolkata", "America/St_Johns", "Europe/London", "-03:30", "EST5EDT"]


@pytest.mark.parametrize("style", STYLES)
def test_times_in_any_style_and_zone(
    db: psycopg.Connection, both: Callable[..., list[Any]], style: str
) -> None:
    times = column(db, "select extract(epoch from created)::bigint from plain order by created")
    middle, late = times[len(times) // 2], times[-20]
    for zone in ZONES:
        db.execute(f"set timezone to '{zone}'; set datestyle to '{style}'".encode())
        for seconds, signs in (middle, ("=", ">", ">=", "<", "<=")), (late, (">=",)):
            time = one(db, "select to_timestamp(%s)::text", seconds)
            for sign in signs:
                both(f"select id from {{t}} where created {sign} '{time}'")
        assert both("select id from {t} where created between '2020-03-29 02:30' and '2100-10-25 02:30'")
        both("select id, created::text from {t} where created > date '2024-02-03' limit 0")
        both("select id from {t} where created in (to_timestamp(%s), to_timestamp(%s))", middle, late)


INFINITE = {
    "before": ("created < 'infinity'", True),
    "after": ("created > '-infinity'", True),
    "at": ("created = 'infinity'", False),
    "past the end": ("created >= 'infinity'", False),
    "between": ("created between '-infinity' and 'infinity'", True),
    "one of": ("created in ('infinity', '-infinity')", False),
    "far": ("created < '294276-01-01' and created > '4713-01-02 BC'", True),
    "never": ("created < '0001-01-01 BC'", False),
    "and a bound": ("created > '2001-01-01' and created < 'infinity'", True),
}


@pytest.mark.parametrize("case", INFINITE)
def test_infinite_times(both: Callable[..., list[Any]], case: str) -> None:
    where, has_rows = INFINITE[case]
    assert bool(both(f"select id from {{t}} where {where}")) == has_rows


OTHER_TYPES = {
    "before a date that no time can be": ("created < date '300000-01-01'", True),
    "after a date that no time can be": ("created > date '300000-01-01'", False),
    "before a far date of a query": ("created < (select date '300000-01-01')", True),
    "at a far date or a bound": ("created = date '300000-01-01' or created > '2001-01-01'", True),
    "after the first timestamp": ("created > timestamp '4714-11-24 00:00:00 BC'", True),
    "an infinite date": ("created < date 'infinity'", True),
    "an infinite timestamp": ("created >= timestamp 'infinity'", False),
}


@pytest.mark.parametrize("case", OTHER_TYPES)
def test_dates_and_timestamps_beyond_the_range_of_times(
    both: Callable[..., list[Any]], host: str, case: str
) -> None:
    not_under_multicorn2(host, "such a date is an error of Multicorn's")
    where, has_rows = OTHER_TYPES[case]
    assert bool(both(f"select id from {{t}} where {where}")) == has_rows


@pytest.mark.usefixtures("plain")
def test_limits_in_views_with_quals(db: psycopg.Connection) -> None:
    name = str(one(db, "select name from plain where name is not null order by created limit 1"))
    email = str(one(db, "select email from plain where name = %s limit 1", name))
    for kind, table in (("live", LIVE), ("local", "plain")):
        for view, body in {
            "named": "select * from {t} where name is not null",
            "latest": "select * from {t} order by created desc limit 50",
            "some": "select * from (table {t}) x where balance >= 0 order by created desc, id limit 40",
        }.items():
            statement = f"create temp view {kind}_{view} as {body.replace('{t}', table)}"
            db.execute(statement.encode())
    for query, parameters in [
        ("select count(*) from (select * from {v}_named where name = %s limit 5) x", (name,)),
        ("select count(*) from (select * from {v}_named where lower(email) = lower(%s) limit 1) x", (email,)),
        ("select count(*) from (select * from {v}_named where email = %s offset 1 limit 3) x", (email,)),
        ("select id from {v}_latest where name = %s", (name,)),
        ("select id from {v}_latest where created < now() order by id limit 7", ()),
        ("select id from {v}_some where delinquent order by id limit 3", ()),
        ("select count(*) from {v}_some a join {v}_latest b using (id)", ()),
    ]:
        live, local = (
            db.execute(query.replace("{v}", kind).encode(), parameters).fetchall()
            for kind in ("live", "local")
        )
        assert live == local, query


def test_a_session_bears_one_failure_after_the_other(
    db: psycopg.Connection, calm: SimulatorProcess, servers: Servers
) -> None:
    server = servers("customer", mapping=KEY, api_base=calm.url, timeout=0.5)
    table = server.table("customer")
    expected = count(db, f"select count(*) from {table}")
    db.execute(
        """create function pg_temp.tries(query text) returns text language plpgsql as $$ begin
        execute query; return 'fine'; exception when others then return sqlstate; end $$"""
    )
    for kind in ("html", "half", "wrong", "empty", "redirect"):
        for skip in (0, 1):
            fault = {"kind": kind, "path": "/v1/customers*", "count": None, "skip": skip}
            calm.control("POST", "/faults", fault)
            with db.transaction():
                if skip:
                    db.execute(f"declare c cursor for select id from {table}".encode())
                    assert len(db.execute("fetch 5 from c").fetchall()) == 5
                for caught, query in (
                    (True, f"select count(*) from {table}"),
                    (False, f"select * from {table} where id in ('cus_1', 'cus_2')"),
                    (True, f"select c from {table} c where email = 'a@b.c'"),
                    (False, f"select * from (values ('cus_1'), ('cus_2')) v (id) join {table} using (id)"),
                ):
                    if caught:
                        assert one(db, "select pg_temp.tries(%s)", query) != "fine"
                        continue
                    with pytest.raises(psycopg.Error), db.transaction():
                        db.execute(query.encode())
            calm.control("DELETE", "/faults")
            assert count(db, f"select count(*) from {table}") == expected


def test_a_cursor_is_left_where_a_query_was_cancelled(
    db: psycopg.Connection, servers: Servers, big: SimulatorProcess
) -> None:
    table = servers("customer", mapping=KEY, api_base=big.url, max_requests_per_second=10_000).table(
        "customer"
    )
    for _ in range(3):
        with db.transaction():
            db.execute(f"declare c cursor for select id, email from {table}".encode())
            first = len(db.execute("fetch 250 from c").fetchall())
            db.execute("savepoint s; set local statement_timeout = 80")
            with pytest.raises(psycopg.errors.Error):
                db.execute(f"select count(*) from {table} where lower(email) = 'x'".encode())
            db.execute("rollback to s")
            rest = len(db.execute("fetch 300 from c").fetchall())
            assert (first, rest) == (250, 300)
    assert count(db, f"select count(*) from (select * from {table} limit 120) x") == 120
