"""Foreign tables, as hosts call them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pytest

from stripe_fdw.catalog import load
from stripe_fdw.errors import AuthenticationError, ColumnError, OptionError, StripeFdwError, TableError
from stripe_fdw.fdw.backend.standalone import PlainColumn, StandaloneHost
from stripe_fdw.fdw.cache.requester import RequestCost
from stripe_fdw.fdw.planning.quals import Qual, SortKey
from stripe_fdw.fdw.schema.import_schema import FUNCTION_TABLES
from stripe_fdw.fdw.session import Session
from stripe_fdw.fdw.tables.base import Table
from stripe_fdw.fdw.tables.factory import open_table
from support.fake_stripe import KEY, FakeStripe

OPTIONS = {"object": "customer", "api_key": KEY}
COLUMNS = {name: PlainColumn(name) for name in ("email", "id")} | {
    "created": PlainColumn("created", "timestamp with time zone")
}


def table(options: dict[str, str], columns: Mapping[str, PlainColumn] = COLUMNS) -> Table:
    return open_table(Session(StandaloneHost()), options, columns)


@pytest.fixture
def stripe(monkeypatch: pytest.MonkeyPatch) -> FakeStripe:
    objects = [{"id": f"cus_{i}", "created": 1000 - i, "email": "a@b.c"} for i in range(150)]
    fake = FakeStripe(load().resource, {"customer": objects})
    monkeypatch.setattr(Session, "client", lambda *_: fake)
    return fake


def test_a_scan_gives_batches_of_tuples_in_the_order_of_its_columns(stripe: FakeStripe) -> None:
    scan = table(OPTIONS).open_scan([], ["id", "email"], [], 2, False)
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
    customers = table(OPTIONS)
    first, second = (customers.open_scan([], ["id"], [], None, False) for _ in range(2))
    assert first.next_batch() == second.next_batch()


def test_planning_asks_stripe_nothing(stripe: FakeStripe) -> None:
    customers = table({"object": "customer"}, COLUMNS)
    every, single = customers.size([]), customers.size([Qual("id", "=", "cus_1")])
    assert every.rows > 1000 * single.rows
    assert every.seconds.alone > 1000 * single.seconds.ahead
    assert single.rows == single.fetched == 1
    assert customers.width(["id"]) > 0
    assert (("id",), 1.0) in customers.path_keys()
    newest = SortKey("created", descending=True, nulls_first=True)
    assert customers.sortable([newest, SortKey("id")]) == [newest]
    assert customers.describe([], [], None, False) == [("Stripe Request", "GET /v1/customers?limit=100")]
    assert stripe.log == []


def test_without_a_mapping_a_scan_says_so_but_planning_works() -> None:
    customers = table({"object": "customer"}, COLUMNS)
    with pytest.raises(AuthenticationError):
        customers.open_scan([], ["id"], [], None, False)


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
        table(options, columns)


def test_a_row_is_identified_by_the_whole_object_where_the_table_has_it() -> None:
    assert table(OPTIONS).row_identity() == ("id",)
    whole = COLUMNS | {"_raw": PlainColumn("_raw", "jsonb")}
    assert table(OPTIONS, whole).row_identity() == ("id", "_raw")


def test_the_tables_behind_functions_refuse_to_be_changed() -> None:
    for name in FUNCTION_TABLES:
        columns = {column: PlainColumn(column, kind) for column, kind in FUNCTION_TABLES[name]}
        customers = table({"object": name, "api_key": KEY}, columns)
        writes: tuple[Callable[[], object], ...] = (
            partial(customers.update_row, {}, {"path": "x"}, ["id"], RequestCost()),
            partial(customers.delete_row, {}, True, RequestCost()),
        )
        for write in writes:
            with pytest.raises(StripeFdwError, match=f'"{name}"') as caught:
                write()
            assert caught.value.sqlstate == "0A000"


def test_an_operation_is_a_row(stripe: FakeStripe) -> None:
    columns = {name: PlainColumn(name, kind) for name, kind in FUNCTION_TABLES["_call"]}
    customers = table({"object": "_call", "api_key": KEY}, columns)
    quals = [
        Qual("method", "=", "GET"),
        Qual("path", "=", "/v1/customers"),
        Qual("params", "=", '{"limit": 1}'),
    ]
    scan = customers.open_scan(quals, ["params", "status", "response"], [], None, False)
    ((params, status, response),) = scan.next_batch()
    assert (params, status) == ('{"limit": 1}', 200)
    assert b"cus_0" in response
    assert stripe.log == ["GET /v1/customers?limit=1"]
    assert (
        customers.open_scan([*quals, Qual("path", "=", None)], ["status"], [], None, False).next_batch() == []
    )
