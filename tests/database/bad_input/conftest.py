"""One backend for all that goes wrong: whatever it was given, it must go on."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from stripe_simulator.process import SimulatorProcess


@pytest.fixture(scope="module")
def backend(database: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection


@pytest.fixture
def db(backend: psycopg.Connection, calm: SimulatorProcess) -> Iterator[psycopg.Connection]:
    pid = backend.info.backend_pid
    yield backend
    assert backend.execute("select pg_backend_pid()").fetchone() == (pid,)
