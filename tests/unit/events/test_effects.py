"""What events mean for copies."""

from __future__ import annotations

from typing import Any

import pytest

from stripe_fdw.catalog import load
from stripe_fdw.events.effects import (
    Effect,
    Effects,
    Ignored,
    Refetch,
    State,
    as_listed,
    is_compatible,
    state_before,
)
from stripe_fdw.events.event import Event

CATALOG = load()
COPIED = ("customer", "subscription", "coupon", "capability", "refund")


def event(type_: str, item: dict[str, Any], **fields: Any) -> Event:
    return Event.parse(
        {
            "id": "evt_1", "object": "event", "type": type_, "created": 1_700_000_000, "livemode": False,
            "api_version": CATALOG.api_version, "data": {"object": item}, **fields,
        }
    )  # fmt: skip


def effect(type_: str, item: dict[str, Any], **fields: Any) -> Effect:
    return Effects(CATALOG, COPIED, "acct_own").of(event(type_, item, **fields))


def test_an_event_has_the_state_of_its_object() -> None:
    item = {"id": "cus_1", "object": "customer", "name": "Ada"}
    data = {"object": item, "previous_attributes": {"name": None}}
    found = effect("customer.updated", item, data=data)
    assert found == State(CATALOG.resource["customer"], "cus_1", item, {**item, "name": None})
    assert isinstance(found, State)
    assert not found.is_deletion


def test_subscription_deleted_stays_as_canceled() -> None:
    found = effect(
        "customer.subscription.deleted", {"id": "sub_1", "object": "subscription", "status": "canceled"}
    )
    assert isinstance(found, State)
    assert not found.is_deletion


@pytest.mark.parametrize(("type_", "kind"), [("customer.deleted", "customer"), ("coupon.deleted", "coupon")])
def test_a_deletion_has_the_whole_object(type_: str, kind: str) -> None:
    found = effect(type_, {"id": "x_1", "object": kind, "name": "Ada"})
    assert isinstance(found, State)
    assert found.is_deletion
    assert found.item == {"id": "x_1", "object": kind, "deleted": True}


def test_an_id_that_is_a_word_is_kept_with_its_parent() -> None:
    found = effect("capability.updated", {"id": "transfers", "object": "capability", "account": "acct_1"})
    assert isinstance(found, State)
    assert found.key == "acct_1/transfers"


OF_ACCOUNTS = [
    ("account.updated", {"id": "acct_1", "object": "account"}),
    ("capability.updated", {"id": "transfers", "object": "capability", "account": "acct_1"}),
    ("person.updated", {"id": "person_1", "object": "person", "account": "acct_1"}),
    ("account.external_account.created", {"id": "ba_1", "object": "bank_account", "account": "acct_1"}),
]


@pytest.mark.parametrize(("type_", "item"), OF_ACCOUNTS)
def test_what_a_connected_account_is_stands_in_the_lists_of_the_platform(
    type_: str, item: dict[str, Any]
) -> None:
    assert as_listed(event(type_, item, account="acct_1")).account == ""
    assert as_listed(event(type_, item, account="acct_2")).account == "acct_2"
    customer = {"id": "cus_1", "object": "customer", "account": "acct_1"}
    assert as_listed(event("customer.updated", customer, account="acct_1")).account == "acct_1"


@pytest.mark.parametrize(("type_", "item"), OF_ACCOUNTS)
def test_the_account_of_the_key_is_in_no_list(type_: str, item: dict[str, Any]) -> None:
    own = item | ({"id": "acct_own"} if item["object"] == "account" else {"account": "acct_own"})
    assert effect(type_, own) == Ignored("it is about the account of the key, which is in no list")


@pytest.mark.parametrize(
    ("type_", "item", "fields"),
    [
        ("customer.updated", {"id": "cus_1", "object": "customer"}, {"api_version": "2020-08-27"}),
        ("customer.updated", {"id": "cus_1", "object": "customer"}, {"api_version": None}),
        ("customer.renamed", {"id": "cus_1", "object": "customer"}, {}),
        ("customer.discount.created", {"object": "discount", "customer": "cus_1"}, {}),
        ("cash_balance.funds_available", {"object": "cash_balance", "customer": {"id": "cus_1"}}, {}),
    ],
)
def test_what_an_event_does_not_show_is_asked_for(
    type_: str, item: dict[str, Any], fields: dict[str, Any]
) -> None:
    assert effect(type_, item, **fields) == Refetch(((CATALOG.resource["customer"], "cus_1"),))


def test_a_discount_changes_what_has_it() -> None:
    found = effect(
        "customer.discount.deleted", {"customer": "cus_1", "subscription": "sub_1", "object": "discount"}
    )
    assert isinstance(found, Refetch)
    assert [key for _, key in found.objects] == ["cus_1", "sub_1"]


@pytest.mark.parametrize(
    ("type_", "item", "reason"),
    [
        ("invoice.upcoming", {"object": "invoice"}, "invoice is not copied"),
        ("customer.updated", {"object": "customer"}, "its object has no id"),
        ("customer.updated", {"object": "customer", "id": 7}, "its object has no id"),
        ("balance.available", {"object": "balance"}, "balance is not copied"),
        ("mandate.updated", {"object": "mandate", "id": "mandate_1"}, "mandate is not copied"),
        ("reserve.hold.created", {"object": "reserve.hold"}, "there is no table of reserve.hold"),
        ("a.b", {}, "there is no table of None"),
        ("customer.discount.created", {"object": "discount"}, "what it changes is not copied"),
    ],
)
def test_what_changes_no_copy_is_ignored_with_the_reason(
    type_: str, item: dict[str, Any], reason: str
) -> None:
    assert effect(type_, item) == Ignored(reason)


def test_versions_of_one_release_are_compatible() -> None:
    assert is_compatible("2026-10-28.endive", "2026-10-28.endive")
    assert is_compatible("2026-09-30.endive", "2026-10-28.endive")
    assert not is_compatible("2026-09-30.dahlia", "2026-10-28.endive")
    assert not is_compatible("2020-08-27", "2026-10-28.endive")
    assert not is_compatible("2020-08-27", "2022-11-15")


def test_previous_values_go_back_where_they_were() -> None:
    item = {"a": 1, "metadata": {"x": "1", "y": "2"}, "list": [1, 2], "n": {"deep": {"v": 2}}}
    previous = {"metadata": {"x": None}, "list": [1], "n": {"deep": {"v": 1}}}
    assert state_before(item, previous) == {
        "a": 1, "metadata": {"x": None, "y": "2"}, "list": [1], "n": {"deep": {"v": 1}},
    }  # fmt: skip
    assert item["list"] == [1, 2]
    assert state_before(item, None) is None
