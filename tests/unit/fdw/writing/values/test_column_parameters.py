"""Encoding of host values for Stripe, and detection of values that change nothing."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from stripe_fdw.catalog import load
from stripe_fdw.catalog.model import Column, Kind, Parameter
from stripe_fdw.errors import ColumnError
from stripe_fdw.fdw.writing.values.column_parameters import (
    RowValues,
    changed_value,
    creation_value,
    is_changed,
    parse_json,
)
from stripe_fdw.fdw.writing.values.diff import difference
from stripe_fdw.fdw.writing.values.nested import OMIT, encode, encode_untyped, json_equal
from stripe_fdw.fdw.writing.values.scalars import encode_scalar, equals_scalar

MARCH = datetime(2026, 3, 1, tzinfo=UTC)

SINGLES: list[tuple[Kind, Any, Any]] = [
    (Kind.TEXT, "x", "x"),
    (Kind.TEXT, "", ""),
    (Kind.TEXT, 5, "5"),
    (Kind.TEXT, True, "true"),
    (Kind.TEXT, Decimal("1.50"), "1.5"),
    (Kind.TEXT, "{not json", "{not json"),
    (Kind.REFERENCE, "cus_1", "cus_1"),
    (Kind.REFERENCE, {"id": "cus_1", "object": "customer"}, "cus_1"),
    (Kind.REFERENCE, '{"id": "cus_1"}', "cus_1"),
    (Kind.REFERENCE, '{"id": broken', '{"id": broken'),
    (Kind.INTEGER, 5, 5),
    (Kind.INTEGER, -(2**62), -(2**62)),
    (Kind.INTEGER, Decimal("5.0"), 5),
    (Kind.INTEGER, 5.0, 5),
    (Kind.INTEGER, "5", 5),
    (Kind.BOOLEAN, True, True),
    (Kind.BOOLEAN, "f", False),
    (Kind.BOOLEAN, "TRUE", True),
    (Kind.DECIMAL, Decimal("0.10"), "0.1"),
    (Kind.DECIMAL, Decimal("1E+3"), "1000"),
    (Kind.DECIMAL, Decimal("1E-7"), "0.0000001"),
    (Kind.DECIMAL, 12, "12"),
    (Kind.DECIMAL, 0.1, "0.1"),
    (Kind.DECIMAL, "12.50", "12.5"),
    (Kind.DECIMAL, Decimal("100.00"), "100"),
    (Kind.DECIMAL, 0, "0"),
    (Kind.FLOAT, 20.0, "20"),
    (Kind.FLOAT, 12.5, "12.5"),
    (Kind.FLOAT, 1e-7, "0.0000001"),
    (Kind.TIME, MARCH, 1772323200),
    (Kind.TIME, MARCH.replace(microsecond=999_999), 1772323200),
    (Kind.TIME, datetime(1969, 12, 31, 23, 59, 59, 500_000, tzinfo=UTC), -1),
    (Kind.TIME, datetime(2026, 3, 1, 9, tzinfo=timezone(timedelta(hours=9))), 1772323200),
    (Kind.TIME, datetime(2026, 3, 1), 1772323200),  # a timestamp without time zone
    (Kind.TIME, date(2026, 3, 1), 1772323200),
    (Kind.TIME, "2026-03-01 00:00:00+00", 1772323200),
    (Kind.TIME, "2026-03-01T09:00:00+09:00", 1772323200),
    (Kind.TIME, "2026-03-01", 1772323200),
    (Kind.TIME, "1772323200", 1772323200),
    (Kind.TIME, 1772323200, 1772323200),
    (Kind.TIME, 1772323200.9, 1772323200),
    (Kind.TIME, "now", "now"),
]


@pytest.mark.parametrize(("kind", "value", "expected"), SINGLES, ids=str)
def test_a_single_value_as_stripe_takes_it(kind: Kind, value: Any, expected: Any) -> None:
    encoded = encode_scalar("x", kind, value, keywords=("now",))
    assert encoded == expected
    assert type(encoded) is type(expected)


def test_milliseconds() -> None:
    assert encode_scalar("x", Kind.TIME, MARCH.replace(microsecond=123_456), 1000) == 1772323200123
    assert encode_scalar("x", Kind.TIME, "1772323200", 1000) == 1772323200000


UNFIT: list[tuple[Kind, Any, str]] = [
    (Kind.TEXT, [1], "22023"),
    (Kind.TEXT, {"name": "x"}, "22023"),
    (Kind.INTEGER, "x", "22023"),
    (Kind.INTEGER, 1.5, "22023"),
    (Kind.INTEGER, True, "22023"),
    (Kind.INTEGER, float("nan"), "22003"),
    (Kind.DECIMAL, Decimal("Infinity"), "22003"),
    (Kind.DECIMAL, Decimal("1E+99"), "22003"),
    (Kind.DECIMAL, [], "22023"),
    (Kind.BOOLEAN, "yes", "22023"),
    (Kind.BOOLEAN, 1, "22023"),
    (Kind.TIME, "infinity", "22008"),
    (Kind.TIME, "-infinity", "22008"),
    (Kind.TIME, float("inf"), "22008"),
    (Kind.TIME, "tomorrow", "22007"),
    (Kind.TIME, "03/01/2026 00:00:00 UTC", "22007"),
    (Kind.TIME, True, "22023"),
    (Kind.TIME, {}, "22023"),
]


@pytest.mark.parametrize(("kind", "value", "sqlstate"), UNFIT, ids=str)
def test_a_value_of_the_wrong_kind_is_refused(kind: Kind, value: Any, sqlstate: str) -> None:
    with pytest.raises(ColumnError, match='"amount" takes') as caught:
        encode_scalar("amount", kind, value)
    assert caught.value.sqlstate == sqlstate


def test_a_long_value_is_not_shown_as_a_whole() -> None:
    with pytest.raises(ColumnError) as caught:
        encode_scalar("amount", Kind.INTEGER, "x" * 10_000)
    assert len(str(caught.value)) < 200


def test_a_key_is_not_shown() -> None:
    with pytest.raises(ColumnError) as caught:
        encode_scalar("amount", Kind.INTEGER, "sk_live_4eC39HqLyjWDarjtT1zdp7dc")
    assert "4eC39HqLyj" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "old", "new", "expected"),
    [
        (Kind.TEXT, "a", "a", True),
        (Kind.TEXT, None, "", True),
        (Kind.TEXT, None, "a", False),
        (Kind.TEXT, 5, "5", True),
        (Kind.REFERENCE, {"id": "a"}, "a", True),
        (Kind.DECIMAL, "0.50", "0.5", True),
        (Kind.DECIMAL, "x", "0.5", False),
        (Kind.FLOAT, 20, "20", True),
        (Kind.BOOLEAN, False, False, True),
        (Kind.BOOLEAN, None, False, False),
        (Kind.TIME, 5, 5, True),
        (Kind.TIME, "2026-03-01T00:00:00Z", 1772323200, True),
        (Kind.TIME, "nonsense", 1772323200, False),
    ],
)
def test_equal_scalars_are_recognised(kind: Kind, old: Any, new: Any, expected: bool) -> None:
    assert equals_scalar(kind, old, new) is expected


# -- objects -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"a": 1}, {"a": 1, "b": None}, True),
        ({"a": 1}, {"a": True}, False),
        ({"a": 1}, {"a": 1.0}, True),
        ([1, 2], [2, 1], False),
        ([{"a": 1}], [{"a": 1}], True),
        ({"id": "a", "object": "x", "n": 1}, "a", True),
        ({"id": "a", "object": "x"}, "b", False),
        (None, None, True),
        (None, {}, False),
        ({"object": "list", "data": []}, {"data": []}, False),
    ],
)
def test_values_that_say_the_same(old: Any, new: Any, expected: bool) -> None:
    assert json_equal(old, new) is expected
    assert json_equal(new, old) is expected


def test_objects_of_unknown_shape_are_sent_unchanged() -> None:
    assert encode("x", {"a": [{"b": 1.5, "c": None}], "d": [], "e": {}}) == {"a": [{"b": "1.5"}]}
    assert encode_untyped({"a": [], "b": None, "c": [1.0, (True,)]}) == {"a": "", "b": "", "c": ["1", [True]]}


def test_an_object_of_stripes_in_a_list_is_its_id_where_nothing_else_is_known() -> None:
    rates = [{"id": "txr_1", "object": "tax_rate", "percentage": 19}]
    assert encode("default_tax_rates", rates) == ["txr_1"]


def test_an_unknown_object_is_compared_key_by_key() -> None:
    old = {"a": 1, "b": {"c": 2, "d": 3}, "e": None}
    assert difference("x", old, {"a": 1, "b": {"c": 5}}) == {"b": {"c": 5, "d": ""}}
    assert difference("x", old, {"a": 1, "b": {"c": 2, "d": 3}}) is OMIT
    assert difference("x", old, {"b": {"c": 2, "d": 3}, "a": None}) == {"a": ""}
    assert difference("x", None, {"a": 1, "b": None}) == {"a": 1}
    assert difference("x", {"a": 1}, ["a"]) == ["a"]


UPDATE = load().resource["subscription_schedule"].update
PHASES = next(item for item in UPDATE.parameters if item.name == "phases") if UPDATE else None


def test_a_list_is_sent_without_what_its_old_elements_tell_and_stripe_does_not_take() -> None:
    old = [{
        "start_date": 5, "end_date": 9, "billing_cycle_anchor": None, "currency": "eur", "prorate": True,
        "items": [{"price": "p1", "plan": "p1", "quantity": 1, "tax_rates": [], "metadata": {}, "own": 1}],
    }]  # fmt: skip
    new = [old[0] | {"end_date": 10}]
    assert difference("phases", old, new, PHASES) == [
        {"start_date": 5, "end_date": 10, "currency": "eur", "items": [{"price": "p1", "quantity": 1}]}
    ]
    # A word that only the new one has is the user's, and Stripe's to judge.
    assert difference("phases", old, [{"start_date": 5, "wrong": 1}], PHASES) == [
        {"start_date": 5, "wrong": 1}
    ]


def test_times_inside_objects() -> None:
    new = [{"start_date": "2026-03-01T00:00:00Z", "end_date": "now", "items": [{"price": "p1"}]}]
    assert encode("phases", new, PHASES) == [
        {"start_date": 1772323200, "end_date": "now", "items": [{"price": "p1"}]}
    ]
    with pytest.raises(ColumnError, match=r'"phases\[0\]\[start_date\]" takes a time'):
        encode("phases", [{"start_date": "soon"}], PHASES)


# -- columns -----------------------------------------------------------------------------------------------

AMOUNT, DATA = Column("amount", Kind.INTEGER, ("amount",)), Column("data", Kind.JSON, ("data",))


def test_created_and_changed() -> None:
    assert creation_value(AMOUNT, 5, None) == 5
    assert creation_value(DATA, '{"a": 1}', None) == {"a": 1}
    assert creation_value(DATA, {}, None) is OMIT
    assert changed_value(AMOUNT, 5, Decimal(5), None) is OMIT
    assert changed_value(AMOUNT, 5, None, Parameter("amount", Kind.INTEGER, unsettable=True)) == ""
    assert changed_value(AMOUNT, None, None, None) is OMIT
    assert changed_value(DATA, {"a": 1}, b'{"a": 2}', None) == {"a": 2}


@pytest.mark.parametrize("value", ["x", '"x"', "5", 5, True])
def test_jsonb_that_is_no_object_is_refused(value: Any) -> None:
    with pytest.raises(ColumnError, match='"data" takes'):
        creation_value(DATA, value, None)


def test_an_invalid_value_counts_as_changed() -> None:
    assert is_changed("amount", AMOUNT, 5, "x")
    assert not is_changed("amount", AMOUNT, 5, "5")
    assert is_changed("_raw", None, {"a": 1}, '{"a": 2}')
    assert not is_changed("_raw", None, {"a": 1}, '{"a": 1}')


def test_a_row_is_split_into_columns_parameters_and_key() -> None:
    row = RowValues.of({"a": 1, "_params": '{"b": 2}', "_idempotency_key": "k" * 255})
    assert (row.columns, row.parameters, row.idempotency_key) == ({"a": 1}, {"b": 2}, "k" * 255)
    assert parse_json("x", None) is None
