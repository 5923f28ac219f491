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
    return [str(identifier) for identifier in column(db, "select id from stripe_live.account limit 2")]


@pytest.fixture
def of(servers: Servers, simulator: SimulatorProcess) -> Make:
    """Make the server of an account, or of the platform itself, all with one key."""

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
    accounts = [item["account"] for item in simulator.requests()]
    simulator.control("DELETE", "/requests")
    return accounts


def test_rows_are_the_account_s_own(
    db: psycopg.Connection, accounts: list[str], of: Make, calm: SimulatorProcess
) -> None:
    first_account, second_account = accounts
    platform, first, second = of(None), of(first_account), of(second_account)
    asked_for(calm)
    customer_ids = [customers(db, server) for server in (platform, first, second)]
    assert all(customer_ids)
    assert not customer_ids[0] & customer_ids[1]
    assert not customer_ids[1] & customer_ids[2]
    assert {*asked_for(calm)} >= {first_account, second_account}
    for server, ids in ((first, customer_ids[1]), (second, customer_ids[2])):
        subscriptions = column(
            db,
            f"select s.id from {server.table('subscription')} s join {server.table('customer')} c"
            " on c.id = s.customer where c.id = any(%s)",
            list(ids),
        )
        assert len(subscriptions) > 0


def test_one_statement_does_not_mix_accounts(
    db: psycopg.Connection, accounts: list[str], of: Make, calm: SimulatorProcess
) -> None:
    servers = [of(account) for account in accounts]
    separate_counts = [len(customers(db, server)) for server in servers]
    asked_for(calm)
    query = " union all ".join(f"(select count(*) from {server.table('customer')})" for server in servers)
    assert column(db, query) == separate_counts
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


def test_an_unknown_account_is_an_error(db: psycopg.Connection, of: Make, host: str) -> None:
    error = failing(db, f"select * from {of('acct_1Missing').table('customer')}")
    assert "acct_1Missing" in said(error)
    assert error.sqlstate == (PLAIN if host == "multicorn2" else "42501")


def test_an_account_that_is_not_connected_is_no_row(db: psycopg.Connection, accounts: list[str]) -> None:
    for table, named in (("account", "id"), ("person", "account")):
        query = f"select {named} from stripe_live.{table} where {named} = %s"
        assert column(db, query, "acct_1Missing") == []
    query = "select id from stripe_live.account where id = any(%s)"
    assert column(db, query, ["acct_1Missing", accounts[0]]) == [accounts[0]]


def test_a_wrong_account_of_the_server_is_an_error_for_accounts_too(
    db: psycopg.Connection, servers: Servers, simulator: SimulatorProcess
) -> None:
    options = {"api_base": simulator.url, "stripe_account": "acct_1Missing"}
    server = servers("account", mapping={"api_key": KEY}, **options)
    query = f"select id from {server.table('account')} where id = 'acct_1Other'"
    assert "acct_1Missing" in said(failing(db, query))
