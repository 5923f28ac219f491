"""An endpoint that is not Stripe: one clear error for reads and writes, of a backend that goes on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from support.database import KEY, PLAIN, Server, Servers, column, failing, let_ahead_leave, one, said
from support.hostile_endpoint import (
    ATTACKS,
    DELAYS,
    FLOODS,
    JSON,
    ODDITIES,
    Hostile,
    HostileEndpoint,
    answer,
    keeps_silent,
    lists_without_end,
    page,
    says,
)
from support.hosts import BUNDLED_ALONE, on_hosts
from support.waiting import hang_guard

STATEMENTS = {
    "read": "select * from {0}.customer",
    "write": "insert into {0}.customer (email) values ('a@example.com') returning id",
}
BOTH = pytest.mark.parametrize("statement", STATEMENTS)
# One of each kind; tests/unit/api/test_hostile_endpoint.py has all of them, for reads and writes.
WRITTEN = (
    "a reset",
    "HTTP 0.9",
    "a wrong chunk",
    "204",
    "HTML",
    "lists 100,000 deep",
    "a field 500 deep",
    "NaN",
)
FLOODED = ("gzip in gzip", "gzip of many values", "a body without an end", "trailers without an end")
ATTACKED = [*((name, "read") for name in ATTACKS), *((name, "write") for name in WRITTEN)]


@pytest.fixture(scope="module")
def backend(database: str) -> Iterator[psycopg.Connection]:
    """The backend of all tests: whatever it is sent, it must go on."""
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="module")
def endpoint() -> Iterator[HostileEndpoint]:
    endpoint = HostileEndpoint(keeps_silent)
    yield endpoint
    endpoint.close()


@pytest.fixture(scope="module")
def made(backend: psycopg.Connection, endpoint: HostileEndpoint, host: str) -> Iterator[dict[str, Server]]:
    """Servers of the endpoint, one that gives up early and one that does not."""
    servers = Servers(backend, host)
    options = {"api_base": endpoint.url, "max_requests_per_second": 10_000}
    yield {
        name: servers("customer", mapping={"api_key": KEY}, timeout=timeout, **options)
        for name, timeout in {"hasty": 0.3, "patient": 20}.items()
    }
    servers.drop()


@pytest.fixture
def db(
    backend: psycopg.Connection, made: dict[str, Server], endpoint: HostileEndpoint, host: str
) -> Iterator[psycopg.Connection]:
    if host == "multicorn2":
        let_ahead_leave(backend, made["patient"].table("customer"))  # of an earlier test
    endpoint.requests.clear()
    yield backend
    assert backend.execute("select 1").fetchone() == (1,)
    assert {line.partition("?")[0] for line in endpoint.requests} <= {
        "GET /v1/customers",
        "GET /v1/customers/cus_1",
        "POST /v1/customers",
    }


def asked(statement: str, server: Server) -> str:
    return STATEMENTS[statement].format(server.name)


def sqlstates(host: str, *expected: str) -> set[str]:
    """Multicorn2 has one SQLSTATE for whatever goes wrong in Python."""
    return {*expected} if host == "bundled" else {*expected, PLAIN}


@pytest.mark.parametrize(
    ("host", "attack"),
    on_hosts(ATTACKED, (("HTML", "read"), ("HTML", "write"), ("lists 100,000 deep", "read"))),
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else value,
    indirect=["host"],
    scope="session",
)
def test_an_attack_is_one_clear_error(
    db: psycopg.Connection,
    made: dict[str, Server],
    endpoint: HostileEndpoint,
    host: str,
    attack: tuple[str, str],
) -> None:
    name, statement = attack
    endpoint.behave = ATTACKS[name].behave
    error = failing(db, asked(statement, made["hasty"]))
    text = said(error)
    assert ATTACKS[name].says in text
    assert "/v1/customers" in text
    assert "Traceback" not in text
    assert error.sqlstate in sqlstates(host, "08006", "08P01", "HV000")


@contextmanager
def bounded_growth(db: psycopg.Connection, most: int) -> Iterator[None]:
    """Check that the backend needs at most so many MiB more than it had, at any time."""
    process = Path(f"/proc/{db.info.backend_pid}")

    def mebibytes(name: str) -> int:
        return int((process / "status").read_text().split(f"{name}:")[1].split()[0]) >> 10

    before = mebibytes("VmRSS")
    (process / "clear_refs").write_text("5")  # forgets the peak
    yield
    assert mebibytes("VmHWM") - before < most


@BUNDLED_ALONE
@pytest.mark.parametrize("name", FLOODED)
def test_a_flood_is_an_error_in_bounded_memory(
    db: psycopg.Connection, made: dict[str, Server], endpoint: HostileEndpoint, name: str
) -> None:
    endpoint.behave = FLOODS[name].behave
    with bounded_growth(db, 250):
        errors = [failing(db, asked(statement, made["patient"])) for statement in STATEMENTS]
    for error in errors:
        assert FLOODS[name].says in said(error)
        assert error.sqlstate == "08P01"


@BOTH
@pytest.mark.parametrize("name", DELAYS)
def test_a_statement_timeout_ends_a_delay(
    db: psycopg.Connection,
    made: dict[str, Server],
    endpoint: HostileEndpoint,
    host: str,
    name: str,
    statement: str,
) -> None:
    endpoint.behave = DELAYS[name]
    db.execute("set statement_timeout = '150ms'")
    try:
        with hang_guard(3):
            error = failing(db, asked(statement, made["patient"]))
    finally:
        db.execute("reset statement_timeout")
    assert error.sqlstate in sqlstates(host, "57014")
    assert "cancel" in said(error)


def test_a_list_without_an_end_is_read_in_bounded_memory_until_the_statement_timeout(
    db: psycopg.Connection, made: dict[str, Server], endpoint: HostileEndpoint, host: str
) -> None:
    endpoint.behave = lists_without_end()
    db.execute("set statement_timeout = '1s'")
    try:
        with hang_guard(5), bounded_growth(db, 100):
            error = failing(db, f"select count(*) from {made['patient'].table('customer')}")
    finally:
        db.execute("reset statement_timeout")
    assert error.sqlstate in sqlstates(host, "57014")
    assert len(endpoint.requests) > 20


@BUNDLED_ALONE
@pytest.mark.parametrize("name", ODDITIES)
def test_an_oddity_is_read_all_the_same(
    db: psycopg.Connection, made: dict[str, Server], endpoint: HostileEndpoint, name: str
) -> None:
    endpoint.behave = ODDITIES[name]
    for where in ("", " where id = 'cus_1'"):
        query = f"select id || left(_raw::text, 1) from {made['hasty'].table('customer')}{where}"
        assert column(db, query) == ["cus_1{"]
    if name != "a key twice":
        assert one(db, asked("write", made["patient"])) == "cus_1"


@BOTH
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_and_the_key_goes_nowhere(
    db: psycopg.Connection,
    made: dict[str, Server],
    endpoint: HostileEndpoint,
    hostile: Hostile,
    status: int,
    statement: str,
) -> None:
    other = hostile(says(answer(page())))
    endpoint.behave = says(answer(b"", f"{status} Moved", f"{JSON}\r\nLocation: {other.url}/v1/customers"))
    text = said(failing(db, asked(statement, made["hasty"])))
    assert "is a redirect, which is not followed" in text
    assert len(endpoint.requests) == 1
    assert other.requests == []
