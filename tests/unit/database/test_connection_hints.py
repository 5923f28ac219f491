from __future__ import annotations

import psycopg
import pytest

from stripe_fdw.database.connection_hints import connection_hint

SOCKET = 'connection failed: connection to server on socket "/var/run/postgresql/.s.PGSQL.5432" failed: '


@pytest.mark.parametrize(
    ("reason", "hint"),
    [
        ('FATAL:  role "root" does not exist', "names no role"),
        ('FATAL:  Peer authentication failed for user "postgres"', "role of its own name only"),
        ('FATAL:  password authentication failed for user "app"', "its password"),
        ('FATAL:  no pg_hba.conf entry for host "10.0.0.1", user "app", database "app"', "pg_hba.conf"),
        ('FATAL:  database "app" does not exist', "createdb"),
        ("FATAL:  sorry, too many clients already", "max_connections"),
        ("No such file or directory\n\tIs the server running locally?", "is running"),
    ],
)
def test_a_failed_connection_has_the_hint_of_its_reason(reason: str, hint: str) -> None:
    assert hint in str(connection_hint(psycopg.OperationalError(SOCKET + reason)))


def test_other_errors_have_none() -> None:
    assert connection_hint(psycopg.OperationalError("FATAL:  something else")) is None
    assert connection_hint(psycopg.errors.LockNotAvailable("canceling statement")) is None
    assert connection_hint(psycopg.errors.UndefinedTable("no table")) is None
