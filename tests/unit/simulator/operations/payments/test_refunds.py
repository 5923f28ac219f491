"""Refunds, disputes and reviews (https://docs.stripe.com/refunds, https://docs.stripe.com/disputes)."""

import pytest


@pytest.fixture
def paid(post):
    return post(
        "/payment_intents", amount="2000", currency="usd", payment_method="pm_card_visa", confirm="true"
    )


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
    too_much = post("/refunds", 400, charge=charge["id"], amount="1501")
    assert too_much["message"] == (
        "Refund amount ($15.01) is greater than unrefunded amount on charge ($15.00)"
    )
    assert post("/refunds", charge=charge["id"])["amount"] == 1500
    again = post("/refunds", 400, charge=charge["id"])
    assert again["code"] == "charge_already_refunded"
    assert types()[-4:] == ["refund.created", "charge.refunded", "refund.created", "charge.refunded"]
    last = stripe.get("/events?types[]=charge.refunded").json()["data"][0]["data"]
    assert last["previous_attributes"] == {"amount_refunded": 500, "refunded": False}


def test_a_refund_needs_a_successful_charge(post):
    assert "payment_intent or charge" in post("/refunds", 400)["message"]
    unpaid = post("/payment_intents", amount="2000", currency="usd")
    error = post("/refunds", 400, payment_intent=unpaid["id"])
    assert "does not have a successful charge to refund" in error["message"]
    assert post("/refunds", 404, charge="ch_x")["message"] == "No such charge: 'ch_x'"


def test_a_refund_is_canceled_only_while_it_waits(post, reader, paid, stripe):
    done = post("/refunds", payment_intent=paid["id"])
    assert "has a status of succeeded" in post(f"/refunds/{done['id']}/cancel", 400)["message"]
    waiting = first(reader, "/refunds", status="requires_action")
    assert post(f"/refunds/{waiting['id']}/cancel")["status"] == "canceled"


def test_a_dispute_is_answered_and_another_closed(post, reader, stripe, types):
    payment = {"amount": "2000", "currency": "usd", "payment_method": "pm_card_createDispute"}
    post("/payment_intents", **payment, confirm="true")
    dispute = stripe.get("/disputes?limit=1").json()["data"][0]
    assert (dispute["status"], dispute["amount"]) == ("needs_response", 2000)
    assert "has been charged back" in post("/refunds", 400, charge=dispute["charge"])["message"]
    path = f"/disputes/{dispute['id']}"
    staged = post(path, **{"evidence[customer_name]": "Ada"})
    assert (staged["evidence"]["customer_name"], staged["status"]) == ("Ada", "needs_response")
    submitted = post(path, submit="true")
    assert (submitted["status"], submitted["evidence_details"]["submission_count"]) == ("under_review", 1)
    assert "takes no more evidence" in post(path, 400, **{"evidence[customer_name]": "Bob"})["message"]
    assert "cannot be closed" in post(f"{path}/close", 400)["message"]
    assert types()[-2:] == ["charge.dispute.updated", "charge.dispute.updated"]
    post("/payment_intents", **payment, confirm="true")
    other = f"/disputes/{stripe.get('/disputes?limit=1').json()['data'][0]['id']}"
    assert post(f"{other}/close")["status"] == "lost"
    assert types()[-1] == "charge.dispute.closed"
    assert "status of lost" in post(f"{other}/close", 400)["message"]


def test_a_review_is_approved_once(post, reader, types):
    review = first(reader, "/reviews", open=True)
    closed = post(f"/reviews/{review['id']}/approve")
    assert (closed["open"], closed["closed_reason"]) == (False, "approved")
    assert types() == ["review.closed"]
    assert "already been closed" in post(f"/reviews/{review['id']}/approve", 400)["message"]
