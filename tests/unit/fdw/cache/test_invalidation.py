"""A write makes stale all cached answers that it may have changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from stripe_fdw.catalog import load
from stripe_fdw.fdw.cache.invalidation import INDEPENDENT, GenerationCounters
from stripe_fdw.shared.memory import shared_memory


@pytest.fixture
def counters(tmp_path: Path) -> GenerationCounters:
    return GenerationCounters(lambda: shared_memory(tmp_path))


def stale(
    counters: GenerationCounters, resource: str | None, identifier: str | None = None, account: str = "a"
) -> set[str]:
    """The resources of which both a list and an object are stale after the write."""
    generation, resources = counters.generation, load().resources
    before = {item.name: (generation("a", item), generation("a", item, "x_1")) for item in resources}
    counters.record_write(account, resource, identifier)
    return {
        item.name
        for item in resources
        if generation("a", item) != before[item.name][0]
        and generation("a", item, "x_1") != before[item.name][1]
    }


def test_a_write_leaves_only_independent_resources_fresh(counters: GenerationCounters) -> None:
    independent = {name for group in INDEPENDENT for name in group}
    every = {resource.name for resource in load().resources}
    assert independent < every
    assert stale(counters, "subscription", "sub_1") == every - independent
    assert stale(counters, "product", "prod_1") == every - independent | {"product", "price", "plan"}
    assert stale(counters, "tax_rate", "txr_1") == every - independent | {"tax_rate"}


def test_a_write_to_an_unknown_resource_makes_all_stale(counters: GenerationCounters) -> None:
    assert stale(counters, None) == {resource.name for resource in load().resources}


def test_a_write_in_another_account_changes_nothing_here(counters: GenerationCounters) -> None:
    assert stale(counters, "customer", "cus_1", account="b") == set()
    assert stale(counters, None, account="b") == set()


def test_an_invalidation_is_of_one_resource_alone(counters: GenerationCounters) -> None:
    customer, product = load().resource["customer"], load().resource["product"]
    before = counters.generation("a", customer), counters.generation("a", product)
    counters.invalidate("a", "customer", "cus_1")
    assert counters.generation("a", customer) != before[0]
    assert counters.generation("a", product) == before[1]
