"""Many cases in one test: none is left out, and those that fail are named."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from support.cases import each


def test_every_case_runs_and_those_that_fail_are_named() -> None:
    ran = []

    @each("number", range(5), ids=lambda number: f"n{number}")
    def check(number: int, tmp_path: Path) -> None:
        ran.append((number, tmp_path))
        assert number not in (1, 3)

    assert list(inspect.signature(check).parameters) == ["tmp_path"]
    with pytest.raises(ExceptionGroup, match="2 of 5 cases fail") as caught:
        check(tmp_path=Path("x"))
    assert ran == [(number, Path("x")) for number in range(5)]
    assert [error.__notes__ for error in caught.value.exceptions] == [["number: n1"], ["number: n3"]]


def test_a_test_without_a_case_is_refused() -> None:
    with pytest.raises(AssertionError, match="no case"):
        each("number", [])
