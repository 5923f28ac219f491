"""The columns that an UPDATE under Multicorn2 changes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from stripe_fdw.catalog import load
from stripe_fdw.fdw.backend.standalone import PlainColumn
from stripe_fdw.fdw.multicorn.row_changes import changed_columns
from stripe_fdw.fdw.reading.rows import row_maker

MARCH = datetime(2026, 3, 1, tzinfo=UTC)


def no_style(_: int) -> None:
    """No server, no DateStyle."""


CUSTOMER = load().resource["customer"]
OBJECT: dict[str, Any] = {
    "id": "cus_1", "object": "customer", "balance": 5, "delinquent": False, "created": 1772323200,
    "metadata": {"a": "1", "b": "2"}, "email": "a@b.c", "default_source": {"id": "card_1", "object": "card"},
}  # fmt: skip


def read(table: str, stripe_object: dict[str, Any]) -> dict[str, Any]:
    """The row as it is given to Multicorn."""
    resource = load().resource[table]
    definitions = [PlainColumn(item.name, item.kind.postgres_type) for item in resource.columns]
    row = row_maker(resource, [*definitions, PlainColumn("_raw", "jsonb")], as_text=True).rows(
        [stripe_object]
    )[0]
    return dict(zip([*resource.column, "_raw"], row, strict=True))


SAME: list[dict[str, Any]] = [
    {},
    {"created": "2026-03-01 00:00:00+00"},
    {"created": "2026-03-01 09:00:00+09"},
    {"created": MARCH},
    {"created": MARCH.date()},
    {"balance": 5},
    {"balance": "5"},
    {"delinquent": False},
    {"delinquent": "f"},
    {"metadata": '{"b": "2", "a": "1"}'},
    {"metadata": {"b": "2", "a": "1"}},
    {"_raw": OBJECT},
    {"_params": None, "_idempotency_key": None},
]


@pytest.mark.parametrize("new", SAME, ids=str)
def test_other_spellings_of_a_value_are_no_change(new: dict[str, Any]) -> None:
    row = read("customer", OBJECT)
    assert changed_columns(CUSTOMER, row, row | new, no_style) == {}


OTHERS: list[dict[str, Any]] = [
    {"email": "x"},
    {"email": None},
    {"name": "x"},
    {"balance": 6},
    {"delinquent": True},
    {"created": "2026-03-01 00:00:01+00"},
    {"metadata": '{"a": "1"}'},
    {"metadata": None},
    {"_params": '{"a": 1}'},
    {"_idempotency_key": "k"},
]


@pytest.mark.parametrize("new", OTHERS, ids=str)
def test_other_values_are_a_change(new: dict[str, Any]) -> None:
    row = read("customer", OBJECT)
    assert changed_columns(CUSTOMER, row, row | new, no_style) == new


def test_a_numeric_lost_its_digits_on_the_way() -> None:
    price = {"id": "price_1", "unit_amount_decimal": "0.123456789012345678"}
    row = read("price", price)
    resource = load().resource["price"]
    assert changed_columns(resource, row, row | {"unit_amount_decimal": 0.123456789012345678}, no_style) == {}
    assert changed_columns(resource, row, row | {"unit_amount_decimal": 0.5}, no_style) == {
        "unit_amount_decimal": 0.5
    }


def test_a_column_that_only_selects_is_no_change() -> None:
    row = read("event", {"id": "evt_1"})
    hidden = [item.name for item in load().resource["event"].columns if not item.path]
    assert hidden
    assert changed_columns(load().resource["event"], row, row | dict.fromkeys(hidden, "x"), no_style) == {}


def test_a_time_in_the_sessions_own_style_is_compared_in_that_style() -> None:
    row, german = read("customer", OBJECT), "01.03.2026 01:00:00 CET"
    new = row | {"created": german}
    assert (
        changed_columns(CUSTOMER, row, new, lambda time: german if time == 1772323200_000_000 else None) == {}
    )
    assert changed_columns(CUSTOMER, row, new, lambda _: "something else") == {"created": german}
