"""A server whose stripe_fdw serves the tables of support/hostile_tables.py, compiled for these tests only."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg
import pytest

import support
from stripe_fdw.devstack.private_postgres import Cluster, PrivateInstallation
from support.database import SessionPool
from support.installed_host import installed_tree
from support.server_log import CrashWatch

COLUMNS = (
    "id text, n bigint, flag boolean, amount numeric, created timestamptz, day date, data jsonb, text text, "
    "ratio double precision, small int"
)


@pytest.fixture(scope="session")
def hostile_tree() -> PrivateInstallation:
    return installed_tree("hostile", support.DIRECTORY / "hostile_tables.py")


@pytest.fixture(scope="session")
def hostile_cluster(
    hostile_tree: PrivateInstallation, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    # An environment that would lead another interpreter astray.
    cluster = Cluster(
        tmp_path_factory.mktemp("hostile"),
        hostile_tree,
        environment=(("PYTHONPATH", "/nonexistent"), ("PYTHONHOME", "/nonexistent")),
        settings=(
            ("log_error_verbosity", "verbose"),
            ("max_prepared_transactions", "5"),
            ("autovacuum", "off"),
        ),
    )
    cluster.initialize()
    cluster.start()
    with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
        connection.execute("create extension stripe_fdw")
        connection.execute("create server hostile foreign data wrapper stripe_fdw")
        connection.execute(f"create foreign table t ({COLUMNS}) server hostile")
        connection.execute(
            "create foreign table calls (call text, what text) server hostile options (object 'calls')"
        )
    yield cluster
    cluster.stop()


@pytest.fixture(scope="session")
def new_log(hostile_cluster: Cluster) -> Callable[[], str]:
    """Return the server log since the last call."""
    position = 0

    def read() -> str:
        nonlocal position
        with hostile_cluster.log.open(errors="replace") as log:
            log.seek(position)
            text = log.read()
            position = log.tell()
        return text

    return read


@pytest.fixture(scope="session")
def hostile_crash_watch(hostile_cluster: Cluster) -> Iterator[CrashWatch]:
    """Finds out whether that server is still the one that was started, and whether a backend crashed."""
    watch = CrashWatch(hostile_cluster)
    yield watch
    watch.check()


@pytest.fixture
def unharmed(hostile_crash_watch: CrashWatch) -> Iterator[None]:
    """Check after a test that no backend has crashed."""
    yield
    hostile_crash_watch.check()


@pytest.fixture
def db(hostile_cluster: Cluster, unharmed: None) -> Iterator[psycopg.Connection]:
    """A session; afterwards the server must be the one that was started, with no crash in its log."""
    with psycopg.connect(hostile_cluster.dsn(), autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="module")
def pool(hostile_cluster: Cluster) -> Iterator[SessionPool]:
    """The sessions that tests of a file take over from each other."""
    pool = SessionPool(hostile_cluster.dsn())
    yield pool
    pool.close()


@pytest.fixture
def pooled(pool: SessionPool, unharmed: None) -> Iterator[psycopg.Connection]:
    """A session that an earlier test of the file may have used. Afterwards the server must be unharmed."""
    with pool.session() as connection:
        yield connection


@pytest.fixture(scope="module")
def shared_db(hostile_cluster: Cluster) -> Iterator[psycopg.Connection]:
    """One session for many small cases: that it goes on after each is a test in itself."""
    with psycopg.connect(hostile_cluster.dsn(), autocommit=True) as connection:
        pid = hostile_cluster.pid()
        yield connection
        assert hostile_cluster.pid() == pid


class Tables:
    """Makes foreign tables that misbehave as their options say; each is dropped with its session."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection
        self._made = 0

    def __call__(self, columns: str = COLUMNS, **options: object) -> str:
        self._made += 1
        name = f"hostile_{self._made}"
        option_list = ", ".join(
            f"{key} '{str(value).replace(chr(39), chr(39) * 2)}'" for key, value in options.items()
        )
        self._connection.execute(f"drop foreign table if exists {name} cascade")
        self._connection.execute(
            f"create foreign table {name} ({columns}) server hostile"
            + (f" options ({option_list})" if option_list else "")
        )
        return name


@pytest.fixture
def table(db: psycopg.Connection) -> Tables:
    return Tables(db)


@pytest.fixture
def shared_table(shared_db: psycopg.Connection) -> Tables:
    return Tables(shared_db)
