"""Refunds, disputes and reviews (https://docs.stripe.com/refunds, https://docs.stripe.com/disputes)."""

import pytest

PAYMENT = {
    "amount": "2000",
    "currency": "usd",
    "description": "tea",
    "confirm": "true",
    "allowed_payment_method_types[]": "card",
}


@pytest.fixture
def paid(post):
    return post("/payment_intents", **PAYMENT, payment_method="pm_card_visa")


def first(reader, path, **wanted):
    fits = (
        candidate
        for candidate in reader.all(path)
        if all(candidate[name] == value for name, value in wanted.items())
    )
    return next(fits)


def test_a_payment_is_refunded_in_parts(post, stripe, paid, types):
    refund = post("/refunds", payment_intent=paid["id"], amount="500", reason="duplicate")
    assert (refund["status"], refund["amount"], refund["charge"]) == ("succeeded", 500, paid["latest_charge"])
    charge = stripe.get(f"/charges/{paid['latest_charge']}").json()
    assert (charge["amount_refunded"], charge["refunded"]) == (500, False)
    moved = stripe.get(f"/balance_transactions/{refund['balance_transaction']}").json()
    assert (moved["amount"], moved["type"]) == (-500, "refund")
    assert moved["description"] == "REFUND FOR CHARGE (tea)"
    too_much = post("/refunds", 400, charge=charge["id"], amount="1501")
    assert too_much["message"] == (
        "Refund amount ($15.01) is greater than unrefunded amount on charge ($15.00)"
    )
    assert post("/refunds", charge=charge["id"])["amount"] == 1500
    again = post("/refunds", 400, charge=charge["id"])
    assert again["code"] == "charge_already_refunded"
    assert [name for name in types() if "refund" in name] == ["refund.created", "charge.refunded"] * 2
    last = stripe.get("/events?types[]=charge.refunded").json()["data"][0]["data"]
    assert last["previous_attributes"] == {"amount_refunded": 500, "refunded": False}


def test_a_refund_needs_a_successful_charge(post):
    assert "payment_intent or charge" in post("/refunds", 400)["message"]
    unpaid = post("/payment_intents", amount="2000", currency="usd")
    error = post("/refunds", 400, payment_intent=unpaid["id"])
    assert "does not have a successful charge to refund" in error["message"]
    assert post("/refunds", 404, charge="ch_x")["message"] == "No such charge: 'ch_x'"
    assert post("/refunds", 400).get("code") is None


def test_a_refund_is_canceled_only_while_it_waits(post, reader, paid, stripe):
    done = post("/refunds", payment_intent=paid["id"])
    assert "has a status of succeeded" in post(f"/refunds/{done['id']}/cancel", 400)["message"]
    waiting = first(reader, "/refunds", status="requires_action")
    assert post(f"/refunds/{waiting['id']}/cancel")["status"] == "canceled"


def test_a_dispute_is_answered_and_another_closed(post, reader, stripe, types):
    payment = PAYMENT | {"payment_method": "pm_card_createDispute"}
    post("/payment_intents", **payment)
    dispute = stripe.get("/disputes?limit=1").json()["data"][0]
    assert (dispute["status"], dispute["amount"], dispute["id"][:3]) == ("needs_response", 2000, "du_")
    assert stripe.get(f"/charges/{dispute['charge']}/dispute").json() == dispute
    assert "has been charged back" in post("/refunds", 400, charge=dispute["charge"])["message"]
    path = f"/disputes/{dispute['id']}"
    staged = post(path, submit="false", **{"evidence[customer_name]": "Ada"})
    assert (staged["evidence"]["customer_name"], staged["status"]) == ("Ada", "needs_response")
    submitted = post(path, submit="true")
    assert (submitted["status"], submitted["evidence_details"]["submission_count"]) == ("under_review", 1)
    assert "takes no more evidence" in post(path, 400, **{"evidence[customer_name]": "Bob"})["message"]
    assert "cannot be closed" in post(f"{path}/close", 400)["message"]
    assert [name for name in types() if "dispute" in name] == [
        "charge.dispute.created",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.updated",
        "charge.dispute.updated",
    ]
    post("/payment_intents", **payment)
    other = f"/disputes/{stripe.get('/disputes?limit=1').json()['data'][0]['id']}"
    assert post(f"{other}/close")["status"] == "lost"
    assert "charge.dispute.closed" in types()
    assert "status of lost" in post(f"{other}/close", 400)["message"]


def test_evidence_is_submitted_at_once_unless_told_otherwise(post, stripe):
    post("/payment_intents", **PAYMENT, payment_method="pm_card_createDispute")
    path = f"/disputes/{stripe.get('/disputes?limit=1').json()['data'][0]['id']}"
    submitted = post(path, **{"evidence[uncategorized_text]": "It was delivered."})
    details = submitted["evidence_details"]
    assert (submitted["status"], details["has_evidence"], details["submission_count"]) == (
        "under_review", True, 1,
    )  # fmt: skip


def test_a_dispute_takes_the_money_and_a_fee(post, stripe, reader):
    post("/payment_intents", **PAYMENT, payment_method="pm_card_createDispute")
    dispute = reader.page("/disputes", limit=1)["data"][0]
    (withdrawal,) = dispute["balance_transactions"]
    assert (withdrawal["amount"], withdrawal["fee"], withdrawal["net"]) == (-2000, 1500, -3500)
    assert (withdrawal["type"], withdrawal["reporting_category"], withdrawal["status"]) == (
        "adjustment",
        "dispute",
        "available",
    )
    assert withdrawal["fee_details"][0]["description"] == "Dispute fee"
    assert stripe.get(f"/balance_transactions/{withdrawal['id']}").json() == withdrawal
    assert dispute["payment_method_details"]["card"]["case_type"] == "chargeback"
    assert reader.page("/balance_transactions", source=dispute["id"])["data"] == []


def test_an_inquiry_leaves_the_money_and_the_charge_refundable(post, reader):
    post("/payment_intents", **PAYMENT, payment_method="pm_card_createDisputeInquiry")
    inquiry = reader.page("/disputes", limit=1)["data"][0]
    assert (inquiry["status"], inquiry["is_charge_refundable"]) == ("warning_needs_response", True)
    assert inquiry["balance_transactions"] == []
    assert inquiry["payment_method_details"]["card"]["case_type"] == "inquiry"
    answered = post(f"/disputes/{inquiry['id']}", **{"evidence[uncategorized_text]": "Sorry."})
    assert answered["status"] == "warning_under_review"
    assert post("/refunds", charge=inquiry["charge"])["status"] == "succeeded"


def test_the_refunds_of_a_charge(post, reader, paid):
    refund = post("/refunds", payment_intent=paid["id"], amount="500")
    path = f"/charges/{paid['latest_charge']}/refunds"
    assert reader.page(path)["data"] == [refund]
    assert reader.page(f"{path}/{refund['id']}") == refund
    error = reader.error(f"{path}/re_x", 404)
    assert (error["code"], error["param"]) == ("resource_missing", "refund")
    assert reader.error(f"/charges/{paid['latest_charge']}/dispute", 404)["code"] == "resource_missing"


def test_a_review_is_approved_once(post, reader, types):
    review = first(reader, "/reviews", open=True)
    closed = post(f"/reviews/{review['id']}/approve")
    assert (closed["open"], closed["closed_reason"]) == (False, "approved")
    assert types() == ["review.closed"]
    assert "already been closed" in post(f"/reviews/{review['id']}/approve", 400)["message"]
