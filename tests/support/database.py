"""What database tests share: asking a session, and servers of one's own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import psycopg
import pytest
import urllib3
from psycopg import sql

from stripe_simulator.process import SimulatorProcess
from support.waiting import hang_guard

KEY = "sk_test_4eC39HqLyjWDarjtT1zdp7dcdatabasetests"  # of the server that all tests share
WRAPPERS = {"bundled": "stripe_fdw", "multicorn2": "multicorn"}
PLAIN = "XX000"  # Multicorn's SQLSTATE for whatever goes wrong


def one(db: psycopg.Connection, query: str, *parameters: object) -> object:
    """The first value of the first row."""
    row = db.execute(query.encode(), parameters or None).fetchone()
    return None if row is None else row[0]


def count(db: psycopg.Connection, query: str, *parameters: object) -> int:
    """The first value of the first row, a number."""
    found = one(db, query, *parameters)
    assert isinstance(found, int)
    return found


def column(db: psycopg.Connection, query: str, *parameters: object) -> list[object]:
    """The first value of each row."""
    return [row[0] for row in db.execute(query.encode(), parameters or None)]


def rows(db: psycopg.Connection, query: str) -> list[tuple[Any, ...]]:
    """The rows of a query."""
    return db.execute(query.encode()).fetchall()


def create(simulator: SimulatorProcess, path: str, fields: Mapping[str, object]) -> dict[str, Any]:
    """Create an object in Stripe by a request of another client."""
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/x-www-form-urlencoded"}
    answer = urllib3.request(
        "POST", f"{simulator.url}/v1/{path}", body=urlencode(fields), headers=headers, timeout=20
    )
    assert answer.status == 200, answer.data
    made: dict[str, Any] = answer.json()
    return made


def outcome(db: psycopg.Connection, query: str) -> psycopg.Error | None:
    """The error that the query ends with, None if it succeeds."""
    try:
        db.execute(query.encode())
    except psycopg.Error as error:
        return error
    return None


def refused(act: Callable[[], object]) -> psycopg.Error:
    """The error that an act ends with."""
    with hang_guard(20), pytest.raises(psycopg.Error) as caught:
        act()
    return caught.value


def failing(db: psycopg.Connection, query: str) -> psycopg.Error:
    """The error that the query ends with."""
    return refused(lambda: db.execute(query.encode()))


def let_ahead_leave(db: psycopg.Connection, table: str) -> None:
    """Let requests leave that a statement asked for ahead and did not need, before others are counted.

    Multicorn2 keeps the GIL between statements: the thread of such a request gets a step further in each.
    """
    for _ in range(10):
        db.execute(f"explain select from {table}".encode())
        time.sleep(0.007)  # more than the 5 ms after which Python hands the GIL to a thread that waits
    time.sleep(0.03)  # until what has left has arrived


def said(error: psycopg.Error) -> str:
    """All that an error tells its user."""
    diag = error.diag
    return " ".join(filter(None, (diag.message_primary, diag.message_detail, diag.message_hint)))


def in_hints(host: str, schema: str) -> str:
    """The schema of a foreign table as hints name it: Multicorn2 does not say which it is."""
    return schema if host == "bundled" else "<schema>"


class SessionPool:
    """A session that tests take over from each other, as clients of a connection pool do.

    Its backend has started Python before, which takes a fresh one longer than most tests.
    """

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self._connection: psycopg.Connection | None = None
        self._uses = 0

    @contextmanager
    def session(self) -> Iterator[psycopg.Connection]:
        """A session without settings, temporary tables and prepared statements; a new one after a death."""
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(self.dsn, autocommit=True)
        connection = self._connection
        try:
            yield connection
        finally:
            if not connection.closed:
                connection.rollback()
                connection.autocommit = True
                self._uses += 1  # a text that psycopg knows would not make it forget its prepared statements
                connection.execute(f"discard all -- {self._uses}".encode())

    def close(self) -> None:
        """End the session."""
        if self._connection is not None:
            self._connection.close()


@dataclass(frozen=True)
class Server:
    """A foreign server of one test, and the schema with its tables."""

    name: str

    def table(self, name: str) -> str:
        """A foreign table's name."""
        return f"{self.name}.{name}"


class Servers:
    """Makes foreign servers, each with tables in a schema of its name, and drops them in the end."""

    def __init__(self, connection: psycopg.Connection, host: str) -> None:
        self.connection = connection
        self._host = host
        self._made: list[str] = []

    def __call__(self, *tables: str, mapping: dict[str, str] | None = None, **options: object) -> Server:
        """A server with these options and tables, and the current user's mapping."""
        name = f"server_{len(self._made)}_{time.monotonic_ns()}"
        self._made.append(name)
        every = {key: str(value) for key, value in options.items()}
        if self._host == "multicorn2":
            every["wrapper"] = "stripe_fdw.StripeForeignDataWrapper"
        with self._session() as connection:
            connection.execute(f"create schema {name}")
            connection.execute(
                sql.SQL("create server {} foreign data wrapper {} {}").format(
                    sql.Identifier(name), sql.Identifier(WRAPPERS[self._host]), options_clause(every)
                )
            )
            if mapping:
                connection.execute(
                    sql.SQL("create user mapping for current_user server {} {}").format(
                        sql.Identifier(name), options_clause(mapping)
                    )
                )
            if tables:
                connection.execute(
                    sql.SQL("import foreign schema stripe limit to ({}) from server {} into {}").format(
                        sql.SQL(", ").join(map(sql.Identifier, tables)),
                        sql.Identifier(name),
                        sql.Identifier(name),
                    )
                )
        return Server(name)

    def drop(self) -> None:
        """Drop them all."""
        with self._session() as connection:
            for name in self._made:
                connection.execute(f"drop server if exists {name} cascade")
                connection.execute(f"drop schema if exists {name} cascade")

    @contextmanager
    def _session(self) -> Iterator[psycopg.Connection]:
        connection = self.connection
        # These statements hold keys, so the log must not.
        connection.execute("set log_statement = 'none'; set log_min_error_statement = 'panic'")
        connection.execute("set client_min_messages = 'warning'")
        try:
            yield connection
        finally:
            connection.execute("reset log_statement; reset log_min_error_statement")
            connection.execute("reset client_min_messages")


def options_clause(options: dict[str, str]) -> sql.Composable:
    """OPTIONS (…)."""
    if not options:
        return sql.SQL("")
    items = [sql.SQL("{} {}").format(sql.Identifier(k), sql.Literal(v)) for k, v in options.items()]
    return sql.SQL("options ({})").format(sql.SQL(", ").join(items))


def copy(db: psycopg.Connection, target: str, rows: str) -> None:
    """COPY target FROM STDIN."""
    with db.cursor() as cursor, cursor.copy(f"copy {target} from stdin".encode()) as data:
        data.write(rows)


def not_under_multicorn2(host: str, why: str) -> None:
    """Skip what Multicorn2 cannot do."""
    if host == "multicorn2":
        pytest.skip(f"under Multicorn2 {why}")
