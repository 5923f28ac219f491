"""Which answers are good after a write."""

from __future__ import annotations

from pathlib import Path

import pytest

from stripe_fdw.catalog import load
from stripe_fdw.fdw.cache import invalidation
from stripe_fdw.fdw.cache.invalidation import STEADY, generation, invalidate, wrote
from stripe_fdw.shared import memory


@pytest.fixture(autouse=True)
def _own_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shared = memory.shared_memory(tmp_path)
    monkeypatch.setattr(invalidation, "_counter", lambda name: shared.counter(name.encode()))


def changed(resource: str | None, identifier: str | None = None, account: str = "a") -> set[str]:
    """The kinds of which neither lists nor an object are good after the write."""
    kinds = load().resources
    before = {kind.name: (generation("a", kind), generation("a", kind, "x_1")) for kind in kinds}
    wrote(account, resource, identifier)
    return {
        kind.name
        for kind in kinds
        if generation("a", kind) != before[kind.name][0]
        and generation("a", kind, "x_1") != before[kind.name][1]
    }


def test_a_write_leaves_only_steady_kinds_as_they_are() -> None:
    steady = {kind for group in STEADY for kind in group}
    every = {kind.name for kind in load().resources}
    assert steady < every
    assert changed("subscription", "sub_1") == every - steady
    assert changed("product", "prod_1") == every - steady | {"product", "price", "plan"}
    assert changed("tax_rate", "txr_1") == every - steady | {"tax_rate"}


def test_what_nobody_knows_may_have_changed_anything() -> None:
    assert changed(None) == {kind.name for kind in load().resources}


def test_a_write_in_another_account_changes_nothing_here() -> None:
    assert changed("customer", "cus_1", account="b") == set()
    assert changed(None, account="b") == set()


def test_an_invalidation_is_of_one_kind_alone() -> None:
    customer, product = load().resource["customer"], load().resource["product"]
    before = generation("a", customer), generation("a", product)
    invalidate("a", "customer", "cus_1")
    assert generation("a", customer) != before[0]
    assert generation("a", product) == before[1]
