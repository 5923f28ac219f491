"""One database for all tools: live tables, a few copies and a materialized view, on the bundled host."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg
import pytest

from stripe_fdw.database.install import InstallPlan, install_into
from stripe_fdw.devstack.private_postgres import Cluster
from stripe_simulator.process import SimulatorProcess
from support.commands import Command
from support.database import KEY
from support.simulators import Simulators

COPIED = ("customer", "price", "subscription")


@dataclass(frozen=True)
class ToolsDatabase:
    """A database with everything installed, and its simulated Stripe."""

    dsn: str
    simulator: SimulatorProcess

    def url(self, scheme: str = "postgresql") -> str:
        """Its URL, of this scheme."""
        return self.dsn.replace("postgresql", scheme, 1)

    def requests(self) -> int:
        """The number of requests that Stripe was asked for since the last call."""
        log = self.simulator.control("GET", "/requests")["requests"]
        self.simulator.control("DELETE", "/requests")
        return len(log)


@pytest.fixture(scope="package")
def tools(cluster: Cluster, simulators: Simulators) -> ToolsDatabase:
    simulator = simulators("tools", customers=60, seed=11)
    with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
        connection.execute("create database tools")
    dsn = cluster.dsn("tools")
    with psycopg.connect(dsn, autocommit=True) as connection:
        options = {"api_base": simulator.url, "max_requests_per_second": "10000"}
        install_into(
            connection, InstallPlan(host="bundled", server_options=options, mapping={"api_key": KEY})
        )
    refresh = Command(
        "refresh",
        *COPIED,
        environment={"DATABASE_URL": dsn, "STRIPE_API_KEY": KEY, "STRIPE_API_BASE": simulator.url},
    )
    assert refresh.wait() == 0, refresh.stderr
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("create schema app")
        connection.execute(
            "create materialized view app.price_list as select id, unit_amount from stripe_live.price"
        )
    return ToolsDatabase(dsn, simulator)
