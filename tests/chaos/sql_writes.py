"""Random writes through ``stripe.*``, some of them rolled back, in a session that is lost now and then."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable

import psycopg

_SESSION = "set statement_timeout = '30s'; set client_min_messages = error"


class SqlWrites:
    """A thread that writes through the views until ``stop``."""

    def __init__(self, dsn: str, seed: int, reads_lag: Callable[[], bool]) -> None:
        """Do nothing yet. While ``reads_lag``, a write whose answer was lost may read as what was before."""
        self._reads_lag = reads_lag
        self._dsn = dsn
        self._random = random.Random(f"{seed}/sql")
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="writes", daemon=True)
        self.outcomes: Counter[str] = Counter()  # transactions by their end
        self.wrong: list[str] = []  # what a transaction read that it had not written

    def start(self) -> None:
        """Begin writing."""
        self._thread.start()

    def stop(self) -> None:
        """End after the transaction that runs."""
        self._stopping.set()
        self._thread.join(90)
        assert not self._thread.is_alive(), "a write through the views never ended"

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                with psycopg.connect(self._dsn, autocommit=True) as connection:
                    connection.execute(_SESSION)
                    while not self._stopping.is_set():
                        self._write(connection)
            except psycopg.OperationalError:
                self.outcomes["the connection was lost"] += 1
                self._stopping.wait(0.2)

    def _write(self, connection: psycopg.Connection) -> None:
        commits = self._random.random() < 0.7
        write = self._random.choice((self._rename, self._rename, self._relabel, self._make, self._rename_two))
        try:
            with connection.transaction(force_rollback=not commits):
                write(connection)
        except psycopg.OperationalError:
            raise
        except psycopg.Error as error:
            self.outcomes[f"error {error.sqlstate}"] += 1
        else:
            self.outcomes["committed" if commits else "rolled back"] += 1
        self._stopping.wait(self._random.random() * 0.05)

    def _word(self) -> str:
        return f"sql {self._random.randrange(1000)}"

    def _pick(self, connection: psycopg.Connection, view: str, number: int = 1) -> list[str]:
        query = f"select id from stripe.{view} order by created desc, id limit 40"
        ids = [row[0] for row in connection.execute(query.encode())]
        return self._random.sample(ids, min(number, len(ids)))

    def _rename(self, connection: psycopg.Connection, number: int = 1) -> None:
        """Change names, each of which the transaction reads then, unless others have changed it as well."""
        for key in sorted(self._pick(connection, "customer", number)):
            name, word = "select name from stripe.customer where id = %s", self._word()
            before = connection.execute(name, (key,)).fetchall()
            done = connection.execute("update stripe.customer set name = %s where id = %s", (word, key))
            read = connection.execute(name, (key,)).fetchall()
            if done.rowcount == 1 and not self._reads_lag() and read == before != [(word,)]:
                self.wrong.append(f"customer {key}: wrote {word}, read {read} as before")

    def _rename_two(self, connection: psycopg.Connection) -> None:
        self._rename(connection, 2)

    def _relabel(self, connection: psycopg.Connection) -> None:
        for key in self._pick(connection, "subscription"):
            label = f'{{"sql": "{self._word()}"}}'
            connection.execute(
                "update stripe.subscription set metadata = %s::jsonb where id = %s", (label, key)
            )

    def _make(self, connection: psycopg.Connection) -> None:
        connection.execute("insert into stripe.product (name) values (%s)", (self._word(),))
