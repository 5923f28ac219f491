"""The bundled host in ``shared_preload_libraries``: sessions fork from a server that has loaded it."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from stripe_fdw.cli.host import refuse_use
from stripe_fdw.database.errors import InstallError
from stripe_fdw.database.extension_use import extension_use
from stripe_fdw.database.install import InstallPlan, install_into
from stripe_fdw.devstack.private_postgres import Cluster, PrivateInstallation
from stripe_fdw.devstack.stack import host_environment
from stripe_fdw.settings import settings
from stripe_simulator.process import SimulatorProcess
from support.database import KEY, column, count, one
from support.waiting import wait_until

PRELOAD = (("shared_preload_libraries", "stripe_fdw"),)


@contextmanager
def started(directory: Path, tree: PrivateInstallation) -> Iterator[Cluster]:
    cluster = Cluster(directory, tree, environment=host_environment(), settings=PRELOAD)
    cluster.initialize()
    cluster.start()
    try:
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture(scope="module")
def preloading(tree: PrivateInstallation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A server that loads the package when it starts."""
    with started(tmp_path_factory.mktemp("preloading"), tree) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def dsn(preloading: Cluster, simulator: SimulatorProcess, restored: None) -> str:
    with psycopg.connect(preloading.dsn(), autocommit=True) as connection:
        server_options = {"api_base": simulator.url, "max_requests_per_second": "10000"}
        install_into(connection, InstallPlan(server_options=server_options, mapping={"api_key": KEY}))
    return preloading.dsn()


@pytest.fixture
def connect(dsn: str, calm: SimulatorProcess) -> Callable[[], psycopg.Connection]:
    return lambda: psycopg.connect(dsn, autocommit=True)


def python_is_mapped(connection: psycopg.Connection) -> bool:
    return "orjson" in Path(f"/proc/{connection.info.backend_pid}/maps").read_text()


def test_a_session_has_the_package_before_its_first_query(connect: Callable[[], psycopg.Connection]) -> None:
    with connect() as session:
        assert python_is_mapped(session)
        assert count(session, "select count(*) from (select from stripe_live.customer limit 3) c") == 3


def test_sessions_read_and_write_at_once(connect: Callable[[], psycopg.Connection]) -> None:
    """Requests ahead have threads of their own in each session, and the pages of a scan one more."""

    def work(number: int) -> list[object]:
        with connect() as session:
            inserted = column(
                session, f"insert into stripe_live.customer (name) values ('{number}') returning id"
            )
            joined = (
                "select count(*) from stripe_live.customer c"
                " join stripe_live.subscription s on s.customer = c.id"
            )
            subscriptions = count(session, joined)
            session.execute("begin; savepoint a; select from stripe_live.product; rollback to a; commit")
            names = column(session, f"select name from stripe_live.customer where id = '{inserted[0]}'")
            return [names, subscriptions > 0]

    with ThreadPoolExecutor(6) as threads:
        results = list(threads.map(work, range(12)))
    assert results == [[[str(number)], True] for number in range(12)]


def test_random_numbers_of_sessions_differ(
    connect: Callable[[], psycopg.Connection], calm: SimulatorProcess
) -> None:
    """Idempotency keys are random: two sessions with the state of one fork would send each other's."""
    for _ in range(2):
        with connect() as session:
            session.execute("insert into stripe_live.customer (name) values ('twin')")
    keys = [request["idempotency_key"] for request in calm.requests() if request["method"] == "POST"]
    assert len(set(keys)) == len(keys) == 2


def test_a_query_is_cancelled(connect: Callable[[], psycopg.Connection], calm: SimulatorProcess) -> None:
    calm.control("POST", "/latency", {"ms": 20_000})
    with connect() as session:
        session.execute("set statement_timeout = 300")
        with pytest.raises(psycopg.errors.QueryCanceled):
            session.execute("select from stripe_live.customer")


def test_the_server_recovers_from_a_killed_session(
    connect: Callable[[], psycopg.Connection], preloading: Cluster
) -> None:
    session = connect()
    assert count(session, "select count(*) from stripe_live.product") > 0
    os.kill(session.info.backend_pid, signal.SIGKILL)
    session.close()

    def answers() -> bool:
        try:
            with connect() as other:
                return (
                    python_is_mapped(other) and count(other, "select count(*) from stripe_live.product") > 0
                )
        except (psycopg.OperationalError, FileNotFoundError):  # which the server has ended as well
            return False

    wait_until(answers, "the server has recovered")
    assert preloading.running()


def test_no_other_module_starts_python(connect: Callable[[], psycopg.Connection]) -> None:
    with connect() as session:
        if one(session, "select count(*) from pg_available_extensions where name = 'multicorn'") == 0:
            pytest.skip("multicorn is not installed")
        for hint in (
            "need a server without stripe_fdw in shared_preload_libraries",
            "in sessions of their own",
        ):
            with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match=hint):
                session.execute("load 'multicorn'")
            assert count(session, "select count(*) from stripe_live.product") > 0


def test_a_server_starts_without_python(tree: PrivateInstallation, tmp_path: Path) -> None:
    """A Python that is gone costs Stripe's tables, and not the database."""
    missing = sys.executable[:-1] + "-"
    other = PrivateInstallation(tmp_path / "tree", tree.system)
    other.build()
    for folder, copy in ((tree.pkglibdir, other.pkglibdir), (tree.extensiondir, other.extensiondir)):
        for file in folder.glob("stripe_fdw*"):
            (copy / file.name).unlink(missing_ok=True)
            shutil.copyfile(file, copy / file.name)
    module = other.pkglibdir / "stripe_fdw.so"
    module.write_bytes(module.read_bytes().replace(sys.executable.encode() + b"\0", missing.encode() + b"\0"))
    with started(tmp_path / "cluster", other) as cluster:
        assert (
            "WARNING:  stripe_fdw was not loaded ahead of sessions: stripe_fdw cannot start Python: "
            f"the server cannot run {missing}: No such file or directory"
        ) in cluster.log.read_text()
        with psycopg.connect(cluster.dsn(), autocommit=True) as session:
            session.execute("create extension stripe_fdw")
            with pytest.raises(psycopg.Error, match="cannot start Python"):
                session.execute("create server s foreign data wrapper stripe_fdw")
            assert one(session, "select 1") == 1


def test_the_host_is_not_removed_while_the_server_would_not_start_without_it(
    dsn: str, preloading: Cluster, tree: PrivateInstallation, monkeypatch: pytest.MonkeyPatch
) -> None:
    use = extension_use(dsn)
    assert (use.is_preloaded, use.unknown) == (True, ())
    assert psycopg.conninfo.conninfo_to_dict(dsn)["dbname"] in use.databases
    monkeypatch.setenv("DATABASE_URL", dsn)
    settings.cache_clear()
    try:
        with pytest.raises(InstallError, match="would not start without it"):
            refuse_use(tree.pkglibdir, force=False)
        refuse_use(tree.pkglibdir, force=True)
        refuse_use(tree.pkglibdir.parent, force=False)  # of another server
    finally:
        settings.cache_clear()


def test_a_role_that_may_not_see_settings_still_learns_which_databases_have_it(
    dsn: str, connect: Callable[[], psycopg.Connection]
) -> None:
    with connect() as session:
        session.execute("create role visitor login")
    use = extension_use(psycopg.conninfo.make_conninfo(dsn, user="visitor"))
    assert use.databases == (psycopg.conninfo.conninfo_to_dict(dsn)["dbname"],)
    assert (use.is_preloaded, use.pkglibdir) == (None, None)
