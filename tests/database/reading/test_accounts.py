"""Connected accounts: a server with ``stripe_account`` sees that account alone, and no answer is mixed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from stripe_simulator.process import SimulatorProcess
from support.database import PLAIN, Server, Servers, column, failing, said

Make = Callable[..., Server]
KEY = "sk_test_51PlatformOfTheAccountTests"


@pytest.fixture
def accounts(db: psycopg.Connection) -> list[str]:
    """Two connected accounts."""
    return [str(found) for found in column(db, "select id from stripe_live.account limit 2")]


@pytest.fixture
def of(servers: Servers, simulator: SimulatorProcess) -> Make:
    """Makes the server of an account, or of the platform itself, all with one key."""

    def make(account: str | None, **options: Any) -> Server:
        if account is not None:
            options["stripe_account"] = account
        return servers(
            "customer", "subscription", mapping={"api_key": KEY}, api_base=simulator.url, **options
        )

    return make


def customers(db: psycopg.Connection, server: Server) -> set[object]:
    return set(column(db, f"select id from {server.table('customer')}"))


def asked_for(simulator: SimulatorProcess) -> list[object]:
    """The account that each request named."""
    found = [item["account"] for item in simulator.requests()]
    simulator.control("DELETE", "/requests")
    return found


def test_rows_are_the_account_s_own(
    db: psycopg.Connection, accounts: list[str], of: Make, calm: SimulatorProcess
) -> None:
    one, two = accounts
    platform, first, second = of(None), of(one), of(two)
    asked_for(calm)
    theirs = [customers(db, server) for server in (platform, first, second)]
    assert all(theirs)
    assert not theirs[0] & theirs[1]
    assert not theirs[1] & theirs[2]
    assert {*asked_for(calm)} >= {one, two}
    for server, ids in ((first, theirs[1]), (second, theirs[2])):
        found = column(
            db,
            f"select s.id from {server.table('subscription')} s join {server.table('customer')} c"
            " on c.id = s.customer where c.id = any(%s)",
            list(ids),
        )
        assert len(found) > 0


def test_one_statement_does_not_mix_accounts(
    db: psycopg.Connection, accounts: list[str], of: Make, calm: SimulatorProcess
) -> None:
    servers = [of(account) for account in accounts]
    alone = [len(customers(db, server)) for server in servers]
    asked_for(calm)
    both = " union all ".join(f"(select count(*) from {server.table('customer')})" for server in servers)
    assert column(db, both) == alone
    assert {*asked_for(calm)} == {*accounts}
    # The same id in both: there in one, missing in the other.
    identifier = next(iter(customers(db, servers[0])))
    counts = [f"(select count(*) from {server.table('customer')} where id = %s)" for server in servers]
    assert column(db, " union all ".join(counts), identifier, identifier) == [1, 0]


def test_the_cache_does_not_mix_accounts(
    db: psycopg.Connection, accounts: list[str], of: Make, calm: SimulatorProcess
) -> None:
    servers = [of(account, cache_ttl=60) for account in (None, *accounts)]
    before = [customers(db, server) for server in servers]
    asked_for(calm)
    assert [customers(db, server) for server in servers] == before
    assert asked_for(calm) == []


def test_an_account_that_nobody_knows(db: psycopg.Connection, of: Make, host: str) -> None:
    error = failing(db, f"select * from {of('acct_1Nobody').table('customer')}")
    assert "acct_1Nobody" in said(error)
    assert error.sqlstate == (PLAIN if host == "multicorn2" else "42501")
