"""Lists inside objects: their entries are applied and deleted with the object that holds them."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from stripe_fdw.catalog import load
from stripe_fdw.copies.owned_lists import owned_lists, owner
from support.database import column

from .conftest import Apply

CATALOG = load()


def item(identifier: str, **fields: Any) -> dict[str, Any]:
    price = {"id": "price_1", "object": "price", "product": "prod_1"}
    return {
        "id": identifier,
        "object": "subscription_item",
        "subscription": "sub_1",
        "price": price,
        **fields,
    }


def subscription(*items: dict[str, Any], has_more: bool = False, **fields: Any) -> dict[str, Any]:
    entries = {"object": "list", "data": list(items), "has_more": has_more}
    return {"id": "sub_1", "object": "subscription", "status": "active", "items": entries, **fields}


def kept(copies: psycopg.Connection, table: str = "subscription_item") -> list[object]:
    return column(copies, f"select id from stripe_copy.{table} where not _deleted order by id")


def test_the_kinds_that_live_and_die_with_their_parent() -> None:
    installed = {resource.name for resource in CATALOG.resources}
    owned = {
        f"{resource.name}.{each.name}": (each.entries.name, each.parent_column)
        for resource in CATALOG.resources
        for each in owned_lists(resource, CATALOG, installed)
    }
    assert owned == {
        "application_fee.refunds": ("fee_refund", "fee"),
        "checkout_session.line_items": ("checkout_session_line_item", "session"),
        "credit_note.lines": ("credit_note_line_item", "credit_note"),
        "invoice.lines": ("line_item", "invoice"),
        "payment_link.line_items": ("payment_link_line_item", "payment_link"),
        "quote.line_items": ("quote_line_item", "quote"),
        "subscription.items": ("subscription_item", "subscription"),
        "transfer.reversals": ("transfer_reversal", "transfer"),
    }
    assert owner(CATALOG.resource["line_item"], CATALOG) is CATALOG.resource["invoice"]
    assert owner(CATALOG.resource["refund"], CATALOG) is None


def test_entries_are_copied_with_their_parent(copies: psycopg.Connection, put: Apply) -> None:
    assert put("subscription", subscription(item("si_1"), item("si_2", quantity=3))).inserted == 1
    query = "select id, subscription, product_id, quantity, _as_of from stripe.subscription_item order by id"
    found = copies.execute(query).fetchall()
    assert [row[:4] for row in found] == [
        ("si_1", "sub_1", "prod_1", None),
        ("si_2", "sub_1", "prod_1", 3),
    ]
    assert found[0][4] == copies.execute("select _as_of from stripe.subscription").fetchall()[0][0]


def test_an_entry_that_does_not_hold_its_parent_gets_it(copies: psycopg.Connection, put: Apply) -> None:
    line = {"id": "cnli_1", "object": "credit_note_line_item", "amount": 5}
    lines = {"object": "list", "data": [line], "has_more": False}
    put("credit_note", {"id": "cn_1", "object": "credit_note", "lines": lines})
    row = copies.execute("select credit_note, amount, _raw from stripe_copy.credit_note_line_item").fetchone()
    assert row == ("cn_1", 5, line)


def test_a_removed_item_is_deleted(copies: psycopg.Connection, put: Apply) -> None:
    put("subscription", subscription(item("si_1"), item("si_2")))
    put("subscription", subscription(item("si_2"), cancel_at=9), seconds=60)
    assert kept(copies) == ["si_2"]
    put("subscription", subscription(item("si_1"), cancel_at=10), seconds=120)
    assert kept(copies) == ["si_1"]


def test_a_list_with_more_deletes_nothing(copies: psycopg.Connection, put: Apply) -> None:
    put("subscription", subscription(item("si_1"), item("si_2")))
    put("subscription", subscription(item("si_3"), has_more=True), seconds=60)
    assert kept(copies) == ["si_1", "si_2", "si_3"]


def test_a_stale_parent_leaves_children(copies: psycopg.Connection, put: Apply) -> None:
    put("subscription", subscription(item("si_1")), seconds=60)
    assert put("subscription", subscription(item("si_2"), cancel_at=9)).stale == 1
    assert put("subscription", subscription(item("si_1")), seconds=120).unchanged == 1
    assert kept(copies) == ["si_1"]


def test_an_entry_that_is_known_later_stays(copies: psycopg.Connection, put: Apply) -> None:
    put("subscription", subscription(item("si_1")))
    put("subscription_item", item("si_1", quantity=7), item("si_2"), seconds=90)
    put("subscription", subscription(item("si_1", quantity=1), cancel_at=9), seconds=60)
    assert kept(copies) == ["si_1", "si_2"]
    assert column(copies, "select quantity from stripe_copy.subscription_item where id = 'si_1'") == [7]


def test_lists_that_hold_objects_of_their_own_are_no_complete_set(
    copies: psycopg.Connection, put: Apply
) -> None:
    put("subscription", subscription())
    none = {"object": "list", "data": [], "has_more": False}
    put("customer", {"id": "cus_1", "object": "customer", "subscriptions": none}, seconds=60)
    put("refund", {"id": "re_1", "object": "refund", "charge": "ch_1"})
    put("charge", {"id": "ch_1", "object": "charge", "refunds": none}, seconds=60)
    assert kept(copies, "subscription") == ["sub_1"]
    assert kept(copies, "refund") == ["re_1"]


def test_entries_of_a_deleted_object_are_deleted(copies: psycopg.Connection, put: Apply) -> None:
    lines = {"object": "list", "data": [{"id": "il_1", "object": "line_item"}], "has_more": False}
    put("invoice", {"id": "in_1", "object": "invoice", "lines": lines})
    put("invoice", {"id": "in_1", "object": "invoice", "deleted": True}, seconds=60)
    assert kept(copies, "line_item") == []


def test_entries_go_with_their_object_in_the_second_of_their_own_event(
    copies: psycopg.Connection, put: Apply
) -> None:
    lines = {"object": "list", "data": [{"id": "il_1", "object": "line_item"}], "has_more": False}
    put("invoice", {"id": "in_1", "object": "invoice", "lines": lines}, event="evt_1")
    put("invoice", {"id": "in_1", "object": "invoice", "deleted": True}, event="evt_2")
    assert kept(copies, "line_item") == []


def test_an_entry_that_does_not_fit_keeps_its_row_and_its_parent(
    copies: psycopg.Connection, put: Apply
) -> None:
    put("subscription", subscription(item("si_1", quantity="many"), item("si_2", quantity=2)))
    query = "select id, quantity from stripe.subscription_item order by id"
    assert copies.execute(query).fetchall() == [("si_1", None), ("si_2", 2)]
    assert column(copies, "select id from stripe_sync.misfit") == ["si_1"]


@pytest.mark.parametrize("account", ["", "acct_1"])
def test_entries_of_another_account_stay(copies: psycopg.Connection, put: Apply, account: str) -> None:
    put("subscription", subscription(item("si_1")), account="acct_2")
    put("subscription", subscription(item("si_1")), account=account)
    put("subscription", subscription(cancel_at=9), account=account, seconds=60)
    assert column(copies, "select _account from stripe_copy.subscription_item where not _deleted") == [
        "acct_2"
    ]
