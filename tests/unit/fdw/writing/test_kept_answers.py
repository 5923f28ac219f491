"""Which objects the answers to written rows contain, and which of them are evidence."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from stripe_fdw.api.client import ClientOptions
from stripe_fdw.api.request import Request
from stripe_fdw.api.responses import Response
from stripe_fdw.fdw.writing.kept_answers import KeptAnswers, current_object_request
from stripe_fdw.fdw.writing.plan.row_plan import RowPlan
from stripe_fdw.fdw.writing.plan.write_request import WriteRequest
from stripe_fdw.redaction import Secret

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
OPTIONS = ClientOptions(Secret("sk_test_" + "kept" * 6), "2026-10-28.endive")


def answer(body: dict[str, Any], *, replayed: bool = False) -> Response:
    return Response(200, body, NOON, "req_1", 10, 0.0, 1, replayed, 0.2)


def plan(resource: str | None, request: Request, object_id: str | None = None, **write: Any) -> RowPlan:
    is_call = write.pop("is_call", False)
    write_request = WriteRequest(request, "create", **write)
    return RowPlan(requests=(write_request,), invalidates=resource, object_id=object_id, is_call=is_call)


def kept(row: RowPlan, response: Response | None) -> list[tuple[str, str, str | None, bool]]:
    """Resource, id, parent, and whether the object itself is kept."""
    answers = KeptAnswers()
    answers.keep(row, response, OPTIONS)
    return [(a.resource, a.object_id, a.parent, a.body is not None) for a in answers.take()]


CUSTOMERS = Request.of("POST", "/v1/customers")
CUSTOMER = {"id": "cus_1", "object": "customer"}


@pytest.mark.parametrize(
    ("row", "response", "expected"),
    [
        (plan("customer", CUSTOMERS), answer(CUSTOMER), [("customer", "cus_1", None, True)]),
        (
            plan("customer", CUSTOMERS),
            answer(CUSTOMER, replayed=True),
            [("customer", "cus_1", None, False)],
        ),
        # A repeated DELETE found its object gone.
        (plan("customer", CUSTOMERS, "cus_1"), None, [("customer", "cus_1", None, False)]),
        # What has no copy changes the object that it belongs to.
        (
            plan(
                "cash_balance", Request.of("POST", "/v1/customers/{customer}/cash_balance", customer="cus_1")
            ),
            answer({"object": "cash_balance", "customer": "cus_1"}),
            [("customer", "cus_1", None, False)],
        ),
        (
            plan(
                "discount",
                Request.of("DELETE", "/v1/customers/{customer}/discount", customer="cus_1"),
                "di_1",
                answers_object=False,
            ),
            answer({"id": "di_1", "object": "discount", "deleted": True}),
            [("customer", "cus_1", None, False)],
        ),
        (plan("token", Request.of("POST", "/v1/tokens")), answer({"id": "tok_1", "object": "token"}), []),
        (
            plan("tax_settings", Request.of("POST", "/v1/tax/settings")),
            answer({"object": "tax.settings"}),
            [],
        ),
        # The operation answers with another object.
        (
            plan("subscription", CUSTOMERS, "sub_1", answers_object=False),
            answer(CUSTOMER),
            [("customer", "cus_1", None, True), ("subscription", "sub_1", None, False)],
        ),
        (plan(None, CUSTOMERS, is_call=True), answer(CUSTOMER), [("customer", "cus_1", None, True)]),
        (plan(None, CUSTOMERS, is_call=True), answer({"object": "list", "data": []}), []),
        (plan(None, CUSTOMERS, is_call=True), answer({"id": "x_1", "object": "unknown"}), []),
        (
            plan(None, Request.of("POST", "/v1/invoices/create_preview"), is_call=True),
            answer({"id": "upcoming_in_1", "object": "invoice"}),
            [],
        ),
        # The object does not hold its parent, or not under every name.
        (
            plan("customer_source", Request.of("POST", "/v1/customers/{customer}/sources", customer="cus_1")),
            answer({"id": "card_1", "object": "card"}),
            [("customer_source", "card_1", "cus_1", True)],
        ),
        # The object is in a list of another, which holds it as it was.
        (
            plan("subscription_item", Request.of("POST", "/v1/subscription_items")),
            answer({"id": "si_1", "object": "subscription_item", "subscription": "sub_1"}),
            [("subscription_item", "si_1", None, True), ("subscription", "sub_1", None, False)],
        ),
        # Two resources have objects of this name.
        (
            plan("customer_tax_id", Request.of("POST", "/v1/customers/{customer}/tax_ids", customer="cus_1")),
            answer({"id": "txi_1", "object": "tax_id"}),
            [("customer_tax_id", "txi_1", "cus_1", True)],
        ),
    ],
)
def test_an_answer_is_kept_for_the_objects_that_it_tells_of(
    row: RowPlan, response: Response | None, expected: list[tuple[str, str, str | None, bool]]
) -> None:
    assert kept(row, response) == expected


@pytest.mark.parametrize(
    ("row", "body", "expected"),
    [
        (plan("customer", CUSTOMERS), CUSTOMER, "GET /v1/customers/cus_1"),
        (plan("customer", CUSTOMERS, is_call=True), CUSTOMER, "GET /v1/customers/cus_1"),
        (plan("customer", CUSTOMERS, is_call=True), {"id": "in_1", "object": "invoice"}, None),
        (plan(None, CUSTOMERS, is_call=True), CUSTOMER, None),
        (plan("subscription", CUSTOMERS, "sub_1", answers_object=False), CUSTOMER, None),
        (plan("customer_tax_id", CUSTOMERS), {"id": "txi_1", "object": "tax_id", "customer": None}, None),
    ],
)
def test_the_present_state_of_an_object_is_asked_for_by_its_id(
    row: RowPlan, body: dict[str, Any], expected: str | None
) -> None:
    request = current_object_request(row, body)
    assert (None if request is None else str(request)) == expected


def test_an_answer_is_known_before_it_left_and_taken_once() -> None:
    answers = KeptAnswers()
    answers.keep(plan("customer", CUSTOMERS), answer({**CUSTOMER, "name": "a\0b"}), OPTIONS)
    [taken] = answers.take()
    assert taken.known_at == NOON - timedelta(seconds=1)
    assert taken.body is not None
    assert orjson.loads(taken.body)["name"] == "a\ufffdb"
    assert taken.options is OPTIONS
    assert answers.take() == []


def test_secrets_and_expanded_objects_are_not_kept() -> None:
    body = {
        "id": "in_1",
        "object": "invoice",
        "customer": {"id": "cus_1", "name": "Ada"},
        "confirmation_secret": {"client_secret": "pi_1_secret_x"},
        "payments": {"data": [{"payment": {"payment_intent": {"id": "pi_1", "client_secret": "x"}}}]},
    }
    answers = KeptAnswers()
    answers.keep(plan("invoice", Request.of("POST", "/v1/invoices")), answer(body), OPTIONS)
    [taken] = answers.take()
    assert orjson.loads(taken.body or b"") == {
        "id": "in_1",
        "object": "invoice",
        "customer": "cus_1",
        "payments": {"data": [{"payment": {"payment_intent": {"id": "pi_1"}}}]},
    }
    answers.keep(
        plan("issuing_card", Request.of("POST", "/v1/issuing/cards")),
        answer({"id": "ic_1", "object": "issuing.card", "number": "4000", "cvc": "123"}),
        OPTIONS,
    )
    assert orjson.loads(answers.take()[0].body or b"") == {"id": "ic_1", "object": "issuing.card"}


def test_beyond_the_memory_allowed_only_ids_are_kept() -> None:
    answers = KeptAnswers(max_bytes=100)
    for number in range(4):
        answers.keep(plan("customer", CUSTOMERS), answer({**CUSTOMER, "id": f"cus_{number}"}), OPTIONS)
    taken = answers.take()
    assert [item.object_id for item in taken] == ["cus_0", "cus_1", "cus_2", "cus_3"]
    assert [item.body is not None for item in taken] == [True, True, False, False]
