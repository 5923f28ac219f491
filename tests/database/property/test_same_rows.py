"""Whatever is asked, the foreign table gives the rows that a plain table with the same objects gives.

Queries are generated over values that are in the data (so that quals hit) and over some that are not.
Postgres answers each twice: on foreign tables through Stripe, on ``plain`` by itself. No case may differ.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from psycopg import sql

from stripe_fdw.catalog import load
from stripe_simulator.process import SimulatorProcess
from support.database import KEY, Servers, create
from support.simulators import Simulators

# One of each family: a list with filters, one whose default hides rows, one with required filters, lists
# inside objects, one that is not paged by created, an append-only one.
TABLES = (
    "customer",
    "subscription",
    "subscription_item",
    "invoice",
    "line_item",
    "price",
    "product",
    "charge",
    "payment_intent",
    "payment_method",
    "refund",
    "event",
    "balance_transaction",
    "checkout_session",
    "coupon",
)
HOT = {"id", "created", "customer", "status", "subscription", "invoice", "price", "type", "email"}
OPERATORS = (
    *["=", "=", "=", "<>", "<", "<=", ">", ">=", "in", "any", "all", "null"],
    *["between", "like", "distinct", "flipped", "expression"],
)
INSIDE_JSON = (
    *[
        "{} ->> {key} = {value}",
        "{} ->> {key} = {value}",
        "{value} = {} ->> {key}",
        "{} -> {key} = {json}::jsonb",
        "{} @> {object}",
    ],
    *["{} ->> {key} = any (array[{several}]::text[])", "{} ->> {key} is null", "{} ->> {key} <> {value}"],
    "({0} ->> {key} = {value} or {0} ->> {key} = any (array[{several}]::text[]))",
)
CHOSEN = ("gold plan", "25% OFF", "a/b?c=d", "..", "Ünïcøde ☃")  # ids: users choose those of products
ZONES = ("UTC", "America/New_York", "Asia/Kolkata", "Pacific/Chatham")


@dataclass(frozen=True, repr=False, eq=False)
class Sample:
    """A table's columns with their types and some of the values that they hold."""

    table: str
    columns: tuple[tuple[str, str], ...]
    values: dict[str, tuple[Any, ...]]
    metadata: tuple[tuple[str, str], ...] = ()  # keys and values


class Samples(dict[str, Sample]):
    """Samples by table; hypothesis prints it at every step, so it prints short."""

    live: str  # the schema with the foreign tables
    searching: str  # another, whose tables search

    def __repr__(self) -> str:
        return "samples"


@pytest.fixture(scope="module")
def stripe(simulators: Simulators) -> SimulatorProcess:
    """A simulated Stripe, with some products whose ids users chose and with prices of them."""
    simulator = simulators(customers=130, seed=7)
    for chosen in CHOSEN:
        create(simulator, "products", {"id": chosen, "name": chosen})
        create(simulator, "prices", {"product": chosen, "currency": "eur", "unit_amount": 100})
        create(simulator, "coupons", {"id": chosen, "percent_off": 25, "duration": "once"})
    return simulator


@pytest.fixture(scope="module")
def samples(database: str, host: str, stripe: SimulatorProcess) -> Iterator[Samples]:
    """Copy every table into schema ``plain`` and look at its values."""
    copied = Samples()
    with psycopg.connect(database, autocommit=True) as connection:
        servers = Servers(connection, host)
        options = {"api_base": stripe.url, "max_requests_per_second": 10_000}
        copied.live = servers(*TABLES, mapping={"api_key": KEY}, **options).name
        copied.searching = servers(*TABLES, mapping={"api_key": KEY}, **options, use_search="on").name
        connection.execute("drop schema if exists plain cascade")
        connection.execute("create schema plain")
        for table in TABLES:
            connection.execute(
                sql.SQL("create table plain.{0} as select * from {1}.{0}").format(
                    sql.Identifier(table), sql.Identifier(copied.live)
                )
            )
            copied[table] = _look(connection, table)
        yield copied
        servers.drop()


def _look(connection: psycopg.Connection, table: str) -> Sample:
    columns = connection.execute(
        "select attname, format_type(atttypid, null) from pg_attribute"
        " where attrelid = %s::regclass and attnum > 0 and attname not like '\\_%%' order by attnum",
        (f"plain.{table}",),
    ).fetchall()
    resource = load().resource[table]
    # Objects lack the fields that Stripe only filters on: such a column shows the value asked for.
    parents = {parent.column for parent in resource.parents}
    columns = [(name, kind) for name, kind in columns if resource.column[name].path or name in parents]
    values = {}
    for name, kind in columns:
        if kind == "jsonb":
            continue
        rows = connection.execute(
            sql.SQL("select distinct {0} from plain.{1} where {0} is not null limit 40").format(
                sql.Identifier(name), sql.Identifier(table)
            )
        ).fetchall()
        values[name] = tuple(value for (value,) in rows)
    metadata: list[tuple[str, str]] = []
    if ("metadata", "jsonb") in columns:
        metadata = connection.execute(
            sql.SQL(
                "select distinct key, value from plain.{}, jsonb_each_text(metadata) order by 1, 2 limit 40"
            ).format(sql.Identifier(table))
        ).fetchall()
    return Sample(table, tuple(columns), values, tuple(metadata))


def _literal(value: Any, kind: str) -> sql.Composable:
    return sql.SQL("{}::{}").format(sql.Literal(value), sql.SQL(kind))


@st.composite
def values(draw: st.DrawFn, sample: Sample, name: str, kind: str) -> Any:
    """A value of the column's data, or near one, or none at all."""
    inside = sample.values.get(name, ())
    if inside and draw(st.integers(0, 9)) < 7:
        return draw(st.sampled_from(inside))
    match kind:
        case "bigint":
            return draw(st.integers(-(2**63), 2**63 - 1) | st.integers(-10, 1000))
        case "boolean":
            return draw(st.booleans())
        case "timestamp with time zone":
            return draw(
                st.sampled_from(
                    [
                        "2024-05-01 12:00:00.5+02",
                        "2025-03-30 02:30+01",
                        "infinity",
                        "-infinity",
                        "1969-12-31 23:59:59Z",
                    ]
                )
            )
        case "numeric" | "double precision":
            return draw(st.sampled_from([0, "0.5", "12.50", "NaN", -1]))
        case _:
            return draw(
                st.sampled_from(["", "x", "cus_missing", "a b/c?d=e&f", "Ünïcøde ☃", "%", "ACTIVE", "all"])
            )


@st.composite
def inside_json(draw: st.DrawFn, sample: Sample, alias: str) -> sql.Composable:
    """One condition on what is inside metadata."""
    key, _ = draw(st.sampled_from(sample.metadata))

    def value() -> str:
        same_key = [value for name, value in sample.metadata if name == key]
        text = draw(st.sampled_from(same_key) | st.sampled_from(["", "x", "null", "GOLD", "a\\b", "5"]))
        return text.upper() if draw(st.integers(0, 9)) == 0 else text

    form = draw(st.sampled_from(INSIDE_JSON))
    several = [value() for _ in range(draw(st.integers(0, 3)))]
    return sql.SQL(form).format(
        sql.Identifier(alias, "metadata"),
        key=sql.Literal(key),
        value=sql.Literal(several[0] if several else value()),
        json=sql.Literal(json.dumps(value())),
        object=sql.Literal(json.dumps({key: value()})),
        several=sql.SQL(", ").join(map(sql.Literal, several)),
    )


@st.composite
def atoms(draw: st.DrawFn, sample: Sample, alias: str) -> sql.Composable:
    """One condition on one column, or on what is inside it."""
    if sample.metadata and draw(st.integers(0, 5)) == 0:
        return draw(inside_json(sample, alias))
    usual = [c for c in sample.columns if c[1] != "jsonb"]
    # Columns that Stripe filters on come more often: there pushdown can go wrong.
    hot = [c for c in usual if c[0] in HOT]
    name, kind = draw(st.sampled_from(hot if hot and draw(st.booleans()) else usual))
    column = sql.Identifier(alias, name)
    if kind == "boolean":
        form = draw(
            st.sampled_from(["{0}", "not {0}", "{0} = {1}", "{0} is null", "{0} is true", "{0} is not false"])
        )
        return sql.SQL(form).format(column, _literal(draw(st.booleans()), kind))
    operator = draw(st.sampled_from(OPERATORS))

    def value() -> sql.Composable:
        return _literal(draw(values(sample, name, kind)), kind)

    match operator:
        case "in":
            several = [value() for _ in range(draw(st.integers(1, 4)))]
            return sql.SQL("{} in ({})").format(column, sql.SQL(", ").join([*several, *several[:1]]))
        case "any" | "all":
            several = [value() for _ in range(draw(st.integers(0, 3)))]
            if draw(st.integers(0, 3)) == 0:
                several.append(sql.SQL("null"))
            comparison = "= any" if operator == "any" else "<> all"
            return sql.SQL("{} {} (array[{}]::{}[])").format(
                column, sql.SQL(comparison), sql.SQL(", ").join(several), sql.SQL(kind)
            )
        case "null":
            return sql.SQL("{} is {} null").format(column, sql.SQL(draw(st.sampled_from(["", "not"]))))
        case "between":
            return sql.SQL("{} between {} and {}").format(column, value(), value())
        case "like":
            text = str(draw(values(sample, name, kind)))
            pattern = text[draw(st.integers(0, 4)) :][: draw(st.integers(1, 12))] + "%"
            form = draw(
                st.sampled_from(["{}::text like {}", "{}::text ilike {}", "{}::text ilike '%' || {}"])
            )
            return sql.SQL(form).format(column, sql.Literal(pattern))
        case "distinct":
            return sql.SQL("{} is distinct from {}").format(column, value())
        case "flipped":
            return sql.SQL("{} = {}").format(value(), column)
        case "expression":
            return sql.SQL("coalesce({}, {}) = {}").format(column, value(), value())
        case _:
            return sql.SQL("{} {} {}").format(column, sql.SQL(operator), value())


@st.composite
def searchable(draw: st.DrawFn, sample: Sample, alias: str) -> sql.Composable:
    """A condition on what Stripe searches by, and no list filters by."""
    resource = load().resource[sample.table]
    names = [
        name
        for name, kind in sample.columns
        if kind == "text" and name in resource.search_fields and name not in resource.filter
    ]
    if sample.metadata and (not names or draw(st.booleans())):
        return draw(inside_json(sample, alias))
    name = draw(st.sampled_from(names))
    texts = [str(draw(values(sample, name, "text"))) for _ in range(draw(st.integers(1, 3)))]
    start = draw(st.integers(0, 3))
    return sql.SQL(
        draw(st.sampled_from(["{} in ({})", "{} = {first}", "{} like {like}", "{} ilike {like}"]))
    ).format(
        sql.Identifier(alias, name),
        sql.SQL(", ").join(map(sql.Literal, texts)),
        first=sql.Literal(texts[0]),
        like=sql.Literal(f"%{texts[0][start : start + 6]}%"),
    )


@cache
def conditions(sample: Sample, alias: str = "t") -> st.SearchStrategy[sql.Composable]:
    """Atoms joined by AND, OR and NOT.

    Made once for each sample: hypothesis looks through a new strategy before it draws from it.
    """
    return st.recursive(
        atoms(sample, alias),
        lambda inner: st.one_of(
            st.tuples(inner, inner).map(lambda two: sql.SQL("({} and {})").format(*two)),
            st.tuples(inner, inner).map(lambda two: sql.SQL("({} or {})").format(*two)),
            inner.map(lambda one: sql.SQL("(not {})").format(one)),
        ),
        max_leaves=4,
    )


@dataclass(frozen=True)
class Query:
    """One query, to be asked of two schemas; ``exact`` if its answer is determined, else only its size is."""

    text: sql.Composable
    zone: str
    generic: bool
    exact: bool
    keys: int = 0

    def of(self, schema: str, connection: psycopg.Connection) -> str:
        return self.text.as_string(connection).replace("SCHEMA.", f"{schema}.")


def _table(name: str, alias: str) -> sql.Composable:
    return sql.SQL("SCHEMA.{} {}").format(
        sql.Identifier(name), sql.Identifier(alias)
    )  # SCHEMA is replaced later


@st.composite
def single(draw: st.DrawFn, samples: Samples, tables: Sequence[str] = TABLES, kind: str = "any") -> Query:
    """One table, with a condition, perhaps sorted, perhaps limited."""
    sample = samples[draw(st.sampled_from(tables))]
    names = [name for name, _ in sample.columns]
    chosen = draw(st.lists(st.sampled_from(names), min_size=1, max_size=5, unique=True))
    where = draw(st.none() | conditions(sample))
    if kind == "searched":
        inner = draw(searchable(sample, "t"))
        where = (
            inner if where is None or draw(st.integers(0, 2)) else sql.SQL("{} and {}").format(inner, where)
        )
    order = draw(st.sampled_from(["none", "newest", "oldest", "id"]))
    limit = draw(st.none() | st.sampled_from([0, 1, 3, 10, 101]))
    offset = draw(st.sampled_from([None, None, None, 2, 120]))
    if order in {"newest", "oldest"} and "created" not in names:
        order = "id"
    if order == "id" and "id" not in names:
        order = "none"
    # The first column is what decides: with a limit only it is determined, unless the sort is by id.
    key = {"newest": "created", "oldest": "created", "id": "id"}.get(order)
    wanted = ([key] if key else []) + [name for name in chosen if name != key]
    parts: list[sql.Composable] = [
        sql.SQL("select {} from {}").format(
            sql.SQL(", ").join(sql.Identifier("t", name) for name in wanted), _table(sample.table, "t")
        )
    ]
    if where is not None:
        parts.append(sql.SQL("where {}").format(where))
    if key:
        direction = {"newest": "desc", "oldest": "asc", "id": "asc"}[order]
        parts.append(sql.SQL("order by {} {}").format(sql.Identifier("t", key), sql.SQL(direction)))
    if limit is not None:
        parts.append(sql.SQL("limit {}").format(sql.Literal(limit)))
    if offset is not None:
        parts.append(sql.SQL("offset {}").format(sql.Literal(offset)))
    cut = limit is not None or offset is not None
    return Query(
        sql.SQL(" ").join(parts),
        draw(st.sampled_from(ZONES)),
        draw(st.booleans()),
        exact=not cut or order == "id",
        keys=1 if key else 0,
    )


@st.composite
def joined(draw: st.DrawFn, samples: Samples) -> Query:
    """Two tables, joined, with conditions on either side."""
    left, right, on = draw(
        st.sampled_from(
            [
                ("subscription", "customer", "a.customer = b.id"),
                ("customer", "subscription", "a.id = b.customer"),
                ("invoice", "subscription", "a.subscription = b.id"),
                ("customer", "customer", "a.id = b.id"),
                ("subscription_item", "subscription", "a.subscription = b.id"),
                ("price", "product", "a.product = b.id"),
                ("subscription", "price", "a.price = b.id"),
                ("price", "subscription", "a.id = b.price"),
                ("subscription", "subscription_item", "a.price = b.price"),
                ("charge", "payment_intent", "a.payment_intent = b.id and a.amount <= b.amount"),
            ]
        )
    )
    kind = draw(st.sampled_from(["join", "left join", "full join"]))
    nested = draw(st.booleans())
    text = sql.SQL("select a.id, b.id from {} {} {} on {} where {} and {}").format(
        _table(left, "a"),
        sql.SQL(kind),
        _table(right, "b"),
        sql.SQL(on),
        draw(conditions(samples[left], "a")),
        draw(conditions(samples[right], "b")) if draw(st.booleans()) else sql.SQL("true"),
    )
    return Query(text, draw(st.sampled_from(ZONES)), nested, exact=True)


def _check(connection: psycopg.Connection, query: Query, live_schema: str) -> None:
    answers = []
    for schema in ("plain", live_schema):
        text = query.of(schema, connection)
        with connection.transaction():
            connection.execute(sql.SQL("set local timezone = {}").format(sql.Literal(query.zone)))
            if query.generic:
                connection.execute("set local plan_cache_mode = force_generic_plan")
                connection.execute("set local enable_hashjoin = off")
                connection.execute("set local enable_mergejoin = off")
            answers.append(_answer(connection, text))
    plain, live = answers
    if query.exact:
        assert sorted(live, key=repr) == sorted(plain, key=repr), query.of("stripe_live", connection)
    else:
        assert len(live) == len(plain), query.of("stripe_live", connection)
        if query.keys:
            assert [row[0] for row in live] == [row[0] for row in plain], query.of("stripe_live", connection)


def _answer(connection: psycopg.Connection, text: str) -> Sequence[Any] | str:
    """The rows; or the error's SQLSTATE, since a query that fails must fail in both."""
    try:
        return connection.execute(text.encode()).fetchall()
    except psycopg.errors.DataError as error:
        return error.sqlstate or ""


# The strategies are deep, and hypothesis warns that their repr is long; it is never printed.
pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")

# The same queries every time: only a change makes a test fail. HUNT=20 tries twenty times as many, all new.
HUNT = int(os.environ.get("HUNT", "0"))
COMMON = settings(
    deadline=None,
    derandomize=HUNT == 0,
    database=None,
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture
def examples(host: str) -> int:
    """How many queries a test tries; under Multicorn2 half of them."""
    return (110 if host == "bundled" else 55) * (HUNT or 1)


@pytest.mark.timeout(600 * (HUNT or 1))
def test_one_table_gives_the_same_rows(database: str, samples: Samples, examples: int) -> None:
    with psycopg.connect(database, autocommit=True) as connection:

        @settings(COMMON, max_examples=examples)
        @given(single(samples))
        def check(query: Query) -> None:
            _check(connection, query, samples.live)

        check()


@pytest.mark.timeout(600 * (HUNT or 1))
def test_searches_give_the_same_rows(
    database: str, host: str, samples: Samples, stripe: SimulatorProcess, examples: int
) -> None:
    """Each query has a condition on what Stripe searches by, though not all of them are searched for."""
    searched = [name for name in TABLES if load().resource[name].search_fields]
    with psycopg.connect(database, autocommit=True) as connection:

        @settings(COMMON, max_examples=examples)
        @given(single(samples, searched, "searched"))
        def check(query: Query) -> None:
            _check(connection, query, samples.searching)

        stripe.control("DELETE", "/requests")
        check()
        made = sum(item["path"].endswith("/search") for item in stripe.requests())
        assert made > examples * (0.36 if host == "bundled" else 0.18)


@pytest.mark.timeout(600 * (HUNT or 1))
def test_joins_give_the_same_rows(database: str, samples: Samples, examples: int) -> None:
    with psycopg.connect(database, autocommit=True) as connection:

        @settings(COMMON, max_examples=examples // 2)
        @given(joined(samples))
        def check(query: Query) -> None:
            _check(connection, query, samples.live)

        check()


@pytest.mark.timeout(600 * (HUNT or 1))
def test_parameters_give_the_same_rows_as_values(database: str, host: str, samples: Samples) -> None:
    """The same qual with a value bound at execution, under generic plans, on each column of each table.

    An order is that of a type: of each type, one column of a table is compared by it. Under Multicorn2, which
    takes five times as long for a scan, one column of each type is compared at all.
    """
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("set plan_cache_mode = force_generic_plan")
        for sample in samples.values():
            ordered = {"boolean"}
            for name, kind in sample.columns:
                inside = sample.values.get(name)
                if not inside or (host == "multicorn2" and kind in ordered - {"boolean"}):
                    continue
                for operator in ("=", ">="):
                    if operator == ">=" and kind in ordered:
                        continue
                    counts = [
                        _counted(
                            connection, schema, sample.table, name, kind, operator, inside[len(inside) // 2]
                        )
                        for schema in ("plain", samples.live)
                    ]
                    assert counts[0] == counts[1], (sample.table, name, operator, inside[len(inside) // 2])
                ordered.add(kind)


def _counted(connection: psycopg.Connection, *what: Any) -> Any:
    schema, table, name, kind, operator, value = what
    return connection.execute(
        sql.SQL("select count(*), min({0}), max({0}) from {1} where {0} {2} %b::{3}").format(
            sql.Identifier(name), sql.Identifier(schema, table), sql.SQL(operator), sql.SQL(kind)
        )
        if kind != "boolean"
        else sql.SQL("select count(*) from {1} where {0} {2} %b::{3}").format(
            sql.Identifier(name), sql.Identifier(schema, table), sql.SQL(operator), sql.SQL(kind)
        ),
        (value,),
        prepare=True,
    ).fetchall()
