"""Roles that attack, and the traces that their code leaves where it runs as another role."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest

from support.attacks import Acting
from support.database import one


@pytest.fixture
def mallory(db: psycopg.Connection) -> Iterator[Acting]:
    """Act as a role that may connect, and has what a test grants to it."""
    db.execute("create role mallory; set attack.ran_as = ''")

    @contextmanager
    def acting() -> Iterator[None]:
        db.execute("set role mallory")
        try:
            yield
        finally:
            db.execute("reset role")

    yield acting
    db.execute("rollback; reset role; drop owned by mallory cascade; drop role mallory")


@pytest.fixture
def ran_as(db: psycopg.Connection) -> Callable[[], str]:
    """The role as which a function of ``NOTES_ITS_ROLE`` ran last; empty if none ran."""
    return lambda: str(one(db, "select current_setting('attack.ran_as')"))
