"""Unknown names, and conditions that a table needs: errors name the mistake and its correction."""

from __future__ import annotations

import re
from collections.abc import Callable

import psycopg
import pytest
from psycopg import sql

from stripe_fdw.catalog import load
from stripe_fdw.errors import MissingQualError
from stripe_fdw.fdw.planning.planner import plan_read
from stripe_simulator.process import SimulatorProcess
from support.database import PLAIN, Servers, failing, outcome, refused, said

Requests = Callable[[], list[str]]
KEY = "sk_test_51SomeKeyOfTheNameTests"
UNREACHABLE = "http://127.0.0.1:9"  # the discard port: nothing listens there

OPTIONS = {
    "unknown": ({"time_out": "3"}, ["time_out", "timeout"], "HV00D"),
    "of Supabase's wrapper": ({"api_url": "https://api.stripe.com/v1/"}, ["api_url", "api_base"], "HV00D"),
    "in the wrong place": ({"object": "customer"}, ["object", "table"], "HV00D"),
    "a key for all to read": ({"api_key": KEY}, ["api_key", "user mapping"], "HV00D"),
    "no number": ({"timeout": "fast"}, ["timeout", "fast", "seconds"], "HV024"),
    "out of range": ({"cache_ttl": "-1"}, ["cache_ttl", "-1"], "HV024"),
    "not a number": ({"max_requests_per_second": "NaN"}, ["max_requests_per_second"], "HV024"),
    "zero": ({"max_requests_per_second": "0"}, ["max_requests_per_second"], "HV024"),
    "no boolean": ({"use_search": "maybe"}, ["use_search", "true or false"], "HV024"),
    "no account": ({"stripe_account": "Acme & Co"}, ["stripe_account", "acct_"], "HV024"),
    "an account of other letters": ({"stripe_account": "acct_१२३"}, ["stripe_account", "acct_"], "HV024"),
    "a space": ({"api_base": "http://127.0.0.1:9/a b"}, ["api_base", "ASCII"], "HV024"),
    "other letters": ({"api_base": "http://127.0.0.1:9/ä"}, ["api_base", "ASCII"], "HV024"),
    "plain http": ({"api_base": "http://api.stripe.com"}, ["api_base", "https", "loopback"], "HV024"),
    "plain http, disguised": ({"api_base": "http://127.0.0.1.example.com"}, ["api_base", "https"], "HV024"),
    "plain http, a user": ({"api_base": "http://localhost@example.com"}, ["api_base"], "HV024"),
    "plain http, capitals": ({"api_base": "HTTP://EXAMPLE.COM"}, ["api_base", "https"], "HV024"),
    "another scheme": ({"api_base": "ftp://127.0.0.1"}, ["api_base"], "HV024"),
    "a file": ({"api_base": "file:///etc/passwd"}, ["api_base"], "HV024"),
    "no address": ({"api_base": "stripe"}, ["api_base", "https://api.stripe.com"], "HV024"),
    "nothing": ({"api_base": ""}, ["api_base", "https://api.stripe.com"], "HV024"),
}


@pytest.mark.parametrize("case", OPTIONS)
def test_a_wrong_option_of_a_server_is_named_and_nothing_leaves(
    db: psycopg.Connection, servers: Servers, requests: Requests, host: str, case: str
) -> None:
    if host == "multicorn2" and case == "a key for all to read":
        pytest.skip("Multicorn2 does not tell a server's options from a user mapping's")
    options, fragments, sqlstate = OPTIONS[case]
    requests()

    def use() -> None:  # refused by the validator, or under Multicorn at the first use
        server_options = {"api_base": UNREACHABLE, "timeout": 1, **options}
        server = servers("customer", mapping={"api_key": KEY}, **server_options)
        db.execute(f"select * from {server.table('customer')}".encode())

    error = refused(use)
    text = said(error)
    assert all(fragment in text for fragment in fragments), text
    assert KEY not in text
    assert error.sqlstate == (sqlstate if host == "bundled" else PLAIN)
    assert requests() == []


ELSEWHERE = {
    "user mapping": ("create user mapping for current_user server {} options (apikey 'x')", "apikey"),
    "foreign table": (
        "create foreign table {0}.t (id text) server {0} options (object 'customer', objekt 'x')",
        "objekt",
    ),
    "column": (
        "create foreign table {0}.t (id text options (field 'x')) server {0} options (object 'customer')",
        "field",
    ),
    "foreign data wrapper": (
        "create foreign data wrapper w"
        " handler stripe_sync.stripe_fdw_handler validator stripe_sync.stripe_fdw_validator"
        " options (api_base 'x')",
        "api_base",
    ),
}


@pytest.mark.parametrize("place", ELSEWHERE)
def test_a_wrong_option_elsewhere_is_named(
    db: psycopg.Connection, servers: Servers, host: str, place: str
) -> None:
    if host == "multicorn2" and place in ("foreign data wrapper", "column"):
        pytest.skip("Multicorn2 does not hand these options over")
    statement, word = ELSEWHERE[place]
    server = servers("customer", api_base=UNREACHABLE)

    def use() -> None:
        db.execute(statement.format(server.name).encode())
        db.execute(f"select * from {server.name}.{'t' if place == 'foreign table' else 'customer'}".encode())

    text = said(refused(use))
    assert word in text
    assert "option" in text.lower()


TABLES = {
    "an unknown table": ("id text", "options (object 'custmer')", ["custmer", "customer"], "HV00R"),
    "no table": ("id text", "", ["object"], "HV00D"),
    "an unknown column": (
        "id text, custmer text",
        "options (object 'subscription')",
        ["custmer", "customer"],
        "HV005",
    ),
    "a column of capitals": (
        'id text, "Email" text',
        "options (object 'customer')",
        ["Email", "email"],
        "HV005",
    ),
    "a wrong type": (
        "id text, created boolean",
        "options (object 'customer')",
        ["created", "boolean", "timestamp with time zone"],
        "HV004",
    ),
    "an array": ("id text[]", "options (object 'customer')", ["id", "text[]", "text"], "HV004"),
    "a number for text": ("id bigint", "options (object 'customer')", ["id", "bigint", "text"], "HV004"),
}


@pytest.mark.parametrize("case", TABLES)
def test_a_table_that_stripe_does_not_have_is_refused_with_what_it_has(
    db: psycopg.Connection, servers: Servers, requests: Requests, host: str, case: str
) -> None:
    columns, options, fragments, sqlstate = TABLES[case]
    server = servers(mapping={"api_key": KEY})
    requests()

    def use() -> None:
        db.execute(
            f"create foreign table {server.name}.t ({columns}) server {server.name} {options}".encode()
        )
        db.execute(f"select * from {server.name}.t".encode())

    error = refused(use)
    text = said(error)
    assert all(fragment in text for fragment in fragments), text
    assert error.sqlstate == (sqlstate if host == "bundled" else PLAIN)
    assert requests() == []


def _unreadable() -> list[str]:
    """Tables that cannot be read as a whole."""
    names = []
    for resource in load().resources:
        try:
            plan_read(resource, (), resources=load().resource)
        except MissingQualError:
            names.append(resource.name)
    return names


@pytest.mark.parametrize("table", _unreadable())
def test_a_condition_that_a_table_needs_is_named_and_the_where_shown_is_enough(
    db: psycopg.Connection, requests: Requests, host: str, table: str
) -> None:
    requests()
    query = f"select * from stripe_live.{table}"
    error = failing(db, query)
    text = said(error)
    assert error.sqlstate == ("HV00L" if host == "bundled" else PLAIN)
    assert f'table "{table}"' in text
    assert requests() == []
    where = re.search(r"WHERE (.*)", text)
    assert where is not None
    names = re.findall(r"(\w+) = ", where[1])
    assert names
    assert all(f" {name}" in text.partition("WHERE")[0] for name in names)
    columns = load().resource[table].column
    assert all(name in columns for name in names)
    # The condition in the hint runs as it stands, but for the dots.
    left = outcome(db, f"{query} {where[0].replace('...', '1')}")
    assert left is None or ("request req_" in said(left) and "WHERE" not in said(left))
    assert requests() != []


def test_a_column_that_the_table_does_not_have_is_postgres_own_error(db: psycopg.Connection) -> None:
    assert failing(db, "select nosuch from stripe_live.customer").sqlstate == "42703"
    assert failing(db, "select * from stripe_live.nosuch").sqlstate == "42P01"


@pytest.mark.parametrize(
    ("statement", "fragments"),
    [
        ("import foreign schema biling from server {} into {}", ["biling", "billing"]),
        ("import foreign schema stripe limit to (nosuch) from server {} into {}", ["nosuch"]),
        ("import foreign schema stripe except (nosuch) from server {} into {}", ["nosuch"]),
        ("import foreign schema stripe from server {} into {} options (strict 'x')", ["strict"]),
    ],
)
def test_an_import_of_what_is_not_there_names_it(
    db: psycopg.Connection, servers: Servers, host: str, statement: str, fragments: list[str]
) -> None:
    server = servers(mapping={"api_key": KEY})
    text = said(failing(db, statement.format(server.name, server.name)))
    assert all(fragment in text for fragment in fragments), text
    imported = db.execute(
        sql.SQL("select count(*) from pg_class where relnamespace = {}::regnamespace").format(server.name)
    ).fetchone()
    assert imported == (0,)


def test_stripe_explains_a_value_that_it_refuses(db: psycopg.Connection, calm: SimulatorProcess) -> None:
    message = "Invalid string: must be at most 5 characters"
    calm.control(
        "POST",
        "/faults",
        {"kind": "status", "status": 400, "path": "/v1/customers", "count": None, "message": message,
         "code": "parameter_invalid_string_empty"},
    )  # fmt: skip
    text = said(failing(db, "select * from stripe_live.customer"))
    assert message in text
    assert "code parameter_invalid_string_empty" in text
    assert "answered 400" in text
    assert "request req_" in text
