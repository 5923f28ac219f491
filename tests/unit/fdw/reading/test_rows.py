"""Objects become rows of the right types, whatever Stripe answers."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from stripe_fdw.catalog.model import Column, Kind, Resource
from stripe_fdw.errors import ColumnError
from stripe_fdw.fdw.backend.standalone import PlainColumn
from stripe_fdw.fdw.reading.rows import row_maker
from stripe_fdw.fdw.schema.columns import base_type, check_columns, comparable_columns

THING = Resource(
    name="thing",
    object="thing",
    area="core",
    list_path="/v1/things",
    columns=(
        Column("id", Kind.TEXT, ("id",)),
        Column("amount", Kind.INTEGER, ("amount",)),
        Column("live", Kind.BOOLEAN, ("live",)),
        Column("rate", Kind.DECIMAL, ("rate",)),
        Column("share", Kind.FLOAT, ("share",)),
        Column("created", Kind.TIME, ("created",)),
        Column("seen", Kind.TIME, ("seen",), units_per_second=1000),
        Column("customer", Kind.REFERENCE, ("customer",)),
        Column("address", Kind.JSON, ("address",)),
        Column("deep", Kind.REFERENCE, ("parent", "details", "subscription")),
        Column("price", Kind.REFERENCE, ("items", "data", "price", "id")),
        Column("ends", Kind.TIME, ("items", "data", "ends"), aggregate="min"),
        Column("hidden", Kind.TEXT, ()),
    ),
)
ITEMS = {"data": [{"price": {"id": "p1"}, "ends": 20}, {"price": {"id": "p2"}, "ends": 10}]}


def cell(column: str, item: dict[str, Any], type_name: str | None = None, **options: Any) -> Any:
    definition = THING.column.get(column)
    wanted = type_name or (definition.kind.postgres_type if definition else "jsonb")
    maker = row_maker(THING, [PlainColumn(column, wanted)], **options)
    return maker.rows([item])[0][0]


CELLS: list[tuple[str, str | None, dict[str, Any], Any]] = [
    ("id", None, {"id": "x"}, "x"),
    ("id", None, {}, None),
    ("id", None, {"id": None}, None),
    ("id", None, {"id": 5}, "5"),
    ("id", None, {"id": {"a": 1}}, '{"a":1}'),
    ("id", None, {"id": "a\0b"}, "a\ufffdb"),
    ("amount", None, {"amount": 5}, 5),
    ("amount", None, {"amount": "5"}, 5),
    ("amount", "integer", {"amount": 5}, 5),
    ("amount", "numeric", {"amount": 5}, Decimal(5)),
    ("amount", "text", {"amount": 5}, "5"),
    ("live", None, {"live": False}, False),
    ("live", "text", {"live": False}, "false"),
    ("live", "text", {"live": True}, "true"),
    ("live", "text", {}, None),
    ("rate", None, {"rate": "0.10"}, Decimal("0.10")),
    ("rate", None, {"rate": 0.1}, Decimal("0.1")),
    ("share", None, {"share": 1}, 1.0),
    ("created", None, {"created": 1714521600}, 1714521600),
    ("created", None, {"created": "2024-05-01T00:00:00.000Z"}, datetime(2024, 5, 1, tzinfo=UTC)),
    ("created", "text", {"created": 1714521600}, "2024-05-01 00:00:00+00:00"),
    ("created", "timestamp without time zone", {"created": 1714521600}, "2024-05-01 00:00:00+00:00"),
    ("created", "bigint", {"created": 1714521600}, 1714521600),
    ("seen", None, {"seen": 1714521600500}, datetime(2024, 5, 1, 0, 0, 0, 500000, tzinfo=UTC)),
    ("customer", None, {"customer": "cus_1"}, "cus_1"),
    ("customer", None, {"customer": {"id": "cus_1", "object": "customer"}}, "cus_1"),
    ("customer", "character varying(20)", {"customer": "cus_1"}, "cus_1"),
    ("address", None, {"address": {"city": "Ulm"}}, b'{"city":"Ulm"}'),
    ("address", None, {"address": []}, b"[]"),
    ("address", None, {"address": {"a": "\0"}}, '{"a":"\ufffd"}'.encode()),
    ("address", None, {"address": {"a": "\\u0000"}}, b'{"a":"\\\\u0000"}'),
    ("address", "text", {"address": {"city": "Ulm"}}, '{"city":"Ulm"}'),
    ("deep", None, {"parent": {"details": {"subscription": {"id": "sub_1"}}}}, "sub_1"),
    ("deep", None, {"parent": None}, None),
    ("deep", None, {"parent": "x"}, None),
    ("price", None, {"items": ITEMS}, "p1"),
    ("price", None, {"items": {"data": []}}, None),
    ("ends", None, {"items": ITEMS}, 10),
    ("_raw", None, {"id": "x"}, b'{"id":"x"}'),
    ("_params", None, {"id": "x"}, None),
    ("_idempotency_key", "text", {"id": "x"}, None),
]


@pytest.mark.parametrize(("column", "type_name", "item", "expected"), CELLS, ids=lambda v: str(v)[:40])
def test_cells(column: str, type_name: str | None, item: dict[str, Any], expected: Any) -> None:
    value = cell(column, item, type_name)
    assert value == expected
    assert type(value) is type(expected)


TEXTS = [
    ("amount", {"amount": 5}, "5"),
    ("live", {"live": True}, "true"),
    ("rate", {"rate": "0.10"}, "0.10"),
    ("created", {"created": 1714521600}, "2024-05-01 00:00:00+00:00"),
    ("seen", {"seen": 1714521600500}, "2024-05-01 00:00:00.500000+00:00"),
    ("address", {"address": {"a": [1]}}, '{"a":[1]}'),
    ("id", {}, None),
]


@pytest.mark.parametrize(("column", "item", "expected"), TEXTS)
def test_a_host_that_reads_texts_gets_texts(column: str, item: dict[str, Any], expected: str | None) -> None:
    assert cell(column, item, as_text=True) == expected


def test_rows_are_in_the_order_of_the_columns_and_filled_where_the_object_does_not_know() -> None:
    maker = row_maker(THING, [PlainColumn("hidden"), PlainColumn("id"), PlainColumn("customer")])
    rows = maker.rows([{"id": "a"}, {"id": "b", "customer": "own"}], {"hidden": "h", "customer": "c"})
    assert rows == [("h", "a", "c"), ("h", "b", "own")]
    assert row_maker(THING, []).rows([{}, {}]) == [(), ()]


def test_a_number_that_is_none_is_an_error_and_not_a_wrong_row() -> None:
    with pytest.raises(ColumnError, match="whole number"):
        cell("amount", {"amount": 1.5})
    with pytest.raises(ColumnError, match="number"):
        cell("rate", {"rate": "much"})
    with pytest.raises(ColumnError, match="time"):
        cell("created", {"created": "soon"})
    with pytest.raises(ColumnError, match=r'column "created" .* time'):
        cell("created", {"created": 1e30})
    with pytest.raises(ColumnError, match=r'column "live" .* true or false'):
        cell("live", {"live": "maybe"})


@pytest.mark.parametrize(
    ("column", "type_name"),
    [
        ("amount", "boolean"),
        ("created", "double precision"),
        ("live", "integer"),
        ("address", "integer"),
        ("id", "bigint"),
        ("id", "text[]"),
        ("_raw", "bigint"),
        ("_idempotency_key", "jsonb"),
    ],
)
def test_a_wrong_type_is_named_with_the_right_one(column: str, type_name: str) -> None:
    definition = THING.column.get(column)
    right = definition.kind.postgres_type if definition else {"_raw": "jsonb"}.get(column, "text")
    with pytest.raises(ColumnError, match=f'"{column}".*must be {right}'):
        check_columns(THING, [PlainColumn(column, type_name)])


def test_a_column_that_stripe_does_not_have_is_named_with_close_ones() -> None:
    with pytest.raises(ColumnError, match='"custmer"') as caught:
        check_columns(THING, [PlainColumn("id"), PlainColumn("custmer")])
    assert "customer" in (caught.value.detail or "")


def test_only_types_that_compare_like_stripe_are_pushed() -> None:
    definitions = [
        PlainColumn("id", "character varying(5)"),
        PlainColumn("customer", "character varying"),
        PlainColumn("hidden", "citext"),
        PlainColumn("amount", "integer"),
        PlainColumn("created", "timestamp without time zone"),
        PlainColumn("live", "boolean"),
    ]
    check_columns(THING, definitions)
    assert set(comparable_columns(THING, definitions)) == {"customer", "amount", "live"}


@pytest.mark.parametrize(
    ("type_name", "base"),
    [
        ("character varying(20)", "character varying"),
        ("timestamp(3) with time zone", "timestamp with time zone"),
        ("public.citext", "citext"),
        ("numeric(10,2)", "numeric"),
    ],
)
def test_base_types(type_name: str, base: str) -> None:
    assert base_type(type_name) == base
