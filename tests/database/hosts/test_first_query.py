"""Sessions that load the bundled host with their first query: the default, without preloading."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from stripe_fdw.database.install import InstallPlan, install_into
from stripe_simulator.process import SimulatorProcess
from support.database import KEY, count, failing, one, said


@pytest.fixture(scope="module")
def dsn(clusters: Any, simulator: SimulatorProcess) -> str:
    cluster = clusters("without preloading")
    with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
        options = {"api_base": simulator.url, "max_requests_per_second": "10000"}
        install_into(connection, InstallPlan(server_options=options, mapping={"api_key": KEY}))
    return str(cluster.dsn())


@pytest.fixture
def fresh(dsn: str, calm: SimulatorProcess) -> Iterator[psycopg.Connection]:
    """A session that has loaded nothing of this package."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        yield connection


def sent(simulator: SimulatorProcess) -> list[str]:
    return [request["path"] for request in simulator.requests() if request["method"] != "GET"]


def test_looking_needs_no_mapping_and_starts_no_python(fresh: psycopg.Connection) -> None:
    event = one(fresh, "select 'stripe_live.event'::regclass::oid")
    fresh.execute("create role onlooker; set role onlooker")
    assert one(fresh, "select pg_relation_is_updatable(%s::oid, false)", event) == 0
    fresh.execute("reset role; drop role onlooker")
    maps = Path(f"/proc/{fresh.info.backend_pid}/maps")
    assert "msgspec" not in maps.read_text()
    assert count(fresh, "select count(*) from stripe_live.event where id = 'evt_none'") == 0
    assert "msgspec" in maps.read_text()


def test_on_conflict_is_refused_by_postgres(fresh: psycopg.Connection, calm: SimulatorProcess) -> None:
    """The statement is planned before the host is loaded: Postgres finds no unique index."""
    insert = "insert into stripe_live.customer (id, email) values ('x', 'y') on conflict (id) do nothing"
    assert failing(fresh, insert).sqlstate == "42P10"
    fresh.execute("select from stripe_live.customer where id = 'cus_none'")
    assert failing(fresh, insert).sqlstate == "0A000"
    assert sent(calm) == []


def test_a_value_that_is_none_of_a_boolean_sends_nothing(
    fresh: psycopg.Connection, calm: SimulatorProcess
) -> None:
    """Postgres takes any value for a setting whose extension is not loaded."""
    fresh.execute("set stripe_fdw.dry_run = 'ja'")
    insert = "insert into stripe_live.customer (name) values ('Ada')"
    error = failing(fresh, insert)
    assert 'invalid value for parameter "stripe_fdw.dry_run": "ja"' in said(error)
    assert "SET stripe_fdw.dry_run = on, or off." in said(error)
    assert sent(calm) == []
    fresh.execute("set stripe_fdw.dry_run = on")
    fresh.execute(insert.encode())
    assert sent(calm) == []
