"""Objects that lie inside others, taken out of the answers that have them."""

from __future__ import annotations

import pytest

from stripe_fdw.api.request import Request
from stripe_fdw.catalog import load
from stripe_fdw.errors import InvalidResponseError
from stripe_fdw.fdw.reading.held_objects import held_objects, holder_of, wrapped

DISCOUNT = load().resource["discount"]
SUMMARY = load().resource["entitlements_active_entitlement_summary"]
OF_CUSTOMER = next(item for item in DISCOUNT.holders if item.field == "discount")
OF_SUBSCRIPTION = next(item for item in DISCOUNT.holders if item.column == "subscription")


def test_a_field_holds_no_object_one_or_several() -> None:
    first, second = {"id": "di_1"}, {"id": "di_2"}
    assert held_objects(OF_CUSTOMER, {"id": "cus_1", "discount": None}) == []
    assert held_objects(OF_CUSTOMER, {"id": "cus_1"}) == []
    assert held_objects(OF_CUSTOMER, {"id": "cus_1", "discount": first}) == [first]
    assert held_objects(OF_SUBSCRIPTION, {"id": "sub_1", "discounts": [first, second]}) == [first, second]


def test_ids_that_did_not_come_expanded_are_an_error() -> None:
    with pytest.raises(InvalidResponseError, match="discounts in the response to GET /v1/subscriptions"):
        held_objects(OF_SUBSCRIPTION, {"id": "sub_1", "discounts": ["di_1"]})


def test_the_request_tells_the_holder() -> None:
    request = Request.of("GET", "/v1/customers/{customer}", {}, customer="cus_1")
    assert holder_of(DISCOUNT, request) is OF_CUSTOMER


def test_a_list_becomes_the_column_of_its_summary() -> None:
    body = {"object": "list", "data": [{"id": "ent_1", "livemode": False}], "has_more": False}
    request = Request.of("GET", SUMMARY.list_path, {"customer": "cus_1", "limit": "100"})
    assert wrapped(SUMMARY, request, body) == {
        "object": "entitlements.active_entitlement_summary",
        "customer": "cus_1",
        "livemode": False,
        "entitlements": body,
    }
