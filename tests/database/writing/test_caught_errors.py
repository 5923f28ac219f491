"""Errors that a procedural language catches in its own way: the backend goes on, and says what stays."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from stripe_simulator.process import SimulatorProcess
from support.database import KEY, Server, Servers, one


@pytest.fixture
def tcl(db: psycopg.Connection) -> Iterator[None]:
    """PL/Tcl, which catches an error without a trace in the stack of error contexts."""
    if not one(db, "select count(*) from pg_available_extensions where name = 'pltcl'"):
        pytest.skip("PL/Tcl is not installed (postgresql-pltcl)")
    db.execute("create extension pltcl")
    yield
    db.execute("drop extension pltcl cascade")


@pytest.fixture
def eight(servers: Servers, written: SimulatorProcess, live: Server) -> Server:
    """A server to which eight rows are written at a time; ``live`` has calmed its simulator."""
    return servers(
        "customer",
        mapping={"api_key": KEY},
        api_base=written.url,
        max_requests_per_second=10000,
        write_concurrency=8,
    )


def catching(db: psycopg.Connection, insert: str) -> None:
    """Make the function caught(), which returns the message of the error that the INSERT ends with."""
    db.execute(
        f"create function caught() returns text language pltcl as $$"
        f' if {{[catch {{spi_exec "{insert}"}} message]}} {{return $message}}; return none $$'.encode()
    )


def test_pl_tcl_catches_an_error_while_rows_are_under_way(
    db: psycopg.Connection, tcl: None, eight: Server, warnings: list[str]
) -> None:
    table = eight.table("customer")
    catching(db, f"insert into {table} (name) select 'n' || (1 / (5 - g)) from generate_series(1, 5) g")
    for times in (1, 2):
        assert one(db, "select caught()") == "division by zero"
        assert len(warnings) == times
        assert "but 4 objects remain changed in Stripe" in warnings[-1]


def test_pl_tcl_catches_an_error_whose_text_said_what_is_changed(
    db: psycopg.Connection, tcl: None, live: Server, warnings: list[str]
) -> None:
    table = live.table("customer")
    catching(
        db,
        f"insert into {table} (name, _params) select 'n',"
        " case g when 3 then jsonb_build_object('bogus', 1) end from generate_series(1, 4) g",
    )
    for times in (1, 2):
        assert one(db, "select caught()") != "none"
        assert len(warnings) == times
        assert "but 2 objects remain changed in Stripe" in warnings[-1]
