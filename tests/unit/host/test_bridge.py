"""The bridge's checks of what tables return, without Postgres."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from stripe_fdw.host import backend, bridge
from stripe_fdw.host.backend import Column, OpenTables
from stripe_fdw.host.package_files import PackageWatch, build_identity
from stripe_fdw.host.sql_errors import HostError

COLUMN: Column = ("id", "text", 25, -1, {})


class Table:
    def __init__(self, session: object, options: dict[str, str], columns: dict[str, Any]) -> None:
        self.options, self.columns = options, columns


@pytest.fixture
def tables() -> OpenTables:
    return OpenTables(Table, object())


def get(
    tables: OpenTables,
    relid: int = 1,
    user: int = 10,
    mapping: str = "x",
    column: Column = COLUMN,
    mapping_of: tuple[str, str, bool] = ("owner", "stripe", False),
    changes: int = 0,
    names: tuple[str, str] = ("s", "t"),
) -> Any:
    options = ({"a": "wrapper"}, {"a": "table", "b": "table"}, {"b": "server"}, {"key": mapping})
    return tables.get(relid, user, changes, names, options, mapping_of, [column])


def test_options_are_merged_and_columns_described(tables: OpenTables) -> None:
    table = get(tables)
    assert table.options == {"a": "table", "b": "server", "key": "x"}
    assert (table.options.role, table.options.server) == ("owner", "stripe")
    assert (table.options.schema, table.options.table) == ("s", "t")
    assert table.columns["id"].type_name == "text"
    assert (table.columns["id"].type_oid, table.columns["id"].typmod) == (25, -1)


def test_a_table_is_kept_until_something_changes(tables: OpenTables) -> None:
    first = get(tables)
    assert get(tables) is first
    assert get(tables, user=11) is not first
    assert get(tables, mapping="y") is not first
    assert get(tables, column=("id", "text", 25, -1, {"column_name": "email"})) is not first
    assert get(tables, mapping_of=("renamed", "stripe", False)) is not first
    assert get(tables, names=("renamed", "t")) is not first
    changed = get(tables, mapping="y", column=("id", "bigint", 20, -1, {}))
    assert get(tables, mapping="y", column=("id", "bigint", 20, -1, {})) is changed


def test_a_table_is_known_until_a_catalog_changes(tables: OpenTables) -> None:
    assert tables.known(1, 10, 5) is None
    table = get(tables, changes=5)
    assert tables.known(1, 10, 5) is table
    assert tables.known(1, 11, 5) is None
    assert tables.known(1, 10, 6) is None
    assert get(tables, changes=6) is table  # another catalog entry has changed
    assert tables.known(1, 10, 6) is table


def test_kept_tables_are_bounded(tables: OpenTables) -> None:
    for relid in range(backend._TABLES_KEPT + 20):
        get(tables, relid)
    assert len(tables) == backend._TABLES_KEPT


def test_another_version_of_the_package_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])  # where it puts a watch over the package
    bridge.start(build_identity(), None)
    assert isinstance(sys.meta_path[0], PackageWatch)
    with pytest.raises(HostError, match=r"version 0\.0\.0 of the package") as caught:
        bridge.start("0.0.0", None)
    assert "host install" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("text", "before", "together"),
    [
        ("3", "4", "7"),
        ("3", None, "3"),
        ("1.5 ms", "0.25 ms", "1.75 ms"),
        ("1.0 ms", "2.0 ms", "3.0 ms"),
        ("1 ms", "1 s", "1 ms"),
        ("yes", "no", "yes"),
        ("-1", "5", "-1"),
    ],
)
def test_statistics_are_added(text: str, before: str | None, together: str) -> None:
    class Scan:
        def statistics(self) -> list[tuple[str, str]]:
            return [("Label", text)]

    assert bridge.statistics(Scan(), before and [("Label", before)]) == [("Label", together)]
    assert bridge.statistics(None, [("Label", "5")]) == [("Label", "5")]
    assert bridge.statistics(None, None) == []


@pytest.mark.parametrize(
    ("value", "text"), [(True, "true"), (5, "5"), (1.5, "1.5"), (b"x", None), ([], None), (object(), None)]
)
def test_texts_for_input_functions(value: object, text: str | None) -> None:
    assert bridge.to_text(value) == text
