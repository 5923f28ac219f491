"""No moment is left a bare number. The rule here is not the one that the catalog is built with."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

import pytest

from stripe_fdw.catalog import Column, Kind, Parameter, load
from stripe_fdw.catalog.from_sdk.names import table_names
from stripe_fdw.catalog.from_sdk.operations import read_operations
from stripe_fdw.catalog.from_sdk.source import Class, Source, sdk_root
from stripe_fdw.catalog.overlay import columns

ENDINGS = (
    "_at",
    "_on",
    "_by",
    "_date",
    "_time",
    "_until",
    "_start",
    "_end",
    "_after",
    "_before",
    "_from",
    "_anchor",
)
NAMES = {"created", "updated", "date", "time", "timestamp", "start", "end"}
WORDS = re.compile(
    r"timestamp|epoch|\btime (at|when|that|of)\b|\b(the|a) date\b|^date\b|^when\b", re.IGNORECASE
)
# Amounts and counts whose descriptions mention a moment in passing.
NUMBERS = re.compile(r"amount|balance|quantity|count|total|fee|net|size|days|month|year|price|version|redeem")


def looks_like_a_time(name: str, description: str) -> bool:
    if name in NAMES or name.endswith(ENDINGS):
        return True
    return bool(WORDS.search(description)) and not NUMBERS.search(name)


@cache
def fields() -> list[tuple[str, Column, str]]:
    """Every column with the description of its field, where it has one."""
    return list(read_fields())


def read_fields() -> Iterator[tuple[str, Column, str]]:
    source = Source(sdk_root())
    lists = [
        item
        for item in read_operations(source)
        if item.is_list and not item.searched and item.path.startswith("/v1/")
    ]
    for table, listing in table_names(lists).items():
        for column in load().resource[table].columns:
            descriptions = [description(item, column) for item in listing.listed]
            yield table, column, " ".join(descriptions)


def description(item: Class, column: Column) -> str:
    member = item.members.get(column.name)
    return " ".join(member.description.split()) if member else ""


def test_no_number_that_looks_like_a_time_is_a_number() -> None:
    unexpected = {
        (table, column.name): text
        for table, column, text in fields()
        if column.kind in (Kind.INTEGER, Kind.FLOAT) and looks_like_a_time(column.name, text)
    }
    assert {key: text for key, text in unexpected.items() if key not in columns.NOT_TIMES} == {}


def test_nothing_that_is_counted_is_a_time() -> None:
    wrong = re.compile(r"amount|quantity|count$|_days$|_months?$|_year$|^total|balance|percent")
    times = [(table, item.name) for table, item, _ in fields() if item.kind is Kind.TIME]
    assert [pair for pair in times if wrong.search(pair[1])] == []
    assert len(times) > 150


def test_every_created_is_a_time() -> None:
    for resource in load().resources:
        kind = Kind.TIMESTAMP if resource.is_version_2 else Kind.TIME
        assert "created" not in resource.column or resource.column["created"].kind is kind


@pytest.mark.parametrize("name", ["invoice", "subscription", "price", "upcoming_invoice", "coupon", "payout"])
def test_parameters_are_times_where_the_columns_are(name: str) -> None:
    resource = load().resource[name]
    written = [
        item for operation in (resource.create, resource.update) if operation for item in operation.parameters
    ]
    assert [item.name for item in written if differs(item, resource.column.get(item.name))] == []


def differs(parameter: Parameter, column: Column | None) -> bool:
    if column is None or not parameter.accepts(column):
        return False
    return (parameter.kind is Kind.TIME) != (column.kind is Kind.TIME)


def test_a_time_in_milliseconds_says_so() -> None:
    odd = [
        (resource.name, column.name)
        for resource in load().resources
        for column in resource.columns
        if column.units_per_second != 1
    ]
    assert odd == [("terminal_reader", "last_seen_at")]
