"""The answers of live tables, and their error messages."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg
import pytest
from psycopg import sql

from stripe_simulator.process import SimulatorProcess
from support.database import in_hints

Requests = Callable[[], list[str]]
TABLE = "create foreign table {} ({}) server stripe options (object '{}')"


def one(db: psycopg.Connection, query: str) -> object:
    row = db.execute(query.encode()).fetchone()
    return None if row is None else row[0]


@pytest.fixture
def temporary(db: psycopg.Connection) -> Iterator[psycopg.Connection]:
    """A session whose changes are undone."""
    with db.transaction(force_rollback=True):
        yield db


def failing(db: psycopg.Connection, query: str) -> psycopg.Error:
    with pytest.raises(psycopg.Error) as caught, db.transaction():
        db.execute(query.encode())
    return caught.value


def said(error: psycopg.Error) -> str:
    return " ".join(
        filter(None, (error.diag.message_primary, error.diag.message_detail, error.diag.message_hint))
    )


# columns and object of a table, and the names that its error must contain
WRONG_TABLES = [
    ("id text, custmer text", "subscription", ["custmer", "customer"]),
    ("id text, created boolean", "customer", ["created", "timestamp with time zone"]),
    ("id text", "custmer", ["custmer", "customer"]),
]


@pytest.mark.parametrize(("columns", "name", "named"), WRONG_TABLES)
def test_an_error_names_the_mistake_in_a_table_definition(
    temporary: psycopg.Connection, columns: str, name: str, named: list[str]
) -> None:
    with temporary.transaction(force_rollback=True):
        temporary.execute(TABLE.format("wrong", columns, name).encode())
        text = said(failing(temporary, "select * from wrong"))
    assert all(word in text for word in named)


def test_columns_may_be_left_out_ordered_otherwise_and_have_other_fitting_types(
    temporary: psycopg.Connection,
) -> None:
    columns = "created timestamp, email varchar(500), balance int, livemode text, id varchar"
    temporary.execute(TABLE.format("narrow", columns, "customer").encode())
    narrow = temporary.execute(
        "select id, email, balance, livemode, created from narrow order by id"
    ).fetchall()
    wide = temporary.execute(
        "select id, email, balance, livemode::text, created at time zone 'UTC'"
        " from stripe_live.customer order by id"
    ).fetchall()
    assert narrow == wide
    assert narrow


def test_a_whole_row_has_every_column(db: psycopg.Connection) -> None:
    row = one(db, "select row_to_json(c) from stripe_live.customer c limit 1")
    assert isinstance(row, dict)
    assert row["_raw"]["id"] == row["id"]
    assert row["_params"] is None


def test_canceled_subscriptions_are_rows(db: psycopg.Connection) -> None:
    counts = dict(db.execute("select status, count(*) from stripe_live.subscription group by 1").fetchall())
    assert counts.get("canceled", 0) > 0
    assert (
        one(db, "select count(*) from stripe_live.subscription where status = 'canceled'")
        == counts["canceled"]
    )


def test_a_limit_behind_a_filter_that_stripe_does_not_know_loses_nothing(db: psycopg.Connection) -> None:
    names = db.execute("select name from stripe_live.customer where name is not null").fetchall()
    last = names[-1][0]
    query = "select count(*) from (select id from stripe_live.customer where name = %s limit 10) found"
    row = db.execute(query, (last,)).fetchone()
    assert row is not None
    assert row[0] == min(10, sum(name == last for (name,) in names))


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("select * from stripe_live.upcoming_invoice", ["customer", "WHERE customer = 'cus_"]),
        ("select * from stripe_live.source_transaction", ["source", "WHERE source = '"]),
        ("select stripe_live.call('PUT', '/v1/customers')", ["PUT", "POST"]),
        ("select stripe_live.call('GET', '/v1/custmers')", ["/v1/custmers", "/v1/customers"]),
        ("select stripe_live.call('GET', '/v1/customers?limit=1')", ["must not contain parameters"]),
        ("select stripe_live.call('GET', '/v1/customers', '[]')", ["JSON object"]),
        ("select stripe_live.call('GET', '/v1/customers/cus_none')", ["No such customer"]),
        ("select stripe_sync.invalidate('custmer')", ["custmer", "customer"]),
        ("import foreign schema strip from server stripe into public", ["strip", "billing"]),
        ("import foreign schema stripe limit to (custmer) from server stripe into public", ["custmer"]),
    ],
)
def test_errors_name_a_valid_alternative(
    db: psycopg.Connection, host: str, query: str, named: list[str]
) -> None:
    if host == "multicorn2" and "limit to" in query:
        named = ["custmer"]
    error = failing(db, query)
    text = said(error)
    assert all(word in text for word in named), text
    # No statement inside a function, which the user has not written.
    context = error.diag.context or ""
    is_shown = host == "multicorn2" or "stripe_live.call" not in query
    names_function = "select stripe_" in query and is_shown
    assert context.startswith("PL/pgSQL function stripe_") == names_function
    assert "SQL statement" not in context


def test_the_hint_on_lines_of_a_preview_is_a_query_that_has_them(db: psycopg.Connection, host: str) -> None:
    customer = one(db, "select customer from stripe_live.subscription where status = 'active' limit 1")
    upcoming = f"select {{}} from stripe_live.upcoming_invoice where customer = '{customer}'"
    length = one(db, upcoming.format("jsonb_array_length(lines -> 'data')"))
    identifier = one(db, upcoming.format("id"))
    error = failing(db, f"select * from stripe_live.line_item where invoice = '{identifier}'")
    hint = said(error).rpartition(": ")[2].replace("...", str(customer))
    named = in_hints(host, "stripe_live")
    assert hint.startswith(f"SELECT item FROM {named}.upcoming_invoice")
    assert len(db.execute(hint.replace(named, "stripe_live").encode()).fetchall()) == length


def test_an_area_is_imported_alone(temporary: psycopg.Connection) -> None:
    temporary.execute("create schema area")
    temporary.execute("import foreign schema core except (event) from server stripe into area")
    tables = {
        name
        for (name,) in temporary.execute(
            "select relname from pg_class where relnamespace = 'area'::regnamespace and relkind = 'f'"
        )
    }
    assert "customer" in tables
    assert not tables & {"event", "invoice", "_call"}


@pytest.fixture
def caching(db: psycopg.Connection) -> Iterator[psycopg.Connection]:
    db.execute("alter server stripe options (add cache_ttl '60')")
    yield db
    db.execute("alter server stripe options (drop cache_ttl)")


def test_the_cache_serves_until_another_session_invalidates(
    caching: psycopg.Connection, database: str, requests: Requests
) -> None:
    first, second = (
        str(row[0])
        for row in caching.execute("select id from stripe_live.customer order by created desc limit 2")
    )
    query = f"select id from stripe_live.customer where id = '{first}'"
    listed = "select count(*) from stripe_live.customer"
    one(caching, query)
    count = one(caching, listed)
    requests()
    assert one(caching, query) == first
    assert one(caching, listed) == count
    assert requests() == []
    with psycopg.connect(database, autocommit=True) as other:
        other.execute("select stripe_sync.invalidate('customer', %s)", (second,))
        one(caching, query)
        assert requests() == []
        one(caching, listed)
        assert requests() != []
        other.execute("select stripe_sync.invalidate('customer', %s)", (first,))
        one(caching, query)
        assert requests() == [f"GET /v1/customers/{first}"]
        other.execute("select stripe_sync.invalidate('customer')")
        one(caching, query)
        assert requests() == [f"GET /v1/customers/{first}"]


def test_without_a_ttl_every_statement_asks_again(db: psycopg.Connection, requests: Requests) -> None:
    first = one(db, "select id from stripe_live.customer limit 1")
    requests()
    for _ in range(2):
        one(db, f"select id from stripe_live.customer where id = '{first}'")
    assert len(requests()) == 2


@pytest.mark.parametrize("target", ["a list", "an object"])
def test_a_slow_stripe_does_not_hold_a_cancelled_query(
    db: psycopg.Connection, calm: SimulatorProcess, target: str
) -> None:
    calm.control("POST", "/latency", {"ms": 30_000})
    db.execute("set statement_timeout = 300")
    query = "select count(*) from stripe_live.customer"
    error = failing(db, query if target == "a list" else query + " where id = 'cus_1'")
    assert "cancel" in said(error)
    db.execute("set statement_timeout = 0")
    calm.control("POST", "/latency", {})
    assert one(db, query) is not None


def test_explain_analyze_shows_the_requests(db: psycopg.Connection, host: str) -> None:
    lines = [
        str(row[0]).strip()
        for row in db.execute(
            "explain analyze select * from stripe_live.subscription where customer = 'cus_123'"
        )
    ]
    prefix = "Multicorn: " if host == "multicorn2" else ""
    assert f"{prefix}Stripe Request: GET /v1/subscriptions?customer=cus_123&status=all&limit=100" in lines
    assert f"{prefix}Stripe Pushed: customer = 'cus_123'" in lines
    if host == "bundled":
        assert "Stripe Requests Made: 1" in lines


def test_a_role_without_a_mapping_is_told_how_to_make_one(db: psycopg.Connection, host: str) -> None:
    role = f"unmapped_{host}"
    db.execute(f"create role {role}")
    db.execute(f"grant usage on schema stripe_live to {role}")
    db.execute(f"grant select on stripe_live.customer to {role}")
    db.execute(f"set role {role}")
    error = failing(db, "select * from stripe_live.customer")
    db.execute("reset role")
    db.execute(f"drop owned by {role}")
    db.execute(f"drop role {role}")
    assert "CREATE USER MAPPING" in said(error)
    assert error.sqlstate == ("28000" if host == "bundled" else "XX000")


@pytest.fixture
def searching(db: psycopg.Connection) -> Iterator[psycopg.Connection]:
    db.execute("alter server stripe options (add use_search 'on')")
    yield db
    db.execute("alter server stripe options (drop use_search)")


def test_search_is_used_where_it_is_allowed_and_no_filter_fits(
    searching: psycopg.Connection, requests: Requests
) -> None:
    name = str(one(searching, "select name from stripe_live.customer where name is not null limit 1"))
    quoted = sql.Literal(name).as_string(searching)
    expected = one(searching, f"select count(*) from stripe_live.customer where name || '' = {quoted}")
    requests()
    assert one(searching, f"select count(*) from stripe_live.customer where name = {quoted}") == expected
    assert [request.replace("+", " ") for request in requests()] == [
        f'GET /v1/customers/search?query=name:"{name}"&limit=100'
    ]
    one(searching, "select count(*) from stripe_live.customer where email = 'nobody@example.com'")
    assert requests() == ["GET /v1/customers?email=nobody@example.com&limit=100"]
    rows = searching.execute(
        f"select name, created from stripe_live.customer where name = {quoted} order by created desc limit 5"
    ).fetchall()
    assert rows == sorted(rows, key=lambda row: row[1], reverse=True)


def test_a_join_with_a_list_inside_objects(db: psycopg.Connection) -> None:
    query = (
        "select i.id, l.id, l.amount"
        " from (select id from stripe_live.invoice order by created desc limit 3) i"
        " join stripe_live.line_item l on l.invoice = i.id"
    )
    rows = db.execute(query).fetchall()
    plain = db.execute(
        "select i.id, line->>'id', (line->>'amount')::bigint"
        " from (select id, _raw from stripe_live.invoice order by created desc limit 3) i,"
        " jsonb_array_elements(_raw->'lines'->'data') line where _raw->'lines'->>'has_more' = 'false'"
    ).fetchall()
    assert set(plain) <= set(rows)
    assert len(rows) == len(set(rows))
