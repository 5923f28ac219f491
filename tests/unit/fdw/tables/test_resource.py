"""The wrapper as its hosts call it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from stripe_fdw.catalog import load
from stripe_fdw.errors import AuthenticationError, ColumnError, OptionError, StripeFdwError, TableError
from stripe_fdw.fdw.backend import hosting
from stripe_fdw.fdw.backend.hosting import PlainColumn
from stripe_fdw.fdw.multicorn.wrapper import StripeForeignDataWrapper
from stripe_fdw.fdw.planning.quals import Qual, SortKey
from stripe_fdw.fdw.reading.scan import Scans
from stripe_fdw.fdw.schema.import_schema import FUNCTION_TABLES
from stripe_fdw.fdw.tables import functions, resource
from stripe_fdw.fdw.writing.transaction import transaction_writes
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
def stripe(monkeypatch: pytest.MonkeyPatch) -> FakeStripe:
    objects = [{"id": f"cus_{i}", "created": 1000 - i, "email": "a@b.c"} for i in range(150)]
    fake = FakeStripe(load().resource, {"customer": objects})
    for module in (resource, functions):
        monkeypatch.setattr(module, "client_for", lambda *_: fake)
    return fake


def test_a_scan_gives_batches_of_tuples_in_the_order_of_its_columns(stripe: FakeStripe) -> None:
    scan = StripeForeignDataWrapper(OPTIONS, COLUMNS).open_scan([], ["id", "email"], [], 2)
    assert stripe.log == []
    assert scan.next_batch() == [("cus_0", "a@b.c"), ("cus_1", "a@b.c")]
    assert len(scan.next_batch()) == 100
    assert len(scan.next_batch()) == 48
    assert scan.next_batch() == []
    assert dict(scan.statistics())["Stripe Requests Made"] == "3"
    scan.close()
    scan.close()
    assert scan.next_batch() == []


def test_one_instance_serves_interleaved_scans(stripe: FakeStripe) -> None:
    wrapper = StripeForeignDataWrapper(OPTIONS, COLUMNS)
    one, two = (wrapper.open_scan([], ["id"], [], None) for _ in range(2))
    assert one.next_batch() == two.next_batch()


def test_planning_asks_stripe_nothing(stripe: FakeStripe) -> None:
    wrapper = StripeForeignDataWrapper({"object": "customer"}, COLUMNS)
    every, width, pages = wrapper.rel_size([], ["id"])
    single, _, request = wrapper.rel_size([Qual("id", "=", "cus_1")], ["id"])
    assert every > 1000 * single
    assert pages > 1000 * request
    assert single == request == 1
    assert width > 0
    assert (("id",), 1.0) in wrapper.path_keys()
    newest = SortKey("created", descending=True, nulls_first=True)
    assert wrapper.sortable([newest, SortKey("id")]) == [newest]
    assert wrapper.describe([], ["id"], [], None, False) == [
        ("Stripe Request", "GET /v1/customers?limit=100")
    ]
    assert stripe.log == []


def test_without_a_mapping_a_scan_says_so_but_planning_works() -> None:
    wrapper = StripeForeignDataWrapper({"object": "customer"}, COLUMNS)
    with pytest.raises(AuthenticationError):
        wrapper.open_scan([], ["id"])


@pytest.mark.parametrize(
    ("options", "columns", "error"),
    [
        ({}, COLUMNS, OptionError),
        ({"object": "custmer"}, COLUMNS, TableError),
        ({"object": "customer", "fast": "1"}, COLUMNS, OptionError),
        ({"object": "customer"}, {"x": PlainColumn("x")}, ColumnError),
        ({"object": "_call"}, {"x": PlainColumn("x")}, ColumnError),
    ],
)
def test_a_wrong_table_is_refused(options: Any, columns: Any, error: type[StripeFdwError]) -> None:
    with pytest.raises(error):
        StripeForeignDataWrapper(options, columns)


def test_a_row_is_identified_by_the_whole_object_where_the_table_has_it() -> None:
    assert StripeForeignDataWrapper(OPTIONS, COLUMNS).rowid_column == "id"
    assert StripeForeignDataWrapper(OPTIONS, COLUMNS).row_identity() == ("id",)
    whole = COLUMNS | {"_raw": PlainColumn("_raw", "jsonb")}
    assert StripeForeignDataWrapper(OPTIONS, whole).rowid_column == "_raw"
    assert StripeForeignDataWrapper(OPTIONS, whole).row_identity() == ("id", "_raw")


def test_the_tables_behind_functions_refuse_to_be_changed() -> None:
    for name in FUNCTION_TABLES:
        columns = {column: PlainColumn(column, kind) for column, kind in FUNCTION_TABLES[name]}
        wrapper = StripeForeignDataWrapper({"object": name, "api_key": KEY}, columns)
        writes: tuple[Callable[[], object], ...] = (
            partial(wrapper.update_row, {}, {"path": "x"}, True),
            partial(wrapper.delete_row, {}, True),
            partial(wrapper.update, "x", {"path": "x"}),
            partial(wrapper.delete, "x"),
        )
        for write in writes:
            with pytest.raises(StripeFdwError, match=f'"{name}"') as caught:
                write()
            assert caught.value.sqlstate == "0A000"


def test_an_operation_is_a_row(stripe: FakeStripe) -> None:
    columns = {name: PlainColumn(name, kind) for name, kind in FUNCTION_TABLES["_call"]}
    wrapper = StripeForeignDataWrapper({"object": "_call", "api_key": KEY}, columns)
    quals = [
        Qual("method", "=", "GET"),
        Qual("path", "=", "/v1/customers"),
        Qual("params", "=", '{"limit": 1}'),
    ]
    scan = wrapper.open_scan(quals, ["params", "status", "response"])
    ((params, status, response),) = scan.next_batch()
    assert (params, status) == ('{"limit": 1}', 200)
    assert b"cus_0" in response
    assert stripe.log == ["GET /v1/customers?limit=1"]
    assert wrapper.open_scan([*quals, Qual("path", "=", None)], ["status"]).next_batch() == []


# -- Multicorn -----------------------------------------------------------------------------------------------


@pytest.fixture
def multicorn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosting, "HOST", "multicorn2")


@pytest.mark.usefixtures("multicorn")
def test_multicorn_gets_every_column_of_every_row_as_text(stripe: FakeStripe) -> None:
    wrapper = StripeForeignDataWrapper(OPTIONS, COLUMNS)
    rows = list(wrapper.execute([Arrived("id", "=", "cus_1")], []))
    assert rows == [{"email": "a@b.c", "id": "cus_1", "created": "1970-01-01 00:16:39+00:00"}]


@pytest.mark.usefixtures("multicorn")
def test_multicorn_may_sort_but_never_limit(stripe: FakeStripe) -> None:
    wrapper = StripeForeignDataWrapper(OPTIONS, COLUMNS)
    newest = MulticornSortKey("created", True, True)
    assert wrapper.can_sort([newest, MulticornSortKey("id", False, False)]) == [newest]
    assert wrapper.can_sort([MulticornSortKey("id", False, False)]) == []
    assert wrapper.can_limit(1, None) is False
    assert wrapper.get_path_keys()[0] == (("id",), 100)
    assert isinstance(wrapper.get_rel_size([], [])[0], int)
    assert wrapper.explain([Arrived("id", "=", "?")], []) == [
        "Stripe Request: GET /v1/customers/<join value>",
        "Stripe Pushed: id = <join value>",
    ]


class EvilError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


def test_the_end_of_a_transaction_raises_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    wrapper = StripeForeignDataWrapper(OPTIONS, COLUMNS)
    said: list[str] = []

    def fail(*_: object) -> None:
        raise KeyboardInterrupt(KEY)

    monkeypatch.setattr(hosting, "warn", lambda message, *_: said.append(message))
    for name in ("commit", "rollback", "sub_commit", "sub_rollback"):
        monkeypatch.setattr(transaction_writes, name, fail)
    wrapper.commit()
    wrapper.rollback()
    wrapper.sub_commit(2)
    wrapper.sub_rollback(2)
    assert len(said) == 4
    assert "KeyboardInterrupt" in said[0]
    assert KEY not in str(said)


@pytest.mark.usefixtures("multicorn")
@pytest.mark.parametrize(
    "error",
    [StopIteration("s"), MemoryError(), SystemExit(1), KeyboardInterrupt(), EvilError(), ValueError(KEY)],
    ids=lambda error: type(error).__name__,
)
def test_multicorn_sees_only_plain_exceptions(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    wrapper = StripeForeignDataWrapper(OPTIONS, COLUMNS)

    def fail(*_: object, **__: object) -> None:
        raise error

    for name in (
        *("size", "path_keys", "sortable", "describe", "open_scan"),
        *("insert_row", "update_as_multicorn_says", "delete_as_multicorn_says", "end_modify"),
    ):
        monkeypatch.setattr(wrapper._table, name, fail)
    for call in (
        lambda: wrapper.get_rel_size([], []),
        wrapper.get_path_keys,
        lambda: wrapper.can_sort([MulticornSortKey("id", False, False)]),
        lambda: wrapper.explain([], []),
        lambda: list(wrapper.execute([], [])),
        lambda: wrapper.insert({}),
        lambda: wrapper.update("x", {}),
        lambda: wrapper.delete("x"),
        wrapper.end_modify,
    ):
        with pytest.raises(hosting.PlainError) as caught:
            call()
        assert type(caught.value) is hosting.PlainError
        assert type(error).__name__ in str(caught.value)
        assert KEY not in str(caught.value)
        assert caught.value.__cause__ is None


@pytest.mark.usefixtures("multicorn")
def test_multicorn_sees_our_errors_with_detail_and_hint() -> None:
    with pytest.raises(hosting.PlainError) as caught:
        StripeForeignDataWrapper({"object": "custmer"}, COLUMNS)
    assert "DETAIL: Closest: customer" in str(caught.value)


def test_multicorn_imports_tables() -> None:
    found = StripeForeignDataWrapper.import_schema("stripe", {}, {}, "limit", ["customer", "_call"])
    assert [table.table_name for table in found] == ["customer", "_call"]
    assert found[0].options == {"object": "customer"}
    everything = StripeForeignDataWrapper.import_schema("core", {}, {}, "except", ["customer"])
    assert "customer" not in [table.table_name for table in everything]


def test_scans_that_multicorn_forgot_end_with_the_next_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[str] = []

    def rows(name: str) -> Any:
        try:
            yield name
            yield name
        finally:
            ended.append(name)

    scans = Scans()
    monkeypatch.setattr(hosting, "transaction_id", lambda: 1)
    forgotten, cursor = scans.add(rows("forgotten")), scans.add(rows("cursor"))
    assert [next(forgotten), next(cursor)] == ["forgotten", "cursor"]
    assert ended == []
    monkeypatch.setattr(hosting, "transaction_id", lambda: 2)
    later = scans.add(rows("later"))
    assert sorted(ended) == ["cursor", "forgotten"]
    assert list(later) == ["later", "later"]
