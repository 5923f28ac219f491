"""The wrapper class as Multicorn2 calls it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from stripe_fdw.catalog import load
from stripe_fdw.fdw.backend.standalone import PlainColumn
from stripe_fdw.fdw.multicorn import wrapper
from stripe_fdw.fdw.multicorn.errors import PlainError
from stripe_fdw.fdw.multicorn.open_scans import OpenScans
from stripe_fdw.fdw.multicorn.wrapper import StripeForeignDataWrapper
from stripe_fdw.fdw.schema.import_schema import FUNCTION_TABLES
from stripe_fdw.fdw.session import Session
from support.fake_stripe import KEY, FakeStripe

OPTIONS = {"object": "customer", "api_key": KEY}
COLUMNS = {name: PlainColumn(name) for name in ("email", "id")} | {
    "created": PlainColumn("created", "timestamp with time zone")
}


@dataclass
class Arrived:
    field_name: str
    operator: object
    value: object


@dataclass
class MulticornSortKey:
    attname: str
    is_reversed: bool
    nulls_first: bool
    collate: str | None = None


@pytest.fixture
def multicorn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wrapper.host, "renders_text", True)


@pytest.fixture
def stripe(monkeypatch: pytest.MonkeyPatch) -> FakeStripe:
    objects = [{"id": f"cus_{i}", "created": 1000 - i, "email": "a@b.c"} for i in range(150)]
    fake = FakeStripe(load().resource, {"customer": objects})
    monkeypatch.setattr(Session, "client", lambda *_: fake)
    return fake


@pytest.mark.usefixtures("multicorn")
def test_multicorn_gets_every_column_of_every_row_as_text(stripe: FakeStripe) -> None:
    customers = StripeForeignDataWrapper(OPTIONS, COLUMNS)
    rows = list(customers.execute([Arrived("id", "=", "cus_1")], []))
    assert rows == [{"email": "a@b.c", "id": "cus_1", "created": "1970-01-01 00:16:39+00:00"}]


@pytest.mark.usefixtures("multicorn")
def test_multicorn_may_sort_but_never_limit(stripe: FakeStripe) -> None:
    customers = StripeForeignDataWrapper(OPTIONS, COLUMNS)
    newest = MulticornSortKey("created", True, True)
    assert customers.can_sort([newest, MulticornSortKey("id", False, False)]) == [newest]
    assert customers.can_sort([MulticornSortKey("id", False, False)]) == []
    assert customers.can_limit(1, None) is False
    assert customers.get_path_keys()[0] == (("id",), 100)
    assert isinstance(customers.get_rel_size([], [])[0], int)
    assert customers.explain([Arrived("id", "=", "?")], []) == [
        "Stripe Request: GET /v1/customers/<join value>",
        "Stripe Pushed: id = <join value>",
    ]


class EvilError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


def test_the_end_of_a_transaction_raises_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    customers = StripeForeignDataWrapper(OPTIONS, COLUMNS)
    warnings: list[str] = []

    def fail(*_: object) -> None:
        raise KeyboardInterrupt(KEY)

    monkeypatch.setattr(wrapper.host, "warn", lambda message, *_: warnings.append(message))
    for name in ("commit", "rollback", "sub_commit", "sub_rollback"):
        monkeypatch.setattr(wrapper.session, name, fail)
    customers.commit()
    customers.rollback()
    customers.sub_commit(2)
    customers.sub_rollback(2)
    assert len(warnings) == 4
    assert "KeyboardInterrupt" in warnings[0]
    assert KEY not in str(warnings)


@pytest.mark.usefixtures("multicorn")
@pytest.mark.parametrize(
    "error",
    [StopIteration("s"), MemoryError(), SystemExit(1), KeyboardInterrupt(), EvilError(), ValueError(KEY)],
    ids=lambda error: type(error).__name__,
)
def test_multicorn_sees_only_plain_exceptions(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    customers = StripeForeignDataWrapper(OPTIONS, COLUMNS)

    def fail(*_: object, **__: object) -> None:
        raise error

    for name in (
        *("size", "path_keys", "sortable", "describe", "open_scan"),
        *("insert_row", "update_by_rowid", "delete_by_rowid", "end_modify"),
    ):
        monkeypatch.setattr(customers._table, name, fail)
    for call in (
        lambda: customers.get_rel_size([], []),
        customers.get_path_keys,
        lambda: customers.can_sort([MulticornSortKey("id", False, False)]),
        lambda: customers.explain([], []),
        lambda: list(customers.execute([], [])),
        lambda: customers.insert({}),
        lambda: customers.update("x", {}),
        lambda: customers.delete("x"),
        customers.end_modify,
    ):
        with pytest.raises(PlainError) as caught:
            call()
        assert type(caught.value) is PlainError
        assert type(error).__name__ in str(caught.value)
        assert KEY not in str(caught.value)
        assert caught.value.__cause__ is None


@pytest.mark.usefixtures("multicorn")
def test_multicorn_sees_our_errors_with_detail_and_hint() -> None:
    with pytest.raises(PlainError) as caught:
        StripeForeignDataWrapper({"object": "custmer"}, COLUMNS)
    assert "DETAIL: Closest: customer" in str(caught.value)


class Definition:
    """Stands for Multicorn's ColumnDefinition and TableDefinition."""

    def __init__(self, name: str, **more: Any) -> None:
        self.name = name
        self.__dict__.update(more)


def test_multicorn_imports_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    module = SimpleNamespace(ColumnDefinition=Definition, TableDefinition=Definition)
    monkeypatch.setitem(sys.modules, "multicorn", module)
    tables = StripeForeignDataWrapper.import_schema("stripe", {}, {}, "limit", ["customer", "_call"])
    assert [table.name for table in tables] == ["customer", "_call"]
    assert tables[0].options == {"object": "customer"}
    everything = StripeForeignDataWrapper.import_schema("core", {}, {}, "except", ["customer"])
    assert "customer" not in [table.name for table in everything]


def test_scans_that_multicorn_forgot_end_with_the_next_transaction() -> None:
    ended: list[str] = []

    def rows(name: str) -> Any:
        try:
            yield name
            yield name
        finally:
            ended.append(name)

    transaction = 1
    scans = OpenScans(lambda: transaction)
    forgotten, cursor = scans.add(rows("forgotten")), scans.add(rows("cursor"))
    assert [next(forgotten), next(cursor)] == ["forgotten", "cursor"]
    assert ended == []
    transaction = 2
    later = scans.add(rows("later"))
    assert sorted(ended) == ["cursor", "forgotten"]
    assert list(later) == ["later", "later"]


def test_a_row_is_identified_by_the_whole_object_where_the_table_has_it() -> None:
    assert StripeForeignDataWrapper(OPTIONS, COLUMNS).rowid_column == "id"
    whole = COLUMNS | {"_raw": PlainColumn("_raw", "jsonb")}
    assert StripeForeignDataWrapper(OPTIONS, whole).rowid_column == "_raw"


@pytest.mark.parametrize("name", FUNCTION_TABLES)
def test_the_tables_behind_functions_refuse_to_be_changed(name: str) -> None:
    columns = {column: PlainColumn(column, kind) for column, kind in FUNCTION_TABLES[name]}
    table = StripeForeignDataWrapper({"object": name, "api_key": KEY}, columns)
    for change in (lambda: table.update("x", {"path": "x"}), lambda: table.delete("x")):
        with pytest.raises(PlainError, match="cannot be updated or deleted"):
            change()
