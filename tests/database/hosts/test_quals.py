"""Arguments of a scan: quals with real values, the columns needed, order and a LIMIT hint."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from stripe_fdw.fdw.planning.quals import Qual, SortKey, Unknown
from support.postgres_features import NEEDS_ICU, has_icu

UTC = dt.UTC
MAY = dt.datetime(2024, 5, 1, tzinfo=UTC)
ScansOf = Callable[..., list[tuple[list[Qual], list[str], list[SortKey], int | None]]]


def _scan_recorder(db: psycopg.Connection) -> ScansOf:
    db.execute("set timezone to 'Asia/Tokyo'; set datestyle to 'German'")

    def run(sql: str) -> list[Any]:
        db.execute("select * from calls")
        db.execute(sql)
        calls = db.execute("select what from calls where call = 'open_scan'").fetchall()
        names = {"Qual": Qual, "SortKey": SortKey, "Decimal": Decimal, "datetime": dt, "Unknown": Unknown}
        return [eval(f"({arguments},)", names) for (arguments,) in calls]

    return run


@pytest.fixture
def scans_of(db: psycopg.Connection) -> ScansOf:
    """Run a query and return the arguments of each scan: quals, columns, sort keys, limit."""
    return _scan_recorder(db)


@pytest.fixture(scope="module")
def shared_scans_of(shared_db: psycopg.Connection) -> ScansOf:
    """The same, in the module's session."""
    return _scan_recorder(shared_db)


ALL = ["id", "n", "flag", "amount", "created", "day", "data", "text", "ratio", "small"]

QUALS = [
    ("id = 'a'", ("id", "=", "a")),
    ("'a' = id", ("id", "=", "a")),
    ("id <> 'a'", ("id", "<>", "a")),
    ("id like 'a%'", ("id", "~~", "a%")),
    ("id ilike 'a%'", ("id", "~~*", "a%")),
    ("n = 3", ("n", "=", 3)),
    ("n = 3::smallint", ("n", "=", 3)),
    ("3 < n", ("n", ">", 3)),
    ("n >= 9000000000", ("n", ">=", 9_000_000_000)),
    ("small = 9000000000", ("small", "=", 9_000_000_000)),
    ("n = '7'::text::int", ("n", "=", 7)),
    ("n = length('four')", ("n", "=", 4)),
    ("amount = 12.50", ("amount", "=", Decimal("12.50"))),
    ("amount > 3", ("amount", ">", Decimal("3"))),
    ("amount = 12345678901234567890.123", ("amount", "=", Decimal("12345678901234567890.123"))),
    ("amount = 'NaN'", ("amount", "=", "nan")),
    ("ratio < 1.5", ("ratio", "<", 1.5)),
    ("flag", ("flag", "=", True)),
    ("not flag", ("flag", "=", False)),
    ("flag = true", ("flag", "=", True)),
    ("flag = false", ("flag", "=", False)),
    ("flag <> true", ("flag", "=", False)),
    ("flag is true", ("flag", "=", True)),
    ("flag is false", ("flag", "=", False)),
    ("flag is unknown", ("flag", "is null", None)),
    ("flag is not unknown", ("flag", "is not null", None)),
    ("flag is not true", None),
    ("id is null", ("id", "is null", None)),
    ("data is not null", ("data", "is not null", None)),
    ("id in ('a', 'b')", ("id", "= any", ("a", "b"))),
    ("id not in ('a', 'b')", ("id", "<> all", ("a", "b"))),
    ("id = any('{a,NULL,b}')", ("id", "= any", ("a", None, "b"))),
    ("n in (1, 2)", ("n", "= any", (1, 2))),
    ("n = any(array[1, 2]::bigint[])", ("n", "= any", (1, 2))),
    ("n = any('{}'::bigint[])", ("n", "= any", ())),
    ("n = any(array(select 3))", ("n", "= any", (3,))),
    ("n < any('{1,2}')", None),
    ("amount in (1, 2.5)", ("amount", "= any", (Decimal("1"), Decimal("2.5")))),
    ("created = '2024-05-01 09:00+09'", ("created", "=", MAY)),
    ("created > '2024-05-01 09:00'", ("created", ">", MAY)),
    ("created >= date '2024-05-01'", ("created", ">=", dt.datetime(2024, 4, 30, 15, tzinfo=UTC))),
    ("created < timestamp '2024-05-01 09:00'", ("created", "<", MAY)),
    ("created < '2024-05-01 09:00:00.25+09'", ("created", "<", MAY + dt.timedelta(milliseconds=250))),
    ("created < 'infinity'", None),
    ("created > '-infinity'", None),
    ("created < '20000-01-01'", None),
    ("created > '0044-03-15 BC'", None),
    ("created < date '300000-01-01'", None),
    ("date '300000-01-01' <= created", None),
    ("created < date 'infinity'", None),
    ("created > timestamp '-infinity'", None),
    ("created > timestamp '4714-11-24 00:00:00 BC'", None),
    ("created < (select date '300000-01-01')", None),
    ("created < (select timestamp '2024-05-01 09:00')", ("created", "<", MAY)),
    ("created in ('2024-05-01 09:00+09', 'infinity')", None),
    ("day = '2024-05-01'", ("day", "=", dt.date(2024, 5, 1))),
    ("day < 'infinity'", None),
    ("day < timestamptz '2024-05-01'", None),
    ("""data @> '{"a": [1, 2.5, null]}'""", ("data", "@>", {"a": [1, 2.5, None]})),
    ("data ? 'a'", ("data", "?", "a")),
    ("data ->> 'a' = 'b'", ("data", "=", "b", ("a",))),
    ("id = 'a' or n = 3", None),
    ("id = 'a' or id = 'b'", ("id", "= any", ("a", "b"))),
    ("id = 'a' or (id = 'b' or 'c' = id)", ("id", "= any", ("a", "b", "c"))),
    ("id = 'a' or id in ('b', 'c') or id = any('{d,NULL}')", ("id", "= any", ("a", "b", "c", "d", None))),
    ("id = any('{{b,c},{d,e}}')", []),
    ("id = any('{a}') or id = any('{{b,c},{d,e}}')", []),
    ("id = 'a' or id = (select 'b'::text) or id = any(array(select 'c'))", ("id", "= any", ("a", "b", "c"))),
    ("id = (select null::text) or id = any((select null::text[])::text[])", ("id", "= any", ())),
    ("(id = 'a' or id = 'b') and n = 1", [("id", "= any", ("a", "b")), ("n", "=", 1)]),
    ("n = 3 or n = 9000000000", ("n", "= any", (3, 9_000_000_000))),
    ("created = '2024-05-01 09:00' or created = timestamp '2024-05-01'",
     ("created", "= any", (MAY, MAY - dt.timedelta(hours=9)))),
    ("created = '2024-05-01 09:00' or created = 'infinity'", None),
    ("created = '2024-05-01 09:00' or created = date '300000-01-01'", None),
    ("day = '2024-05-01' or day = (select 'infinity'::date)", None),
    ("id = 'a' or id > 'b'", None),
    ("id = 'a' or id <> 'b'", None),
    ("id = 'a' or id not in ('b', 'c')", None),
    ("id = 'a' or id is null", None),
    ("id = 'a' or lower(id) = 'b'", None),
    ("id = 'a' or id operator(public.=) 'b'", None),
    ("id = 'a' or id = 'b' collate blind", None),
    ("id = 'a' or id = text", None),
    ("id = 'a' or (id = 'b' and n = 1)", None),
    ("id = 'a' or flag", None),
    ("flag or flag is null", None),
    ("not (id = 'a' or id = 'b')", [("id", "<>", "a"), ("id", "<>", "b")]),
    ("not (id = 'a')", ("id", "<>", "a")),
    ("lower(id) = 'a'", None),
    ("id || '' = 'a'", None),
    ("id = text", None),
    ("n + 1 = 3", None),
    ("id is distinct from 'a'", None),
    ("(id, n) = ('a', 3)", [("id", "=", "a"), ("n", "=", 3)]),
    ("(id, n) < ('a', 3)", None),
    ("n between 1 and 5", [("n", ">=", 1), ("n", "<=", 5)]),
    ("n = random()", None),
    ("id = current_user", ("id", "=", "postgres")),
    ("id = (select 'a'::text)", ("id", "=", "a")),
    ("n = (select max(i) from generate_series(1, 4) i)", ("n", "=", 4)),
    ("id < 'a' collate \"C\"", ("id", "<", "a")),
    ("id < 'a' collate \"en-x-icu\"", None),
    ("id = 'a' collate \"en-x-icu\"", ("id", "=", "a")),
    ("id = 'a' collate blind", None),
    ("id = any('{a}' collate blind)", None),
    ("id operator(public.=) 'a'", None),
    ("n = 4.0", None),
    ("id = 'a'::char(3)", ("id", "=", "a")),
    ("id = 'é€😀'", ("id", "=", "é€😀")),
    ("true", []),
]  # fmt: skip


def marks(where: str) -> list[pytest.MarkDecorator]:
    """Skip conditions with ICU's collations where Postgres has none."""
    return [NEEDS_ICU] if "collate blind" in where or "-icu" in where else []


@pytest.fixture(scope="module")
def odd_things(shared_db: psycopg.Connection) -> None:
    db = shared_db
    if has_icu():
        db.execute(
            "create collation if not exists blind "
            "(provider = icu, locale = 'und-u-ks-level2', deterministic = false)"
        )
    if not db.execute(
        "select 1 from pg_operator where oprname = '=' and oprnamespace = 'public'::regnamespace"
    ).fetchone():
        db.execute("create function public.eq(text, text) returns boolean language sql as 'select true'")
        db.execute("create operator public.= (leftarg = text, rightarg = text, function = public.eq)")


@pytest.mark.parametrize(("where", "expected"), [pytest.param(*qual, marks=marks(qual[0])) for qual in QUALS])
def test_qual(where: str, expected: Any, shared_scans_of: ScansOf, odd_things: None) -> None:
    [(quals, *_)] = shared_scans_of(f"select id from t where {where}")
    wanted = [] if expected is None else expected if isinstance(expected, list) else [expected]
    if wanted and wanted[0][2] == "nan":
        assert str(quals[0].value) == "NaN"
        return
    assert sorted(quals, key=str) == sorted((Qual(*item) for item in wanted), key=str)
    assert [type(qual.value) for qual in quals] == [type(qual.value) for qual in quals]


@pytest.mark.parametrize("where", [pytest.param(where, marks=marks(where)) for where, _ in QUALS])
def test_rows_are_those_of_a_local_table(where: str, shared_db: psycopg.Connection, odd_things: None) -> None:
    shared_db.execute("create temp table if not exists local_t as select * from t")
    there = shared_db.execute(f"select x::text from t x where {where} order by n").fetchall()
    assert there == shared_db.execute(f"select x::text from local_t x where {where} order by n").fetchall()


def test_generic_plans_evaluate_at_every_execution(scans_of: ScansOf, db: psycopg.Connection) -> None:
    db.execute("set plan_cache_mode = force_generic_plan")
    db.execute(
        "prepare q(text, text[], timestamptz, int, int) as select id from t "
        "where id = $1 and text = any($2) and created > $3 - interval '1 day' limit $4 offset $5"
    )
    [(quals, _, _, limit)] = scans_of("execute q('a', '{b,c}', '2024-05-02 00:00Z', 5, 2)")
    assert set(quals) == {
        Qual("id", "=", "a"),
        Qual("text", "= any", ("b", "c")),
        Qual("created", ">", MAY),
    }
    assert limit == 7
    # Comparisons with NULL are true of no row, whatever the operator.
    [(quals, _, _, limit)] = scans_of("execute q('d', NULL, NULL, NULL, NULL)")
    assert set(quals) == {Qual("id", "=", "d"), Qual("text", "=", None), Qual("created", "=", None)}
    assert limit is None


def test_in_with_parameters_under_a_generic_plan(scans_of: ScansOf, db: psycopg.Connection) -> None:
    db.execute("set plan_cache_mode = force_generic_plan")
    db.execute("prepare q(text, text) as select id from t where id in ($1, $2)")
    assert scans_of("execute q('a', NULL)")[0][0] == [Qual("id", "= any", ("a", None))]


def test_alternatives_under_a_generic_plan(scans_of: ScansOf, db: psycopg.Connection) -> None:
    db.execute("set plan_cache_mode = force_generic_plan")
    db.execute("prepare q(text, text, text[]) as select id from t where id = $1 or id = $2 or id = any($3)")
    assert scans_of("execute q('a', 'b', '{c,d}')")[0][0] == [Qual("id", "= any", ("a", "b", "c", "d"))]
    assert scans_of("execute q('a', NULL, NULL)")[0][0] == [Qual("id", "= any", ("a",))]
    assert scans_of("execute q('a', 'b', '{}')")[0][0] == [Qual("id", "= any", ("a", "b"))]
    assert db.execute("execute q('id1', NULL, '{id2,no}')").fetchall() == [("id1",), ("id2",)]
    plan = "\n".join(line for (line,) in db.execute("explain execute q('a', 'b', '{c}')"))
    assert "Quals: id = ANY ('a', 'b', 'c')" in plan


def test_alternatives_of_a_join(scans_of: ScansOf, db: psycopg.Connection, table: Callable[..., str]) -> None:
    db.execute("create temp table pairs as select 'id1' as a, 'id2' as b; analyze pairs")
    name = table(estimate=1000000, rows=3)
    sql = f"select n from pairs join {name} on id = a or id = b or id = 'id0'"
    assert scans_of(sql)[0][0] == [Qual("id", "= any", ("id1", "id2", "id0"))]
    assert sorted(db.execute(sql).fetchall()) == [(0,), (1,), (2,)]
    plan = "\n".join(line for (line,) in db.execute(f"explain {sql}"))
    assert "id = ANY (<join value>, ...)" in plan


def test_five_hundred_alternatives(scans_of: ScansOf) -> None:
    sql = " or ".join(f"id = 'a{number}'" for number in range(500))
    assert scans_of(f"select id from t where {sql}")[0][0] == [
        Qual("id", "= any", tuple(f"a{number}" for number in range(500)))
    ]


def test_now_is_evaluated_when_the_query_runs(scans_of: ScansOf, db: psycopg.Connection) -> None:
    db.execute("set plan_cache_mode = force_generic_plan")
    db.execute("prepare recent as select id from t where created > now() - interval '7 days'")
    first = scans_of("execute recent")[0][0][0].value
    second = scans_of("execute recent")[0][0][0].value
    assert second > first
    assert abs(dt.datetime.now(UTC) - dt.timedelta(days=7) - second) < dt.timedelta(seconds=20)
    assert scans_of("select id from t where created > current_timestamp")[0][0][0].operator == ">"
    assert scans_of("select id from t where created > current_date")[0][0][0].operator == ">"
    assert scans_of("select id from t where id = current_setting('timezone')")[0][0] == [
        Qual("id", "=", "Asia/Tokyo")
    ]


@pytest.mark.parametrize(
    ("select", "columns"),
    [
        ("id", ["id"]),
        ("n, id", ["id", "n"]),
        ("count(*)", []),
        ("1", []),
        ("tableoid::regclass", []),
        ("*", ALL),
        ("x", ALL),
        ("row_to_json(x)", ALL),
        ("x is null", ALL),
        ("sum(n) filter (where flag)", ["n", "flag"]),
    ],
)
def test_columns(select: str, columns: list[str], shared_scans_of: ScansOf) -> None:
    assert shared_scans_of(f"select {select} from t x")[0][1] == columns


def test_columns_of_conditions_are_read_too(scans_of: ScansOf) -> None:
    assert scans_of("select id from t where n = 1 and lower(text) = 'a' order by day")[0][1] == [
        "id",
        "n",
        "day",
        "text",
    ]


@pytest.mark.parametrize(
    ("sql", "limit"),
    [
        ("select id from t limit 5", 5),
        ("select id from t limit 5 offset 10", 15),
        ("select id from t where n = 1 limit 5", 5),
        ("select id from t order by n limit 5", 5),
        ("select id from t limit 0", "not opened"),
        ("select id from t where lower(id) = 'a' limit 5", None),
        ("select id from t order by id limit 5", None),
        ("select id from t order by n desc limit 5", None),
        ("select distinct id from t limit 5", None),
        ("select count(*) from t limit 5", None),
        ("select id, count(*) from t group by id limit 5", None),
        ("select id from t order by n fetch first 2 rows with ties", None),
        ("select generate_series(1, 3), id from t limit 5", None),
        ("select sum(n) over () from t limit 5", None),
        ("select id from t union all select id from t limit 5", None),
        ("select * from (select id from t) x limit 5", 5),
        ("select * from (select id from t limit 5) x where id = 'a'", 5),
        ("select t.id from t, generate_series(1, 2) limit 5", None),
        ("select id from t limit (select 5)", 5),
        ("select id from t limit 2 + 3", 5),
    ],
)
def test_limit(sql: str, limit: Any, shared_scans_of: ScansOf) -> None:
    calls = shared_scans_of(sql)
    if limit == "not opened":
        assert calls == []
    else:
        assert {call[3] for call in calls} == {limit}


@pytest.mark.parametrize(
    ("order", "keys"),
    [
        ("n", [SortKey("n")]),
        ("created", [SortKey("created")]),
        ("created desc", []),
        ("created, n", [SortKey("created")]),
        ("id", []),
        ('id collate "C"', []),
        ("lower(id), n", []),
    ],
)
def test_sort(order: str, keys: list[SortKey], shared_scans_of: ScansOf) -> None:
    assert shared_scans_of(f"select id, n from t order by {order}")[0][2] == keys


def test_sort_keys_offered(db: psycopg.Connection, table: Callable[..., str]) -> None:
    name = table('c text collate "C", created timestamptz, n bigint, id text', estimate=10_000, sorts="keys")
    plan = db.execute(
        f"explain select * from {name} order by created desc, n desc nulls last, c nulls first, id limit 9"
    ).fetchall()
    assert any("Sort: created DESC, n DESC NULLS LAST, c NULLS FIRST" in line for (line,) in plan)
    assert any("Incremental Sort" in line for (line,) in plan)


def test_order_is_right_through_a_pushed_sort(db: psycopg.Connection) -> None:
    assert db.execute("select n from t order by n").fetchall() == [(0,), (1,), (2,)]
    assert db.execute("select n from t order by n desc").fetchall() == [(2,), (1,), (0,)]
    assert db.execute("select n from t order by created, id desc limit 2").fetchall() == [(0,), (1,)]


def test_an_order_of_another_operator_class_is_left_to_postgres(
    scans_of: ScansOf, db: psycopg.Connection
) -> None:
    db.execute(
        """
        create function backwards(bigint, bigint) returns int language sql immutable
            as 'select btint8cmp($2, $1)';
        create operator <~ (leftarg = bigint, rightarg = bigint, function = int8gt);
        create operator ~> (leftarg = bigint, rightarg = bigint, function = int8lt);
        create operator class backwards for type bigint using btree
            as operator 1 <~, operator 3 =, operator 5 ~>, function 1 backwards (bigint, bigint);
        """
    )
    try:
        for order, keys in {"<~": [], "~>": [], "<": [SortKey("n")]}.items():
            assert scans_of(f"select n from t order by n using {order}")[0][2] == keys
        assert db.execute("select n from t order by n using <~").fetchall() == [(2,), (1,), (0,)]
    finally:
        db.execute("drop operator family backwards using btree")
        db.execute("drop operator <~ (bigint, bigint); drop operator ~> (bigint, bigint)")
        db.execute("drop function backwards")


def test_parameterised_nested_loop(
    scans_of: ScansOf, db: psycopg.Connection, table: Callable[..., str]
) -> None:
    db.execute("create temp table orgs (stripe_id text, name text)")
    db.execute("insert into orgs values ('id1', 'one'), ('id2', 'two'), (null, 'none')")
    db.execute("analyze orgs")
    name = table(estimate=1000000, rows=3)
    calls = scans_of(f"select name, n from orgs join {name} on id = stripe_id")
    assert [call[0] for call in calls] == [
        [Qual("id", "=", "id1")],
        [Qual("id", "=", "id2")],
        [Qual("id", "=", None)],
    ]
    sql = f"select name, n from orgs join {name} on id = stripe_id order by 1"
    assert db.execute(sql).fetchall() == [("one", 1), ("two", 2)]
    plan = "\n".join(line for (line,) in db.execute(f"explain {sql}"))
    assert "Quals: id = <join value>" in plan


def test_explain_knows_the_value_of_a_subquery_once_it_has_run(
    db: psycopg.Connection, table: Callable[..., str]
) -> None:
    name = table(rows=3)

    def explained(options: str, condition: str) -> str:
        statement = f"explain ({options}) select n from {name} where {condition}"
        return "\n".join(row[0] for row in db.execute(statement.encode()))

    one, several = "id = (select 'id' || count(*) from t where n < 2)", "id = any (array(select id from t))"
    assert "Quals: id = <subquery value>" in explained("costs off", one)
    assert "Quals: id = 'id2'" in explained("analyze", one)
    assert "Quals: id = ANY (<subquery value>)" in explained("costs off", several)
    assert "Quals: id = ANY ('id0', 'id1', 'id2')" in explained("analyze", several)
    assert "Limit hint: 2" in explained("analyze", "true limit (select count(*) from t where n < 2)")
    twice = f"select * from {name} a cross join {name} b where a.{one} and b.{one}"
    lines = "\n".join(row[0] for row in db.execute(f"explain analyze {twice}".encode()))
    assert lines.count("Quals: id = 'id2'") == 2
    # A subquery that runs for each row of a join's other side
    joined = f"select (select n from {name} b where b.id = a.id) from {name} a"
    lines = "\n".join(row[0] for row in db.execute(f"explain analyze {joined}".encode()))
    assert "Quals: id = <join value>" in lines


def test_statistics_of_all_the_scans_of_a_join_are_added(
    db: psycopg.Connection, table: Callable[..., str]
) -> None:
    name = table(estimate=1000000, rows=3)
    db.execute("create temp table ids as select 'id' || i as id from generate_series(1, 5) i; analyze ids")
    plan = "\n".join(r[0] for r in db.execute(f"explain analyze select * from ids join {name} using (id)"))
    assert "loops=5" in plan
    assert "Rows read: 15" in plan


def test_parameterised_paths_through_lateral_and_subqueries(
    db: psycopg.Connection, table: Callable[..., str]
) -> None:
    name = table(estimate=1000000, rows=3)
    lateral = db.execute(
        f"select v, n from (values ('id0'), ('id2')) x(v), "
        f"lateral (select n from {name} where id = v limit 1) y"
    )
    assert sorted(lateral.fetchall()) == [("id0", 0), ("id2", 2)]
    subquery = db.execute(f"select v, (select n from {name} where id = v) from (values ('id0'), ('no')) x(v)")
    assert sorted(subquery.fetchall()) == [("id0", 0), ("no", None)]
    exists = db.execute(
        f"select count(*) from (values ('id0'), ('no')) x(v) where exists (select from {name} where id = v)"
    )
    assert exists.fetchone() == (1,)
    left_join = db.execute(
        f"select count(*) from (values ('id0'), ('no')) x(v) left join {name} on id = v and n = 0"
    )
    assert left_join.fetchone() == (2,)


def test_two_columns_of_a_path_key(db: psycopg.Connection, table: Callable[..., str]) -> None:
    name = table(estimate=1000000, rows=3, paths="[(('id', 'n'), 1)]")
    db.execute("create temp table pairs as select 'id1' as a, 1 as b")
    db.execute("analyze pairs")
    both = "\n".join(r[0] for r in db.execute(f"explain select * from pairs join {name} on id = a and n = b"))
    assert "id = <join value> and n = <join value>" in both
    one_is_constant = "\n".join(
        r[0] for r in db.execute(f"explain select * from pairs join {name} on id = a where n = 3")
    )
    assert "n = 3" in one_is_constant
    assert "id = <join value>" in one_is_constant


def test_a_value_that_needs_another_scan(db: psycopg.Connection, table: Callable[..., str]) -> None:
    sql = "select n from t where n = (select count(*) - 1 from t) limit (select count(*) from t where n < 2)"
    assert db.execute(sql).fetchall() == [(2,)]
    name = table(**{"fail": "next_batch", "with": "value"})
    with pytest.raises(psycopg.Error, match="bad value"):
        db.execute(f"select n from t where n = (select count(*) from {name})")
    assert db.execute(sql).fetchall() == [(2,)]


def test_explain_of_what_is_not_known_yet(db: psycopg.Connection) -> None:
    db.execute("set plan_cache_mode = force_generic_plan")
    db.execute("prepare q(text, int) as select id from t where id = $1 and n > $2 + 1 limit $2")
    plan = "\n".join(line for (line,) in db.execute("explain (verbose) execute q('a', 3)"))
    assert "Quals: id = 'a' and n > 4" in plan
    assert "Limit hint: 3" in plan
    analyzed = "\n".join(line for (line,) in db.execute("explain (analyze, costs off) execute q('a', 3)"))
    assert "Rows read: 3" in analyzed
    for form in ("json", "xml", "yaml"):
        assert "Limit hint" in str(db.execute(f"explain (format {form}) select * from t").fetchall()).replace(
            "-", " "
        )


@pytest.mark.parametrize(
    "condition", ["n > {}", "n = {}", "n <> {}", "n = any({}::int[])", "n <> all({}::int[])"]
)
def test_a_comparison_with_null_is_told_as_never_true(
    scans_of: ScansOf, db: psycopg.Connection, table: Callable[..., str], condition: str
) -> None:
    name = table()
    db.execute("set plan_cache_mode = force_generic_plan")
    kind = "int[]" if "[]" in condition else "int"
    db.execute(f"prepare p ({kind}) as select n from {name} where {condition.format('$1')}")
    (call,) = scans_of("execute p (null)")
    assert call[0] == [Qual("n", "=", None)]
