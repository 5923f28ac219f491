"""``init`` asks Stripe whether it accepts the key, and changes nothing if not."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator

import psycopg
import pytest
from click.testing import Result
from typer.testing import CliRunner

from stripe_fdw.cli import _app as cli
from stripe_fdw.devstack.private_postgres import Cluster
from stripe_fdw.errors import StripeFdwError
from stripe_fdw.settings import settings
from stripe_simulator.process import SimulatorProcess
from support.database import KEY
from support.hosts import BUNDLED_ALONE
from support.simulators import Simulators

WRONG = "sk_test_4eC39HqLyjWDarjtT1zdp7dcwrongkey"
RESTRICTED = "rk_test_4eC39HqLyjWDarjtT1zdp7dcrestricted"
Init = Callable[..., Result]


@pytest.fixture(scope="module")
def stripe(simulators: Simulators) -> SimulatorProcess:
    """A simulated Stripe whose keys these tests change."""
    return simulators("keys of init", customers=5, seed=3)


@pytest.fixture
def dsn(host_cluster: Cluster, host: str) -> Iterator[str]:
    name = f"init_check_{host}"
    with psycopg.connect(host_cluster.dsn(), autocommit=True) as connection:
        connection.execute(f"create database {name}".encode())
        yield host_cluster.dsn(name)
        connection.execute(f"drop database {name} with (force)".encode())


@pytest.fixture
def init(dsn: str, stripe: SimulatorProcess, host: str) -> Init:
    def run(*arguments: str, key: str = KEY, api_base: str = stripe.url) -> Result:
        settings.cache_clear()
        env = {"DATABASE_URL": dsn, "STRIPE_API_KEY": key, "STRIPE_API_BASE": api_base}
        try:
            return CliRunner().invoke(cli, ["init", "--host", host, *arguments], env=env)
        finally:
            settings.cache_clear()

    return run


def refusal(result: Result, dsn: str) -> StripeFdwError:
    """The error, after which the database has nothing of ours."""
    assert isinstance(result.exception, StripeFdwError), result.output
    with psycopg.connect(dsn) as connection:
        schemas = connection.execute("select count(*) from pg_namespace where nspname like 'stripe%'")
        assert schemas.fetchone() == (0,)
        assert connection.execute("select count(*) from pg_foreign_server").fetchone() == (0,)
    return result.exception


def accounts_asked(stripe: SimulatorProcess) -> int:
    return sum(item["path"] == "/v1/account" for item in stripe.requests())


def test_it_prints_the_account_of_the_key_and_makes_one_request(init: Init, stripe: SimulatorProcess) -> None:
    before = accounts_asked(stripe)
    result = init()
    assert result.exit_code == 0, result.output
    assert "Stripe accepts the key, of account acct_" in result.output
    assert accounts_asked(stripe) == before + 1
    assert "Stripe accepts" not in init("--no-check").output
    assert accounts_asked(stripe) == before + 1


def test_json_has_changes_account_and_checks_and_no_key(init: Init, stripe: SimulatorProcess) -> None:
    result = init("--json", "--copies", "customer")
    done = json.loads(result.stdout)
    assert (done["server"], done["api_base"]) == ("stripe", stripe.url)
    assert any("stripe_live" in line for line in done["changes"])
    assert done["account"].startswith("acct_")
    assert {item["status"] for item in done["checks"]} <= {"ok", "warning"}
    assert f"requests of server stripe go to {stripe.url}" in result.stderr
    assert KEY not in result.output
    again = json.loads(init("--json", "--no-check").stdout)
    assert again == {
        "server": "stripe", "api_base": stripe.url, "changes": [], "account": None, "checks": None
    }  # fmt: skip


@BUNDLED_ALONE
def test_a_wrong_key_is_refused_and_nothing_is_changed(
    init: Init, stripe: SimulatorProcess, dsn: str
) -> None:
    stripe.control("POST", "/keys", {"wrong": [WRONG]})
    error = refusal(init(key=WRONG), dsn)
    assert "server stripe cannot read Stripe: " in error.message
    assert "Invalid API Key" in error.message
    assert WRONG not in str(error)
    assert "Check the key" in str(error.hint)
    assert "--no-check" in str(error.hint)
    assert init("--no-check", key=WRONG).exit_code == 0


@BUNDLED_ALONE
def test_a_dead_address_is_refused(init: Init, dsn: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    error = refusal(init(api_base=f"http://127.0.0.1:{port}"), dsn)
    assert "server stripe cannot read Stripe: " in error.message
    assert f"127.0.0.1:{port}" in error.message


@BUNDLED_ALONE
def test_the_version_at_the_end_of_the_address_is_refused(
    init: Init, stripe: SimulatorProcess, dsn: str
) -> None:
    error = refusal(init(api_base=f"{stripe.url}/v1"), dsn)
    assert error.message.endswith(f"give {stripe.url}")


@BUNDLED_ALONE
def test_a_publishable_key_is_refused(init: Init, dsn: str) -> None:
    error = refusal(init(key="pk_test_4eC39HqLyjWDarjtT1zdp7dc"), dsn)
    assert "publishable key" in error.message


@BUNDLED_ALONE
def test_a_restricted_key_that_may_not_read_its_account_is_accepted(
    init: Init, stripe: SimulatorProcess
) -> None:
    stripe.control("POST", "/keys", {"restricted": {RESTRICTED: ["customer_read"]}})
    result = init(key=RESTRICTED)
    assert result.exit_code == 0, result.exception
    assert "Stripe accepts the key, which may not read its own account" in result.output


@BUNDLED_ALONE
def test_a_mapping_that_names_the_place_of_the_key_keeps_it(dsn: str, init: Init) -> None:
    options = "select umoptions from pg_user_mappings where srvname = 'stripe'"
    for arguments in (["--api-key-file", "/run/secrets/stripe"], ["--api-key-env", "KEY"]):
        assert init("--no-check", *arguments).exit_code == 0
        again = init("--no-check")
        assert again.exit_code == 0
        assert "the key in STRIPE_API_KEY is not stored" in again.stderr
        with psycopg.connect(dsn) as connection:
            name, place = arguments[0].removeprefix("--").replace("-", "_"), arguments[1]
            assert connection.execute(options).fetchall() == [([f"{name}={place}"],)]
    with psycopg.connect(dsn) as connection:
        connection.execute("drop user mapping for current_user server stripe")
    assert "user mapping of postgres on server stripe: api_key" in init("--no-check").stdout


@BUNDLED_ALONE
def test_without_foreign_tables_there_is_no_schema_for_them(dsn: str, init: Init) -> None:
    first = init("--without-live", "--copies", "customer")
    assert first.exit_code == 0, first.output
    assert "stripe_live" not in first.output
    with psycopg.connect(dsn) as connection:
        schemas = connection.execute(
            "select nspname from pg_namespace where nspname like 'stripe%' order by 1"
        )
        assert [name for (name,) in schemas] == ["stripe", "stripe_copy", "stripe_sync"]
        connection.execute("insert into stripe_copy.customer (id, _account, _raw) values ('cus_1', '', '{}')")
        assert connection.execute("select id from stripe.customer").fetchall() == [("cus_1",)]
    assert init("--without-live").stdout == "nothing to do\n"
