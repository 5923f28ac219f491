"""Background requests of processes that share no memory stay below one limit, which is in the database."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from stripe_fdw.api.client import Client, ClientOptions
from stripe_fdw.api.request import Request
from stripe_fdw.catalog import load
from stripe_fdw.copies.budget import RequestBudget, share_background
from stripe_fdw.redaction import Secret
from stripe_simulator.process import SimulatorProcess
from support.database import KEY
from support.simulators import Simulators


@pytest.fixture
def stripe(simulators: Simulators) -> SimulatorProcess:
    return simulators("queue", customers=300, seed=7, not_activated=["issuing"])


@pytest.fixture
def budgets(copies_dsn: str) -> Iterator[list[RequestBudget]]:
    """Those of three processes, of 50 requests a second together."""
    budgets = [RequestBudget(copies_dsn, "acct_1 test", 50) for _ in range(3)]
    yield budgets
    for budget in budgets:
        budget.close()
    with psycopg.connect(copies_dsn, autocommit=True) as connection:
        connection.execute("delete from stripe_sync.budget")


def test_slots_of_all_processes_together_are_as_many_as_the_rate(budgets: list[RequestBudget]) -> None:
    slots: list[float] = []
    began = time.monotonic()
    for _ in range(200):
        slots += [slot for budget in budgets if (slot := budget.take()) is not None]
    slots.sort()
    # Of 50 a second, 50 take a second. Converting the database's times to the process's own takes a little.
    assert all(later - earlier > 0.8 for earlier, later in zip(slots, slots[50:], strict=False))
    # A lease reaches at most two seconds ahead, whatever is asked for.
    assert len(slots) >= 80
    assert slots[-1] < time.monotonic() + 2.1
    assert slots[0] > began - 0.2


def test_a_lease_is_for_the_requests_that_wait(budgets: list[RequestBudget]) -> None:
    one, other, _ = budgets
    waits = [one.waits() for _ in range(4)]
    next(waits[0], None)
    first, second = one.take(), other.take()
    assert first is not None
    assert second is not None
    assert second - first < 0.3  # the other one does not wait for slots that are not used


@pytest.mark.parametrize("next_at", ["now() + interval '1 hour'", "'infinity'"])
def test_a_lease_too_far_in_the_future_is_ignored(
    budgets: list[RequestBudget], copies_dsn: str, next_at: str
) -> None:
    with psycopg.connect(copies_dsn, autocommit=True) as connection:
        connection.execute(f"insert into stripe_sync.budget values ('acct_1 test', {next_at})".encode())
    first, second = budgets[0].take(), budgets[1].take()
    assert first is not None
    assert second is not None
    assert first < second < time.monotonic() + 2.1


def test_a_slot_that_is_not_waited_for_is_given_back(budgets: list[RequestBudget]) -> None:
    budget = budgets[0]
    for _ in range(10):
        budget.take()
    waits = budget.waits()
    seconds = next(waits)
    latest = time.monotonic() + seconds
    waits.close()
    slot = budget.take()
    assert slot is not None
    assert slot <= latest


def test_a_budget_finds_its_way_back_when_its_connection_is_lost(
    budgets: list[RequestBudget], copies_dsn: str
) -> None:
    budget = budgets[0]
    assert budget.take() is not None
    with psycopg.connect(copies_dsn, autocommit=True) as connection:
        connection.execute(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
            " where query like '%stripe_sync.budget%' and pid <> pg_backend_pid()"
        )
    assert budget.take() is not None


def test_a_database_that_is_gone_is_an_error() -> None:
    with pytest.raises(psycopg.OperationalError):
        list(RequestBudget("host=/nowhere dbname=x", "acct_1 test", 50).waits())


def test_worker_of_another_os_user_shares_limit(
    copies_dsn: str, stripe: SimulatorProcess, tmp_path: Path, budgets: list[RequestBudget]
) -> None:
    # Half of 100 requests a second for both. Without the budget each would take that half.
    clients = []
    for user in ("ada", "grace"):
        options = ClientOptions(
            Secret(KEY),
            load().api_version,
            stripe.url,
            max_requests_per_second=100,
            shared_directory=tmp_path / user,
        )
        clients.append(Client(options))
        budgets.append(share_background(clients[-1], copies_dsn, "acct_1"))
    stripe.control("POST", "/limits", {"rate": 55})
    request = Request.of("GET", "/v1/customers", {"limit": 1})

    def work(client: Client) -> None:
        for _ in range(10):
            for future in [client.submit(request, background=True) for _ in range(8)]:
                future.result(check=lambda: None)

    threads = [threading.Thread(target=work, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    statuses = [item["status"] for item in stripe.requests()]
    assert statuses == [200] * 160
    for client in clients:
        client.close()
