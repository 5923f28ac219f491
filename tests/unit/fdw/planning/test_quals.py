"""Quals of hosts are normalised, or dropped if their meaning is not certain."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from stripe_fdw.catalog.model import Column, Kind
from stripe_fdw.fdw.multicorn.quals import translate_quals
from stripe_fdw.fdw.planning.quals import Qual, SortKey, Unknown, normalise
from stripe_fdw.fdw.planning.restrictions import value_sets
from support import sample_resources as samples

COLUMNS = {kind.value: Column(kind.value, kind, (kind.value,)) for kind in Kind}
MAY = datetime(2024, 5, 1, tzinfo=UTC)


@dataclass
class Arrived:
    """As Multicorn has it."""

    field_name: str
    operator: object
    value: object


MULTICORN: list[tuple[Arrived, Qual | None]] = [
    (Arrived("text", "=", "x"), Qual("text", "=", "x")),
    (Arrived("integer", "=", 3), Qual("integer", "=", 3)),
    (Arrived("integer", "=", "30000000000"), Qual("integer", "=", 30_000_000_000)),
    (Arrived("integer", "=", "1_0"), None),
    (Arrived("integer", ("=", True), ["1", "2", None]), Qual("integer", "= any", (1, 2, None))),
    (Arrived("text", ("<>", False), ["a"]), Qual("text", "<> all", ("a",))),
    (Arrived("text", ("=", True), "garbage"), None),
    (Arrived("text", ("=", False), ["a"]), None),
    (Arrived("decimal", "=", 0.1), None),
    (Arrived("boolean", "=", "t"), Qual("boolean", "=", True)),
    (Arrived("boolean", "<>", "t"), Qual("boolean", "=", False)),
    (Arrived("boolean", "IS", "t"), None),
    (Arrived("text", "=", None), Qual("text", "is null")),
    (Arrived("text", "<>", None), Qual("text", "is not null")),
    (Arrived("text", "<", None), None),
    (Arrived("time", ">", "2024-05-01 00:00:00+00"), Qual("time", ">", MAY)),
    (Arrived("time", ">", "2024-05-01 05:45:00+05:45"), Qual("time", ">", MAY)),
    (Arrived("time", ">", "05/01/2024 09:00:00 JST"), None),
    (Arrived("time", ">", "Wed May 01 09:00:00 2024 JST"), None),
    (Arrived("time", ">", "01.05.2024 09:00:00 CEST"), None),
    (Arrived("time", ">", "2024-05-01 00:00:00"), None),
    (Arrived("time", ">", "infinity"), None),
    (Arrived("time", ">", "0044-03-15 00:00:00+00 BC"), None),
    (Arrived("time", ">", date(2024, 5, 1)), None),
    (Arrived("text", "~~", "a%"), Qual("text", "~~", "a%")),
    (Arrived("nowhere", "=", "x"), None),
]


@pytest.mark.parametrize(("arrived", "expected"), MULTICORN, ids=lambda v: str(v)[:60])
def test_quals_of_multicorn_are_translated(arrived: Arrived, expected: Qual | None) -> None:
    assert normalise(translate_quals([arrived]), COLUMNS) == (() if expected is None else (expected,))


def test_explain_under_multicorn_hands_over_question_marks() -> None:
    assert translate_quals([Arrived("text", "=", "?")], explaining=True) == [Qual("text", "=", Unknown())]
    assert translate_quals([Arrived("text", "=", "?")]) == [Qual("text", "=", "?")]


BUNDLED: list[tuple[Qual, Qual | None]] = [
    (Qual("text", "=", None), Qual("text", "=", None)),
    (Qual("text", "<", None), Qual("text", "<", None)),
    (Qual("text", "= any", None), Qual("text", "= any", None)),
    (Qual("text", "= any", ("a", 5)), None),
    (Qual("text", "=", 5), None),
    (Qual("integer", "=", True), None),
    (Qual("integer", "=", Decimal("1.5")), None),
    (Qual("boolean", "<>", False), Qual("boolean", "=", True)),
    (Qual("time", "<", datetime(2024, 5, 1)), None),
    (
        Qual("time", "<", datetime.max.replace(tzinfo=UTC)),
        Qual("time", "<", datetime.max.replace(tzinfo=UTC)),
    ),
    (Qual("json", "@>", {"a": "b", "c": 1}), Qual("json", "@>", (("a", "b"),))),
    (Qual("json", "=", {"a": "b"}), None),
    (Qual("decimal", "=", Decimal("NaN")), None),
    (Qual("text", "=", Unknown("$1")), Qual("text", "=", Unknown("$1"))),
]


@pytest.mark.parametrize(("qual", "expected"), BUNDLED, ids=lambda v: str(v)[:60])
def test_quals_of_the_bundled_host_are_normalised(qual: Qual, expected: Qual | None) -> None:
    assert normalise([qual, qual], COLUMNS) == (() if expected is None else (expected,))


def test_they_print_as_sql() -> None:
    assert str(Qual("a", "=", "it's")) == "a = 'it''s'"
    assert str(Qual("a", "is null")) == "a IS NULL"
    assert str(Qual("a", "= any", (1, None))) == "a = ANY (1, NULL)"
    assert str(Qual("a", "= any", tuple(range(12)))).endswith("9, ... 2 more)")
    assert str(Qual("a", "=", True)) == "a = true"
    assert str(Qual("a", ">", MAY)) == "a > '2024-05-01 00:00:00+00:00'"
    assert str(Qual("a", "@>", (("k", "v"),))) == 'a @> \'{"k":"v"}\''
    assert str(SortKey("a", True, True)) == "a DESC"
    assert str(SortKey("a", True, False)) == "a DESC NULLS LAST"
    assert str(SortKey("a", False, True)) == "a NULLS FIRST"


def test_two_long_lists_of_values_are_combined_in_no_time() -> None:
    wanted = tuple(f"cus_{i}" for i in range(40_000))
    quals = (Qual("id", "= any", wanted), Qual("id", "= any", wanted[20_000:]))
    began = time.process_time()
    value_set = value_sets(quals, samples.CUSTOMER.column)["id"]
    assert time.process_time() - began < 1.0
    assert value_set.values == wanted[20_000:]
