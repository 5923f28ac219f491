from __future__ import annotations

import math
from pathlib import Path

import pytest

from stripe_fdw.shared import memory as memory_module
from stripe_fdw.shared import ratios
from stripe_fdw.shared.memory import SharedMemory
from stripe_fdw.shared.ratios import Ratio


@pytest.fixture
def memory(tmp_path: Path) -> SharedMemory:
    return SharedMemory(tmp_path / "stripe-fdw")


def test_a_ratio_is_shared_by_all_processes(memory: SharedMemory, tmp_path: Path) -> None:
    other = SharedMemory(tmp_path / "stripe-fdw")
    assert Ratio(memory, b"rows").read() is None
    Ratio(other, b"rows").learn(300, 2, 10)
    assert Ratio(memory, b"rows").read() == 150
    assert Ratio(memory, b"others").read() is None


def test_the_latest_counts_most(memory: SharedMemory) -> None:
    fact = Ratio(memory, b"rows")
    fact.learn(10, 1, 1)
    fact.learn(20, 1, 1)
    assert fact.read() == 20
    fact.learn(0, 1, 2)
    assert fact.read() == 10
    for _ in range(10):
        fact.learn(0, 1, 2)
    assert (fact.read() or 0) < 0.1


def test_nothing_is_a_fact_too(memory: SharedMemory) -> None:
    fact = Ratio(memory, b"rows")
    fact.learn(0, 1, 1)
    assert fact.read() == 0


@pytest.mark.parametrize("number", [math.nan, math.inf, -1.0, 1e300])
def test_an_impossible_number_is_not_learned(memory: SharedMemory, number: float) -> None:
    fact = Ratio(memory, b"rows")
    fact.learn(number, 1, 1)
    assert fact.read() is None
    fact.learn(7, 1, 5)
    assert fact.read() == 7


def test_a_full_neighbourhood_forgets(memory: SharedMemory, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (memory_module, ratios):
        monkeypatch.setattr(module, "RATIOS", 16)
    many = [Ratio(memory, b"fact %d" % number) for number in range(64)]
    for fact in many:
        fact.learn(5, 1, 1)
        assert fact.read() == 5
    assert sum(fact.read() is None for fact in many) == 48


def test_a_new_file_knows_nothing(memory: SharedMemory, tmp_path: Path) -> None:
    fact = Ratio(memory, b"rows")
    fact.learn(5, 1, 1)
    (tmp_path / "stripe-fdw" / memory_module._FILE_NAME).unlink()
    memory._recheck_at = 0.0
    assert fact.read() is None
