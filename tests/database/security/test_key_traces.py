"""``init`` leaves the key in the user mapping, and in no log or statistics, whatever the server records."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg
import pytest

from stripe_fdw.database.errors import InstallError
from stripe_fdw.database.install import InstallPlan, install_into
from stripe_fdw.database.user_mapping import install_user_mapping
from stripe_fdw.devstack.private_postgres import Cluster, PrivateInstallation
from stripe_fdw.devstack.stack import host_environment
from stripe_fdw.errors import OptionError
from support.database import WRAPPERS, column, one
from support.hosts import BUNDLED_ALONE, on_hosts

KEY = "sk_test_51TheKeyThatLeavesNoTrace00"
ODD = "no key by its looks, but a secret"


@pytest.fixture(scope="module")
def recording(tree: PrivateInstallation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A server that records as much of each statement as its settings allow."""
    cluster = Cluster(
        tmp_path_factory.mktemp("recording"),
        tree,
        environment=host_environment(),
        settings=(
            ("shared_preload_libraries", "pg_stat_statements"),
            ("pg_stat_statements.track", "all"),
            ("log_statement", "all"),
            ("log_min_duration_statement", "0"),
            ("log_error_verbosity", "verbose"),
            ("log_parameter_max_length_on_error", "-1"),
            ("debug_print_parse", "on"),
            ("debug_print_rewritten", "on"),
        ),
    )
    cluster.initialize()
    cluster.start()
    yield cluster
    cluster.stop()


@pytest.fixture
def dsn(recording: Cluster, host: str) -> Iterator[str]:
    """A database of its own, with the extension and a role that may install with it."""
    with psycopg.connect(recording.dsn(), autocommit=True) as connection:
        connection.execute("create role installer")
        connection.execute("create database traces")
        connection.execute("grant create on database traces to installer")
    with psycopg.connect(recording.dsn("traces"), autocommit=True) as connection:
        wrapper = WRAPPERS[host]
        connection.execute(f"create extension pg_stat_statements; create extension {wrapper}".encode())
        connection.execute(f"grant usage on foreign data wrapper {wrapper} to installer".encode())
    yield recording.dsn("traces")
    with psycopg.connect(recording.dsn(), autocommit=True) as connection:
        connection.execute("drop database traces with (force)")
        connection.execute("drop role installer")


@pytest.fixture
def traces(dsn: str, recording: Cluster) -> Callable[[], str]:
    """All that was recorded since the last call."""
    position = recording.log.stat().st_size

    def since() -> str:
        nonlocal position
        with psycopg.connect(dsn, autocommit=True) as connection:
            statements = column(connection, "select query from pg_stat_statements")
            connection.execute("select pg_stat_statements_reset()")
        with recording.log.open(errors="replace") as log:
            log.seek(position)
            text = log.read()
            position = log.tell()
        return "\n".join([*map(str, statements), text])

    return since


def install(dsn: str, host: str, key: str = KEY, role: str = "postgres", **mapping: str) -> list[str]:
    plan = InstallPlan(host, mapping=mapping or {"api_key": key})  # type: ignore[arg-type]
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(f"set role {role}".encode())
        return install_into(connection, plan)


def test_a_superusers_key_is_recorded_nowhere(dsn: str, host: str, traces: Callable[[], str]) -> None:
    install(dsn, host)
    recorded = traces()
    assert KEY not in recorded
    assert "import foreign schema" in recorded
    with psycopg.connect(dsn, autocommit=True) as connection:
        assert KEY in str(column(connection, "select umoptions from pg_user_mappings"))
        assert one(connection, "select to_regclass('stripe_sync._user_mapping')") is None


@BUNDLED_ALONE
def test_a_statement_by_hand_is_recorded(dsn: str, host: str, traces: Callable[[], str]) -> None:
    install(dsn, host)
    traces()
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            f"alter user mapping for current_user server stripe options (set api_key '{KEY}x')".encode()
        )
    recorded = traces()
    assert recorded.count(f"{KEY}x") >= 2  # in the statistics and in the log
    assert "api_key '" in recorded


@BUNDLED_ALONE
def test_an_ordinary_roles_key_is_refused_where_it_would_be_recorded(
    dsn: str, host: str, traces: Callable[[], str]
) -> None:
    with pytest.raises(InstallError, match="pg_stat_statements would record the API key") as caught:
        install(dsn, host, role="installer")
    assert "--api-key-file" in str(caught.value.hint)
    assert KEY not in traces()


def test_an_ordinary_roles_key_is_not_recorded_otherwise(
    dsn: str, host: str, traces: Callable[[], str]
) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("alter database traces set pg_stat_statements.track = 'top'")
    install(dsn, host, role="installer")
    assert KEY not in traces()
    install(dsn, host, f"{KEY}0", role="installer")
    recorded = traces()
    assert KEY not in recorded
    assert "unlogged table" in recorded


@BUNDLED_ALONE
def test_the_place_of_a_key_is_no_secret(dsn: str, host: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("grant pg_read_server_files to installer")
    assert "user mapping of installer on server stripe: api_key_file" in install(
        dsn, host, role="installer", api_key_file="/etc/stripe-fdw/key"
    )


@BUNDLED_ALONE
def test_a_key_that_cannot_be_one_is_not_sent(dsn: str, host: str, traces: Callable[[], str]) -> None:
    traces()
    with pytest.raises(OptionError, match="characters that no key has") as caught:
        install(dsn, host, ODD)
    assert ODD not in str(caught.value)
    assert "create" not in traces()


@BUNDLED_ALONE
def test_without_permission_the_key_is_not_sent(dsn: str, host: str, traces: Callable[[], str]) -> None:
    install(dsn, host, api_key_env="A_KEY")
    traces()
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("alter database traces set pg_stat_statements.track = 'top'; set role installer")
        with pytest.raises(InstallError, match="role installer may have no user mapping on server stripe"):
            list(install_user_mapping(connection, "stripe", {"api_key": KEY}))
    recorded = traces()
    assert KEY not in recorded
    assert "unlogged table" not in recorded


FAILURES = {
    "an error": "raise 'not now'",
    "a cancel": "perform pg_cancel_backend(pg_backend_pid()), pg_sleep(10)",
    "a termination": "perform pg_terminate_backend(pg_backend_pid()), pg_sleep(10)",
}


@pytest.mark.parametrize("role", ["postgres", "installer"])
@pytest.mark.parametrize(
    ("host", "failure"), on_hosts(FAILURES, ("an error",)), indirect=["host"], scope="session"
)
def test_a_mapping_that_fails_records_no_key(
    dsn: str, host: str, traces: Callable[[], str], all_messages: list[str], role: str, failure: str
) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("alter database traces set pg_stat_statements.track = 'top'")
        connection.execute(
            f"create function fail() returns event_trigger language plpgsql as $$ begin {FAILURES[failure]};"
            " end $$; create event trigger fail on ddl_command_start when tag in ('CREATE USER MAPPING')"
            " execute function fail()".encode()
        )
        if role == "installer":  # who may not set it
            connection.execute("alter database traces set log_error_verbosity = 'terse'")
    with pytest.raises((psycopg.Error, InstallError), match=r"not now|cancel|terminat") as caught:
        install(dsn, host, role=role)
    assert KEY not in str(caught.value)
    if failure == "a termination":  # who sent the key gets the statement back, and does not show it
        all_messages.clear()
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("drop event trigger fail")
    recorded = traces()
    assert KEY not in recorded
    assert "ERROR" in recorded or "FATAL" in recorded
