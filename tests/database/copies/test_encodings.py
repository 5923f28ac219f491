"""Copies in databases whose encoding lacks characters that Stripe's objects have."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from stripe_fdw.api.client import Client
from stripe_fdw.catalog import load
from stripe_fdw.copies.accounts import check_account
from stripe_fdw.copies.install import install_copies
from stripe_fdw.copies.refetch import Refetcher
from stripe_fdw.copies.refresh_run import ResourceRefresh
from stripe_fdw.copies.runs import Run
from stripe_fdw.copies.verify import Verifier
from stripe_fdw.database.install import InstallPlan, install_into
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.database.session import open_session
from stripe_fdw.devstack.private_postgres import Cluster
from stripe_simulator.process import SimulatorProcess
from support.commands import run_command
from support.database import KEY, create, rows
from support.simulators import Simulators

CUSTOMER = load().resource["customer"]
TEXT = "Łódź 山田 ü"


@pytest.fixture(scope="module")
def stripe(simulators: Simulators) -> SimulatorProcess:
    return simulators("encoded copies", customers=0, seed=3)


@pytest.fixture(
    params=[("LATIN1", "latin-1", "Zoë"), ("EUC_JP", "euc-jp", "山田"), ("WIN1251", "cp1251", "Ж")]
)
def chosen(request: pytest.FixtureRequest) -> tuple[str, str, str]:
    """An encoding, Python's name of it, and a name that it has."""
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def db(cluster: Cluster, chosen: tuple[str, str, str]) -> Iterator[psycopg.Connection]:
    name = f"copies_{chosen[0].lower()}"
    with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
        connection.execute(
            f"create database {name} encoding '{chosen[0]}' locale 'C' template template0".encode()
        )
    with open_session(cluster.dsn(name)) as connection:
        with connection.transaction():
            list(install_copies(connection, Schemas(), ["customer"]))
        yield connection


def refresh(db: psycopg.Connection, client: Client) -> Run:
    run = ResourceRefresh(client, db, Schemas(), lambda: None, lambda _: None).refresh(CUSTOMER)
    assert isinstance(run, Run)
    return run


def test_a_text_that_the_encoding_lacks_stops_nothing(
    db: psycopg.Connection, client: Client, stripe: SimulatorProcess, chosen: tuple[str, str, str]
) -> None:
    stripe.control("POST", "/reset")
    _, codec, name = chosen
    strange = create(stripe, "customers", {"name": "🚲 " + name, "metadata[city]": TEXT, "phone": "1"})["id"]
    usual = create(stripe, "customers", {"name": name})["id"]
    assert refresh(db, client).applied.inserted == 2
    copied = "select name, phone, _raw ->> 'name' from stripe.customer where id = '{}'"
    assert rows(db, copied.format(usual)) == [(name, None, name)]
    assert rows(db, copied.format(strange)) == [(None, "1", "? " + name)]
    misfits = "select id, columns from stripe_sync.misfit"
    [(identifier, columns)] = rows(db, misfits)
    assert identifier == strange
    shown = TEXT.encode(codec, "replace").decode(codec)
    assert columns == [*(["metadata"] if shown != TEXT else []), "name", "_raw"]
    [(city,)] = rows(db, f"select _raw -> 'metadata' ->> 'city' from stripe.customer where id = '{strange}'")
    assert city == shown

    assert refresh(db, client).applied.unchanged == 2
    verifier = Verifier(client, db, Schemas(), lambda: None, lambda *_: None)
    assert verifier.verify(CUSTOMER).differences == []

    create(stripe, f"customers/{strange}", {"name": name, "metadata[city]": ""})
    db.execute("update stripe_sync.run set confirmed_at = null")
    db.execute("update stripe_copy.customer set _as_of = _as_of - interval '1 hour'")
    assert verifier.verify(CUSTOMER).differences != []
    assert refresh(db, client).applied.updated == 1
    assert rows(db, copied.format(strange)) == [(name, "1", name)]
    assert rows(db, misfits) == []


def test_an_answer_that_the_encoding_lacks_is_read_again_and_fails_no_write(
    host_cluster: Cluster, client: Client, stripe: SimulatorProcess, host: str
) -> None:
    stripe.control("POST", "/reset")
    strange = create(stripe, "customers", {"name": "🚲"})["id"]
    name = f"written_{host}_latin1"
    with psycopg.connect(host_cluster.dsn(), autocommit=True) as connection:
        connection.execute(f"create database {name} encoding 'LATIN1' locale 'C' template template0".encode())
        connection.execute(f"alter database {name} set log_statement = 'none'".encode())
    options = {"api_base": stripe.url, "max_requests_per_second": "10000"}
    with open_session(host_cluster.dsn(name)) as db:
        install_into(db, InstallPlan(host=host, server_options=options, mapping={"api_key": KEY}))  # type: ignore[arg-type]
        with db.transaction():
            list(install_copies(db, Schemas(), ["customer"]))
        check_account(client, db, Schemas(), lambda: None)
        refresh(db, client)
        db.execute("truncate stripe_sync.refetch")
        db.execute("update stripe_sync.run set confirmed_at = null")
        assert db.execute("update stripe.customer set phone = '5'").rowcount == 1
        assert rows(db, "select id from stripe_sync.refetch") == [(strange,)]
        db.execute("update stripe_sync.refetch set doubted_at = doubted_at - interval '10 s'")
        db.execute("update stripe_copy.customer set _as_of = _as_of - interval '10 s'")
        Refetcher(client, db, Schemas(), load(), lambda: None).refetch_due()
        assert rows(db, "select phone, name, _raw ->> 'name' from stripe.customer") == [("5", None, "?")]


@pytest.mark.parametrize("encoding", ["LATIN1", "EUC_JP", "SQL_ASCII"])
def test_the_commands_work_whatever_the_encodings(
    cluster: Cluster, stripe: SimulatorProcess, encoding: str
) -> None:
    name = f"commands_{encoding.lower()}"
    with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
        connection.execute(
            f"create database {name} encoding '{encoding}' locale 'C' template template0".encode()
        )
        connection.execute(f"alter database {name} set log_statement = 'none'".encode())
    environment = {"DATABASE_URL": cluster.dsn(name), "STRIPE_API_BASE": stripe.url, "STRIPE_API_KEY": KEY}
    for client in ("UTF8", "LATIN1" if encoding == "LATIN1" else "SQL_ASCII"):
        done = run_command(
            "init", "--copies", "product", environment={**environment, "PGCLIENTENCODING": client}
        )
        assert done.returncode == 0, done.stderr
    refreshed = run_command("refresh", "product", environment=environment)
    assert refreshed.returncode == 0, refreshed.stderr
