"""A database with everything installed, and the command that checks it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg
import pytest

from stripe_fdw.database.install import InstallPlan, install_into
from stripe_fdw.devstack.private_postgres import Cluster
from stripe_simulator.process import SimulatorProcess
from support.checked import Checked, run
from support.database import KEY
from support.simulators import Simulators

Check = Callable[..., Checked]


@pytest.fixture(scope="module")
def stripe(simulators: Simulators) -> SimulatorProcess:
    """A simulated Stripe whose keys these tests change."""
    return simulators("check", customers=5, seed=3, not_activated=["issuing"])


@pytest.fixture
def keys(stripe: SimulatorProcess) -> Iterator[SimulatorProcess]:
    """The simulator, all of whose keys and faults are as at its start afterwards."""
    yield stripe
    for setting in ("keys", "faults", "requests"):
        stripe.control("DELETE", f"/{setting}")
    stripe.control("POST", "/clock", {})


@pytest.fixture(scope="module")
def installed(host_cluster: Cluster, stripe: SimulatorProcess, host: str) -> Iterator[str]:
    """A database with everything but copies, which tests leave as it is."""
    name = f"checked_{host}"
    with psycopg.connect(host_cluster.dsn(), autocommit=True) as connection:
        connection.execute(f"create database {name}".encode())
        connection.execute(f"alter database {name} set log_statement = 'none'".encode())
    options = {"api_base": stripe.url, "max_requests_per_second": "10000"}
    with psycopg.connect(host_cluster.dsn(name), autocommit=True) as connection:
        install_into(connection, InstallPlan(host, "stripe", options, {"api_key": KEY}))
    yield host_cluster.dsn(name)
    with psycopg.connect(host_cluster.dsn(), autocommit=True) as connection:
        connection.execute(f"drop database {name} with (force)".encode())


@pytest.fixture
def db(installed: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(installed, autocommit=True) as connection:
        yield connection


@pytest.fixture
def check(installed: str, keys: SimulatorProcess) -> Check:
    def checked(*arguments: str, dsn: str = installed) -> Checked:
        return Checked(run("check", "--json", *arguments, DATABASE_URL=dsn))

    return checked


@pytest.fixture
def reader(db: psycopg.Connection) -> Iterator[str]:
    """The database, to be connected to by a role without rights."""
    db.execute("create role check_reader login")
    yield f"host={db.info.host} dbname={db.info.dbname} user=check_reader"
    db.execute("drop user mapping if exists for check_reader server stripe")
    db.execute("drop owned by check_reader; drop role check_reader")
