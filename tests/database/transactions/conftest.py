"""Tests of transactions take over sessions from each other, as clients of a connection pool do."""

from __future__ import annotations

import psycopg
import pytest


@pytest.fixture
def db(pooled: psycopg.Connection) -> psycopg.Connection:
    """A session that wrote before."""
    return pooled
