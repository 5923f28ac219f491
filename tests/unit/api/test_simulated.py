"""The client against the simulator, which enforces Stripe's limits and knows its errors."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stripe_fdw.api import pages, slices
from stripe_fdw.api.client import Client, ClientOptions
from stripe_fdw.api.request import Request
from stripe_fdw.errors import NotFoundError
from stripe_fdw.redaction import Secret
from stripe_simulator.process import SimulatorProcess

CUSTOMERS = Request.of("GET", "/v1/customers")


def never() -> None:
    """The interrupt check of a query that is never cancelled."""


@pytest.fixture
def simulator() -> Iterator[SimulatorProcess]:
    with SimulatorProcess(customers=4000, latency_ms=20, rate=25, endpoint_rate=25) as running:
        yield running


def client(simulator: SimulatorProcess, directory: Path, **options: Any) -> Client:
    settings: dict[str, Any] = {"key": Secret("sk_test_1"), "api_version": "2026-10-28.endive"}
    return Client(ClientOptions(**settings, api_base=simulator.url, shared_directory=directory, **options))


def statuses(simulator: SimulatorProcess) -> Counter[int]:
    log = simulator.control("GET", "/requests")
    entries = log if isinstance(log, list) else next(part for part in log.values() if isinstance(part, list))
    return Counter(entry["status"] for entry in entries)


def test_a_scan_uses_the_limit_and_is_never_refused(simulator: SimulatorProcess, tmp_path: Path) -> None:
    ids = [
        item["id"]
        for page in slices.read_slices(client(simulator, tmp_path / "s"), CUSTOMERS, check=never)
        for item in page.body["data"]
    ]
    assert len(ids) == len(set(ids)) >= 3500
    answers = statuses(simulator)
    assert answers.keys() <= {200, 429}
    assert answers[429] <= 1  # none, but a busy machine may delay a packet
    one_by_one = [
        item["id"]
        for page in pages.read_pages(client(simulator, tmp_path / "s"), CUSTOMERS, check=never)
        for item in page.body["data"]
    ]
    assert sorted(one_by_one) == sorted(ids)


def test_several_processes_together_are_never_refused(simulator: SimulatorProcess, tmp_path: Path) -> None:
    code = f"""
from pathlib import Path
from stripe_fdw.api import slices
from stripe_fdw.api.client import Client, ClientOptions
from stripe_fdw.api.request import Request
from stripe_fdw.redaction import Secret
directory = Path({str(tmp_path / "s")!r})
options = ClientOptions(
    Secret("sk_test_1"), "2026-10-28.endive", {simulator.url!r}, shared_directory=directory
)
scan = slices.read_slices(Client(options), Request.of("GET", "/v1/customers"), check=lambda: None)
for number, page in enumerate(scan):
    if number == 25:
        break
"""
    children = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(3)]
    assert [child.wait(60) for child in children] == [0, 0, 0]
    answers = statuses(simulator)
    assert answers.keys() <= {200, 429}
    assert answers[429] <= 1


def test_without_our_limiter_the_simulator_would_refuse_and_the_client_finds_its_way(
    simulator: SimulatorProcess, tmp_path: Path
) -> None:
    hasty = client(simulator, tmp_path / "s", max_requests_per_second=50.0)
    futures = [hasty.submit(CUSTOMERS.with_params(limit=1)) for _ in range(60)]
    assert {future.result(check=never).status for future in futures} == {200}
    assert statuses(simulator)[429] > 0
    assert hasty.transport._rate_limiter.rate("/v1/customers") < 50.0


@pytest.mark.parametrize("read", [pages.read_pages, slices.read_slices])
def test_an_object_deleted_where_the_list_was_to_go_on_costs_no_other(
    simulator: SimulatorProcess, tmp_path: Path, read: Any
) -> None:
    reader = client(simulator, tmp_path / "s")
    list_pages = read(reader, CUSTOMERS, check=never)
    first = [item["id"] for item in next(list_pages).body["data"]]
    second = [
        item["id"]
        for item in reader.fetch(CUSTOMERS.with_params(limit=5, starting_after=first[-1]), check=never).body[
            "data"
        ]
    ]
    for gone in first[-2:]:
        path = Request.of("DELETE", "/v1/customers/{customer}", customer=gone)
        assert reader.fetch(path, check=never).body["deleted"]
    assert [item["id"] for item in next(list_pages).body["data"]][:5] == second
    list_pages.close()


def test_a_missing_object_is_stripes_error_in_full(simulator: SimulatorProcess, tmp_path: Path) -> None:
    request = Request.of("GET", "/v1/customers/{customer}", customer="cus_none")
    with pytest.raises(NotFoundError, match="No such customer: 'cus_none'") as caught:
        client(simulator, tmp_path / "s").fetch(request, check=never)
    assert (caught.value.code, caught.value.param) == ("resource_missing", "id")
    assert (caught.value.request_id or "").startswith("req_")
