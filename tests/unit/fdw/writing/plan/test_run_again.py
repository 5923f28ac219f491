"""An UPDATE with a key sends the same when it runs again, and nothing of what was done already."""

from __future__ import annotations

from typing import Any

import pytest

from stripe_fdw.catalog import load
from stripe_fdw.errors import ColumnError
from stripe_fdw.fdw.writing.plan.planner import plan_update

Values = dict[str, Any]
ADA: Values = {"id": "cus_1", "object": "customer", "name": "Ada", "phone": None, "metadata": {"a": "1"}}


def sent(table: str, old_object: Values, values: Values) -> list[str]:
    """The requests, as text."""
    plan = plan_update(load().resource[table], {"id": old_object["id"], "_raw": old_object}, values)
    return [str(request.request) for request in plan.requests]


AGAIN: list[tuple[Values, Values]] = [
    ({"name": "Grace", "_params": {"phone": "123"}}, {"name": "Grace", "phone": "123"}),
    ({"name": "Grace", "phone": "5"}, {"name": "Grace"}),
    ({"name": "Grace", "phone": None}, {"phone": "9"}),
    ({"metadata": {"a": "2", "b": "3"}, "_params": {"phone": "1"}}, {"metadata": {"a": "2", "b": "3"}}),
    (
        {"address": {"city": "Ulm", "country": "DE"}, "description": "x"},
        {"address": {"city": "Ulm", "country": "DE", "line1": None}},
    ),
    ({"preferred_locales": ["de"], "_params": {"phone": "1"}}, {"preferred_locales": ["de"]}),
]


@pytest.mark.parametrize(("values", "then"), AGAIN, ids=str)
def test_with_a_key_an_update_sends_every_column_that_is_named(values: Values, then: Values) -> None:
    keyed = values | {"_idempotency_key": "k"}
    first = sent("customer", ADA, keyed)
    assert len(first) == 1
    assert sent("customer", ADA | then, keyed) == first


def test_with_a_key_and_nothing_to_change_there_is_no_request() -> None:
    assert sent("customer", ADA, {"name": "Ada", "metadata": {"a": "1"}, "_idempotency_key": "k"}) == []


def test_without_a_key_only_what_differs_is_sent() -> None:
    (only,) = sent("customer", ADA, {"name": "Ada", "phone": "1"})
    assert "name" not in only


def test_with_further_parameters_it_does_so_without_a_key_as_well() -> None:
    """An error after a lost answer names the key with which to run the row again."""
    values: Values = {"name": "Grace", "email": None, "_params": {"phone": "1"}}
    first = sent("customer", ADA, values)
    assert sent("customer", ADA | {"name": "Grace"}, values | {"_idempotency_key": "told"}) == first


INVOICE: Values = {"id": "in_1", "object": "invoice", "status": "open", "description": None}


@pytest.mark.parametrize("key", [None, "pay-1"])
def test_parameters_of_an_operation_that_was_done_are_dropped(key: str | None) -> None:
    values: Values = {"status": "paid", "_params": {"paid_out_of_band": True}, "_idempotency_key": key}
    assert sent("invoice", INVOICE, values) == ["POST /v1/invoices/in_1/pay?paid_out_of_band=true"]
    assert sent("invoice", INVOICE | {"status": "paid"}, values) == []
    unheard_of = {"status": "paid", "_params": {"unheard_of": 1}}
    assert sent("invoice", INVOICE | {"status": "paid"}, unheard_of) == []


def test_where_a_host_does_not_say_which_columns_are_named_the_state_counts() -> None:
    def further(old_object: Values, params: Values) -> list[str]:
        old, values = {"id": "in_1", "_raw": old_object}, {"_params": params}
        plan = plan_update(load().resource["invoice"], old, values, named=False)
        return [str(request.request) for request in plan.requests]

    paid = INVOICE | {"status": "paid"}
    assert further(paid, {"paid_out_of_band": True}) == []
    assert further(paid, {"footer": "f"}) == ["POST /v1/invoices/in_1?footer=f"]
    assert further(INVOICE, {"paid_out_of_band": True}) == ["POST /v1/invoices/in_1?paid_out_of_band=true"]


def test_parameters_of_the_update_beside_it_are_sent_with_the_same_columns() -> None:
    values = {
        "status": "paid",
        "description": "due",
        "_params": {"paid_out_of_band": True, "footer": "f"},
        "_idempotency_key": "k",
    }
    update, pay = sent("invoice", INVOICE, values)
    assert pay.startswith("POST /v1/invoices/in_1/pay")
    assert sent("invoice", INVOICE | {"description": "due"}, values) == [update, pay]
    assert sent("invoice", INVOICE | {"description": "due", "status": "paid"}, values) == [update]


def test_an_operation_that_led_further_is_asked_for_again_only_with_a_key() -> None:
    values = {"status": "open", "_idempotency_key": "k"}
    paid = INVOICE | {"status": "paid"}
    assert sent("invoice", paid, values) == ["POST /v1/invoices/in_1/finalize"]
    with pytest.raises(ColumnError, match="cannot go from 'paid' to 'open'"):
        sent("invoice", paid, {"status": "open"})


def test_a_price_that_stays_does_not_start_the_quantity_anew() -> None:
    item = {"id": "si_1", "object": "subscription_item", "price": {"id": "price_1"}, "quantity": 3}
    values = {"price": "price_1", "_params": {"proration_behavior": "none"}, "_idempotency_key": "k"}
    (request,) = sent("subscription_item", item, values)
    assert "quantity=3" in request
    assert sent("subscription_item", item | {"price": {"id": "price_0"}}, values) == [request]
