"""Databases and clients of other encodings than UTF-8: rows, conditions, writes and every kind of message."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from stripe_fdw.devstack.private_postgres import Cluster
from stripe_simulator.process import SimulatorProcess
from support.database import (
    KEY,
    WRAPPERS,
    SessionPool,
    column,
    create,
    failing,
    one,
    options_clause,
    said,
)

STRANGE = "\N{BICYCLE} \N{LEFT DOUBLE QUOTATION MARK}ü\N{RIGHT DOUBLE QUOTATION MARK}"


@dataclass(frozen=True)
class Encoding:
    """A database's encoding, a client's, and a name that both have."""

    database: str
    client: str
    name: str

    def __str__(self) -> str:
        return f"{self.database} for {self.client}"


ENCODINGS = (
    Encoding("LATIN1", "UTF8", "Zoë"),
    Encoding("LATIN1", "LATIN1", "Zoë"),
    Encoding("SQL_ASCII", "UTF8", "Zoë"),
    Encoding("SQL_ASCII", "EUC_JP", "Zoe"),
    Encoding("EUC_JP", "UTF8", "山田"),
    Encoding("EUC_JP", "SJIS", "山田"),
    Encoding("UTF8", "LATIN1", "Zoë"),
)


@pytest.fixture(params=ENCODINGS, ids=str)
def encoding(request: pytest.FixtureRequest) -> Encoding:
    """The encodings of the test's database and client."""
    chosen: Encoding = request.param
    return chosen


@pytest.fixture(scope="module")
def encoded_databases(host_cluster: Cluster, written: SimulatorProcess, host: str) -> Callable[[str], str]:
    """The database of an encoding with two foreign tables, made when it is first asked for."""

    @cache
    def database(encoding: str) -> str:
        name = f"encoded_{host}_{encoding.lower()}"
        with psycopg.connect(host_cluster.dsn(), autocommit=True) as connection:
            made = f"create database {name} encoding '{encoding}' locale 'C' template template0"
            connection.execute(made.encode())
        with psycopg.connect(host_cluster.dsn(name), autocommit=True, client_encoding="UTF8") as connection:
            connection.execute("set log_statement = 'none'; set client_min_messages = 'warning'")
            connection.execute(f"create extension {WRAPPERS[host]}")
            options = {"api_base": written.url, "max_requests_per_second": "10000"}
            if host == "multicorn2":
                options["wrapper"] = "stripe_fdw.StripeForeignDataWrapper"
            connection.execute(
                sql.SQL("create server stripe foreign data wrapper {} {}").format(
                    sql.Identifier(WRAPPERS[host]), options_clause(options)
                )
            )
            connection.execute(
                sql.SQL("create user mapping for current_user server stripe {}").format(
                    options_clause({"api_key": KEY})
                )
            )
            connection.execute(
                "import foreign schema stripe limit to (customer, product) from server stripe into public"
            )
        return host_cluster.dsn(name)

    return database


@pytest.fixture(scope="module")
def encoded_pools(encoded_databases: Callable[[str], str]) -> Iterator[Callable[[Encoding], SessionPool]]:
    """The sessions of an encoding, which its tests take over from each other."""
    pools: dict[Encoding, SessionPool] = {}

    def pool(encoding: Encoding) -> SessionPool:
        if encoding not in pools:
            dsn = encoded_databases(encoding.database)
            pools[encoding] = SessionPool(make_conninfo(dsn, client_encoding=encoding.client))
        return pools[encoding]

    yield pool
    for each in pools.values():
        each.close()


@pytest.fixture
def encoded(
    encoding: Encoding,
    encoded_pools: Callable[[Encoding], SessionPool],
    host_cluster: Cluster,
    written: SimulatorProcess,
) -> Iterator[psycopg.Connection]:
    """A session in a database of an encoding, with two foreign tables."""
    for setting in ("faults", "limits", "requests"):
        written.control("DELETE", f"/{setting}")
    pid = host_cluster.pid()
    with encoded_pools(encoding).session() as connection:
        yield connection
        assert one(connection, "select 1") == 1
    assert host_cluster.pid() == pid


def skip_beyond_multicorn2(host: str, encoding: Encoding) -> None:
    """Skip a test with a name that Multicorn2 cannot convert."""
    if host == "multicorn2" and encoding.database == "SQL_ASCII" and not encoding.name.isascii():
        pytest.skip("Multicorn2 gives ASCII alone to a database of encoding SQL_ASCII")


def unhidden(error: psycopg.Error) -> str:
    """What an error says, which is not that it cannot be converted."""
    assert error.sqlstate != "22P05", said(error)
    assert "codec" not in said(error)
    return said(error)


def test_rows_and_conditions(
    encoded: psycopg.Connection, encoding: Encoding, host: str, written: SimulatorProcess
) -> None:
    skip_beyond_multicorn2(host, encoding)
    customer = create(written, "customers", {"name": encoding.name, "email": "encoded@example.com"})["id"]
    for where in ("id = %s", "id = any(array[%s, 'cus_none'])"):
        assert column(encoded, f"select name from customer where {where}", customer) == [encoding.name]
    found = "select id from customer where email = 'encoded@example.com' and name = %s and id = %s"
    assert column(encoded, found, encoding.name, customer) == [customer]
    assert column(encoded, found, encoding.name + "?", customer) == []


def test_a_row_with_a_character_that_an_encoding_lacks_is_an_error_of_its_own(
    encoded: psycopg.Connection, encoding: Encoding, host: str, written: SimulatorProcess
) -> None:
    if encoding.database == "SQL_ASCII":
        pytest.skip("a database of encoding SQL_ASCII holds any bytes")
    customer = create(written, "customers", {"name": STRANGE})["id"]
    error = failing(encoded, f"select name from customer where id = '{customer}'")
    if host == "bundled":
        assert error.sqlstate == "22P05"
        assert column(encoded, f"select id from customer where id = '{customer}'") == [customer]


def test_what_is_written_comes_back(
    encoded: psycopg.Connection, encoding: Encoding, host: str, written: SimulatorProcess
) -> None:
    skip_beyond_multicorn2(host, encoding)
    insert = "insert into customer (name) values (%s) returning id, name"
    row = encoded.execute(insert.encode(), (encoding.name,)).fetchone()
    assert row is not None
    assert row[1] == encoding.name
    again = f"{encoding.name} 2"
    assert one(encoded, "update customer set name = %s where id = %s returning name", again, row[0]) == again
    assert one(encoded, "delete from customer where id = %s returning name", row[0]) == again


def test_a_failed_insert_says_what_is_changed_in_stripe(
    encoded: psycopg.Connection, encoding: Encoding, written: SimulatorProcess
) -> None:
    fault = {"kind": "status", "status": 400, "path": "/v1/customers", "method": "POST", "skip": 1}
    written.control("POST", "/faults", {**fault, "message": f"No {STRANGE} here"})
    text = unhidden(failing(encoded, "insert into customer (email) values ('a@b.c'), ('b@b.c')"))
    assert "row 2 failed" in text
    assert "1 row remains changed in Stripe: cus_" in text
    assert " here" in text
    if "LATIN1" in (encoding.database, encoding.client):
        assert "No ? ?ü? here" in text


def test_a_failed_read_says_what_stripe_says(encoded: psycopg.Connection, written: SimulatorProcess) -> None:
    fault = {"kind": "status", "status": 400, "path": "/v1/customers", "message": f"No {STRANGE} here"}
    written.control("POST", "/faults", fault)
    assert " here" in unhidden(failing(encoded, "select id from customer"))
    fault["path"] = "/v1/customers/*"
    written.control("POST", "/faults", fault)
    assert " here" in unhidden(failing(encoded, "select id from customer where id = 'cus_strange'"))


def test_a_rollback_warns_of_what_stays(
    encoded: psycopg.Connection, encoding: Encoding, host: str, written: SimulatorProcess
) -> None:
    skip_beyond_multicorn2(host, encoding)
    warnings: list[str] = []
    encoded.add_notice_handler(lambda diag: warnings.append(f"{diag.message_primary} {diag.message_detail}"))
    encoded.execute("begin")
    encoded.execute("savepoint s")
    insert = "insert into product (id, name) values (%s, 'strange')"
    encoded.execute(insert.encode(), (f"encoded_{encoding.name}",))
    encoded.execute("rollback to s")
    assert len(warnings) == 1
    assert "1 object remains changed in Stripe" in warnings[0]
    assert "encoded_" in warnings[0]
    encoded.execute("rollback")
    written.control("POST", "/reset")


def test_explain_shows_a_condition(encoded: psycopg.Connection, encoding: Encoding, host: str) -> None:
    skip_beyond_multicorn2(host, encoding)
    plan = "\n".join(
        map(str, column(encoded, f"explain select id from customer where email = '{encoding.name}'"))
    )
    assert "/v1/customers" in plan


def test_names_that_stripe_does_not_know(encoded: psycopg.Connection, encoding: Encoding, host: str) -> None:
    if host == "multicorn2" and encoding.database != "UTF8" and not encoding.name.isascii():
        pytest.skip("Multicorn2 reads names as UTF-8")
    name = encoding.name
    options = f"server stripe options (object '{name}')"
    encoded.execute(f'create foreign table "{name}" (id text) {options}')
    assert name in unhidden(failing(encoded, f'select * from "{name}"')) or not name.isascii()
    encoded.execute(
        f'create foreign table "{name} 2" ("{name}" text) server stripe options (object \'customer\')'
    )
    unhidden(failing(encoded, f'select * from "{name} 2"'))
    unhidden(failing(encoded, f'truncate "{name} 2"'))
    encoded.execute(f'drop foreign table "{name}", "{name} 2"')


BYTES = r"E'\xff\xfe'"


@pytest.mark.parametrize("encoding", [Encoding("SQL_ASCII", "SQL_ASCII", "")], ids=str)
def test_bytes_that_are_no_text_are_left_to_postgres(
    encoded: psycopg.Connection, encoding: Encoding, host: str, written: SimulatorProcess
) -> None:
    if host == "multicorn2":
        pytest.skip("Multicorn2 itself refuses such bytes")
    customer = str(create(written, "customers", {"email": "bytes@example.com"})["id"]).encode()
    for where in (
        f"email = {BYTES}",
        f"email = any(array[{BYTES}, 'x'])",
        f"email = 'x' or email = {BYTES}",
        f"email > {BYTES}",
        f"id = {BYTES}",
    ):
        assert column(encoded, f"select id from customer where {where}") == []
    for where in (f"id <> {BYTES}", f"email < {BYTES}"):
        assert customer in column(encoded, f"select id from customer where {where}")
    written.control("DELETE", "/requests")
    error = failing(encoded, f"insert into customer (name) values ({BYTES})")
    assert error.sqlstate == "22021"
    assert [item for item in written.requests() if item["method"] == "POST"] == []
