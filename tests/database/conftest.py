"""A private Postgres with every host installed, a simulated Stripe, and a database for each host."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import psycopg
import pytest
import urllib3

from stripe_fdw.database.install import InstallPlan, install_into
from stripe_fdw.devstack.private_postgres import Cluster, PrivateInstallation
from stripe_fdw.devstack.stack import host_environment
from stripe_fdw.host.postgres_installation import PostgresInstallation
from stripe_simulator.process import SimulatorProcess
from support.database import KEY, Server, Servers, SessionPool, let_ahead_leave
from support.installed_host import installed_tree
from support.server_log import CrashWatch
from support.simulators import Simulators

SHOWN_KEY = re.compile(r"\b[sr]k_(?:test|live)_[A-Za-z0-9]{12,}")
Clusters = Callable[[str], Cluster]
WRITTEN = (
    *("_call", "customer", "product", "subscription", "subscription_item", "invoice", "invoiceitem", "event"),
    *("entitlements_feature", "product_feature"),
)


@pytest.fixture(scope="session")
def all_messages() -> Iterator[list[str]]:
    """Errors, notices and EXPLAIN output that servers sent."""
    messages: list[str] = []
    execute, connect = psycopg.Cursor.execute, psycopg.Connection.connect

    def listening(cursor: Any, query: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            result = execute(cursor, query, *args, **kwargs)
        except psycopg.Error as error:
            fields = (getattr(error.diag, name) for name in dir(error.diag) if not name.startswith("_"))
            messages.extend([str(error), *filter(None, map(str, fields))])
            raise
        text = query.decode() if isinstance(query, bytes) else str(query)
        if "explain" in text.lower() and cursor.pgresult is not None:
            rows = range(cursor.pgresult.ntuples)
            messages.extend((cursor.pgresult.get_value(row, 0) or b"").decode() for row in rows)
        return result

    def connecting(*args: Any, **kwargs: Any) -> psycopg.Connection:
        connection = connect(*args, **kwargs)
        connection.add_notice_handler(
            lambda diag: messages.append(f"{diag.message_primary} {diag.message_detail} {diag.message_hint}")
        )
        return connection

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(psycopg.Cursor, "execute", listening)
        patch.setattr(psycopg, "connect", connecting)
        yield messages


@pytest.fixture(autouse=True)
def no_message_shows_a_key(all_messages: list[str]) -> Iterator[None]:
    """Look through what servers sent during a test."""
    all_messages.clear()
    yield
    text = "\n".join(all_messages)
    assert KEY not in text
    assert SHOWN_KEY.findall(text) == []


@pytest.fixture(scope="session")
def tree() -> PrivateInstallation:
    """A private installation with the hosts, shared by all workers and kept between runs."""
    return installed_tree("tests")


@pytest.fixture(scope="session")
def clusters(tree: PrivateInstallation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clusters]:
    """Servers by name, each with a log that tests read: one of each host.

    That of the bundled host preloads it, so that sessions do not start Python.
    """
    started: dict[str, Cluster] = {}

    def cluster(name: str) -> Cluster:
        if name not in started:
            preload = name == "bundled" and os.environ.get("PRELOAD") != "no"
            started[name] = _cluster(tree, tmp_path_factory.mktemp("postgres"), preload=preload)
            started[name].initialize()
            started[name].start()
        return started[name]

    yield cluster
    for each in started.values():
        each.stop()
        assert KEY not in each.log.read_text(errors="replace")


def _cluster(tree: PrivateInstallation, directory: Path, *, preload: bool) -> Cluster:
    shared = directory / "shared"  # made by the server, as its own user
    return Cluster(
        directory,
        tree,
        environment=(*host_environment(), ("STRIPE_FDW_SHARED_DIRECTORY", str(shared))),
        settings=(
            ("log_statement", "all"),
            ("log_error_verbosity", "verbose"),
            ("max_prepared_transactions", "5"),
            ("wal_level", "logical"),
            ("autovacuum", "off"),  # a process every few seconds, for the databases of some minutes
            ("jit", "off"),  # costs of requests are high, so that it compiles what then takes a millisecond
            *([("shared_preload_libraries", "stripe_fdw")] if preload else []),
        ),
    )


@pytest.fixture(scope="session")
def cluster(clusters: Clusters) -> Cluster:
    """The server of the bundled host."""
    return clusters("bundled")


@pytest.fixture(scope="session")
def host_cluster(clusters: Clusters, host: str) -> Cluster:
    """The server of this host."""
    return clusters(host)


@pytest.fixture(scope="session")
def simulator(simulators: Simulators) -> SimulatorProcess:
    """A simulated Stripe with 300 customers and what belongs to them; tests leave its objects as they are."""
    return simulators("read", customers=300, seed=7)


@pytest.fixture(scope="session", params=PostgresInstallation.find().hosts())
def host(request: pytest.FixtureRequest) -> str:
    """The host that serves the foreign tables."""
    return str(request.param)


@pytest.fixture(scope="session")
def databases(clusters: Clusters, simulator: SimulatorProcess) -> Callable[[str], str]:
    """The database with everything installed on a host, made when it is first asked for."""

    @cache
    def database(host: str) -> str:
        cluster = clusters(host)
        with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
            connection.execute(f"create database {host}")
        with psycopg.connect(cluster.dsn(host), autocommit=True) as connection:
            plan = InstallPlan(
                host=host,
                server_options={"api_base": simulator.url, "max_requests_per_second": "10000"},
                mapping={"api_key": KEY},
            )
            install_into(connection, plan)
        return cluster.dsn(host)

    return database


@pytest.fixture(scope="session")
def database(databases: Callable[[str], str], host: str) -> str:
    """A database with everything installed on this host."""
    return databases(host)


@pytest.fixture(scope="module")
def unchanged(simulator: SimulatorProcess) -> Iterator[None]:
    """Check after a module that it has left the simulator's objects as they were."""
    before = _last_event(simulator)
    yield
    assert _last_event(simulator) == before


@pytest.fixture(scope="module")
def restored(simulator: SimulatorProcess, unchanged: None) -> Iterator[None]:
    """Give the simulator the objects of its start after a module that has changed some."""
    yield
    simulator.control("POST", "/reset")


def _last_event(simulator: SimulatorProcess) -> object:
    headers = {"Authorization": f"Bearer {KEY}"}
    answer = urllib3.request("GET", f"{simulator.url}/v1/events?limit=1", headers=headers, timeout=20)
    return answer.json()["data"]


@pytest.fixture
def calm(simulator: SimulatorProcess, unchanged: None) -> Iterator[SimulatorProcess]:
    """The simulator without faults, limits, latency or a request log, before and after."""
    _calm(simulator)
    yield simulator
    _calm(simulator)


def _calm(simulator: SimulatorProcess) -> None:
    simulator.control("POST", "/reset", {"objects": False})


@pytest.fixture(scope="session")
def crash_watch(host_cluster: Cluster) -> Iterator[CrashWatch]:
    """Finds out whether the server is still the one that was started, and whether a backend crashed."""
    watch = CrashWatch(host_cluster)
    yield watch
    watch.check()


@pytest.fixture
def unharmed(crash_watch: CrashWatch) -> Iterator[None]:
    """Check after a test that no backend has crashed."""
    yield
    crash_watch.check()


@pytest.fixture
def db(database: str, unharmed: None, calm: SimulatorProcess) -> Iterator[psycopg.Connection]:
    """A session of its own. Afterwards the server must still be the one that was started."""
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="module")
def pool(database: str) -> Iterator[SessionPool]:
    """The sessions that tests of a file take over from each other."""
    pool = SessionPool(database)
    yield pool
    pool.close()


@pytest.fixture
def pooled(pool: SessionPool, unharmed: None, calm: SimulatorProcess) -> Iterator[psycopg.Connection]:
    """A session that an earlier test of the file may have used. Afterwards the server must be unharmed."""
    with pool.session() as connection:
        yield connection


@pytest.fixture
def requests(request: pytest.FixtureRequest, calm: SimulatorProcess) -> Callable[[], list[str]]:
    """Return the requests since the last call, each as ``GET /v1/customers?email=a@b.c``."""
    if {"pooled", "host"} <= set(request.fixturenames) and request.getfixturevalue("host") == "multicorn2":
        let_ahead_leave(request.getfixturevalue("pooled"), "stripe_live.customer")  # of an earlier test
        calm.control("DELETE", "/requests")

    def since() -> list[str]:
        log = calm.requests()
        calm.control("DELETE", "/requests")
        return [
            f"{item['method']} {item['path']}"
            + (f"?{unquote(item['query_string'])}" if item["query_string"] else "")
            for item in log
        ]

    return since


@pytest.fixture
def log(host_cluster: Cluster) -> Callable[[], str]:
    """The server's log so far."""
    path: Path = host_cluster.log
    return lambda: path.read_text(errors="replace")


@pytest.fixture
def servers(db: psycopg.Connection, host: str) -> Iterator[Servers]:
    """Make foreign servers of a test's own."""
    servers = Servers(db, host)
    yield servers
    servers.drop()


@pytest.fixture(scope="session")
def big(simulators: Simulators) -> SimulatorProcess:
    """A simulated Stripe with 20,000 customers, each answer 30 ms away: long scans, cut into slices."""
    return simulators("read", customers=20_000, seed=3, latency_ms=30)


@pytest.fixture(scope="session")
def written(simulators: Simulators, host: str) -> SimulatorProcess:
    """A simulated Stripe whose objects these tests change, for each host one."""
    return simulators(f"written under {host}", customers=30, seed=11)


@pytest.fixture
def live(servers: Servers, written: SimulatorProcess) -> Server:
    """A server with tables to write to."""
    _calm(written)
    return servers(*WRITTEN, mapping={"api_key": KEY}, api_base=written.url, max_requests_per_second=10000)


@pytest.fixture
def sent(written: SimulatorProcess) -> Callable[[], list[str]]:
    """Return the writing requests since the last call: ``POST /v1/customers``."""

    def since() -> list[str]:
        log = written.requests()
        written.control("DELETE", "/requests")
        return [f"{item['method']} {item['path']}" for item in log if item["method"] != "GET"]

    return since


@pytest.fixture
def warnings(db: psycopg.Connection) -> list[str]:
    """The warnings that came so far."""
    received: list[str] = []

    def note(diag: psycopg.errors.Diagnostic) -> None:
        if diag.severity == "WARNING":
            received.append(" ".join(filter(None, (diag.message_primary, diag.message_detail))))

    db.add_notice_handler(note)
    return received
