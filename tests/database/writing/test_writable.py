"""What Postgres says of which tables can be written, and statements that Stripe has no operation for."""

from __future__ import annotations

import re
from collections.abc import Callable

import psycopg
import pytest

from stripe_simulator.process import SimulatorProcess
from support.database import Server, column, create, failing, rows, said

INSERT, UPDATE, DELETE = 8, 4, 16  # of pg_relation_is_updatable(): 1 << CmdType

WRITABLE = {
    "customer": INSERT | UPDATE | DELETE,
    "invoice": INSERT | UPDATE | DELETE,
    "charge": INSERT | UPDATE | DELETE,  # the error of a DELETE says what to do instead
    "event": 0,
    "balance_transaction": 0,
    "exchange_rate": 0,
    "file": INSERT,
    "capability": UPDATE,
}


def test_tables_are_advertised_as_what_stripe_allows(db: psycopg.Connection, host: str) -> None:
    if host == "multicorn2":
        # Multicorn2 does not ask.
        assert column(db, "select pg_relation_is_updatable('stripe_live.event'::regclass, false)") == [28]
        return
    masks_by_name = dict(
        rows(
            db,
            "select relname, pg_relation_is_updatable(oid, false) from pg_class"
            " where relnamespace = 'stripe_live'::regnamespace and relkind = 'f'",
        )
    )
    assert {name: masks_by_name[name] for name in WRITABLE} == WRITABLE
    assert dict(
        rows(
            db,
            "select table_name, is_insertable_into from information_schema.tables"
            " where table_schema = 'stripe_live'"
            " and table_name in ('customer', 'event', 'file_link', 'balance_transaction')",
        )
    ) == {"customer": "YES", "event": "NO", "file_link": "YES", "balance_transaction": "NO"}


REFUSED = [
    ("update {t} set type = 'x' where {w}", "cannot update event: Stripe does not allow changes"),
    ("delete from {t} where {w}", "cannot delete event: Stripe keeps these objects"),
    ("insert into {t} (type) select 'x' where {w}", "cannot insert into event: Stripe creates these itself"),
]


@pytest.mark.parametrize(("statement", "message"), REFUSED)
def test_a_statement_without_an_operation_is_refused_whatever_it_finds(
    db: psycopg.Connection,
    live: Server,
    written: SimulatorProcess,
    sent: Callable[[], list[str]],
    host: str,
    statement: str,
    message: str,
) -> None:
    create(written, "customers", {"name": "Ada"})  # which makes an event
    sent()
    query = statement.format(t=live.table("event"), w="true")
    if host == "multicorn2":  # row by row
        assert re.sub(r" evt_\w+", "", said(failing(db, query))).count(message) == 1
    else:
        nothing = statement.format(t=live.table("event"), w="false")
        for text in (query, nothing, f"explain {query}"):
            assert message in said(failing(db, text))
    assert sent() == []
