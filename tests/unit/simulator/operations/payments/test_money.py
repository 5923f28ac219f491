"""Refunds, disputes, setup intents, payouts, transfers (https://docs.stripe.com/refunds, disputes)."""

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


def test_what_cannot_be_refunded(post):
    assert "payment_intent or charge" in post("/refunds", 400)["message"]
    unpaid = post("/payment_intents", amount="2000", currency="usd")
    error = post("/refunds", 400, payment_intent=unpaid["id"])
    assert "does not have a successful charge to refund" in error["message"]
    assert post("/refunds", 400, charge="ch_x")["message"] == "No such charge: 'ch_x'"


def test_a_refund_is_canceled_only_while_it_waits(post, reader, paid, stripe):
    done = post("/refunds", payment_intent=paid["id"])
    assert "has a status of succeeded" in post(f"/refunds/{done['id']}/cancel", 400)["message"]
    waiting = first(reader, "/refunds", status="requires_action")
    assert post(f"/refunds/{waiting['id']}/cancel")["status"] == "canceled"


def test_a_setup_intent_saves_a_card(post, stripe, types):
    customer = post("/customers")["id"]
    setup_intent = post("/setup_intents", customer=customer)
    assert setup_intent["status"] == "requires_payment_method"
    path = f"/setup_intents/{setup_intent['id']}"
    assert post(f"{path}/confirm", 400)["code"] == "setup_intent_unexpected_state"
    done = post(f"{path}/confirm", payment_method="pm_card_visa")
    assert done["status"] == "succeeded"
    assert stripe.get(f"/payment_methods/{done['payment_method']}").json()["customer"] == customer
    attempts = stripe.get(f"/setup_attempts?setup_intent={setup_intent['id']}").json()["data"]
    assert [(attempt["id"], attempt["status"]) for attempt in attempts] == [
        (done["latest_attempt"], "succeeded")
    ]
    assert types()[1:] == ["setup_intent.created", "payment_method.attached", "setup_intent.succeeded"]
    assert "has a status of succeeded" in post(f"{path}/cancel", 400)["message"]


def test_setup_intents_that_do_not_succeed(post):
    declined = post("/setup_intents", 402, payment_method="pm_card_chargeDeclined", confirm="true")
    assert declined["setup_intent"]["last_setup_error"]["code"] == "card_declined"
    asked = post("/setup_intents", payment_method="pm_card_authenticationRequiredOnSetup", confirm="true")
    assert asked["status"] == "requires_action"
    canceled = post(f"/setup_intents/{asked['id']}/cancel", cancellation_reason="abandoned")
    assert (canceled["status"], canceled["cancellation_reason"]) == ("canceled", "abandoned")


def test_a_payout_leaves_the_balance_and_comes_back_when_canceled(post, stripe, types):
    def available():
        (usd,) = (
            amount_ for amount_ in stripe.get("/balance").json()["available"] if amount_["currency"] == "usd"
        )
        return usd["amount"]

    before = available()
    payout = post("/payouts", amount="1000", currency="usd", description="rent")
    assert (payout["status"], payout["method"]) == ("pending", "standard")
    assert available() == before - 1000
    assert post(f"/payouts/{payout['id']}/cancel")["status"] == "canceled"
    assert available() == before
    assert "has a status of canceled" in post(f"/payouts/{payout['id']}/cancel", 400)["message"]
    assert post("/payouts", 400, amount="99999999", currency="usd")["code"] == "balance_insufficient"
    assert types() == ["payout.created", "payout.canceled"]


def test_a_payout_is_reversed_once(post, stripe):
    payout = post("/payouts", amount="1000", currency="usd", method="instant")
    back = post(f"/payouts/{payout['id']}/reverse")
    assert (back["amount"], back["original_payout"]) == (-1000, payout["id"])
    assert stripe.get(f"/payouts/{payout['id']}").json()["reversed_by"] == back["id"]
    post(f"/payouts/{payout['id']}/reverse", 400)


def test_a_top_up(post):
    topup = post("/topups", amount="5000", currency="usd", description="for refunds")
    assert topup["status"] == "pending"
    assert post(f"/topups/{topup['id']}/cancel")["status"] == "canceled"
    assert "Only pending top-ups" in post(f"/topups/{topup['id']}/cancel", 400)["message"]


def test_a_transfer_and_its_reversals(post, stripe, reader, types):
    account = reader.page("/accounts")["data"][0]["id"]
    transfer = post("/transfers", amount="900", currency="usd", destination=account)
    path = f"/transfers/{transfer['id']}"
    part = post(f"{path}/reversals", amount="300")
    assert (part["amount"], part["transfer"], part["currency"]) == (300, transfer["id"], "usd")
    now = stripe.get(path).json()
    assert (now["amount_reversed"], now["reversed"]) == (300, False)
    assert [reversal["id"] for reversal in now["reversals"]["data"]] == [part["id"]]
    assert "is greater than" in post(f"{path}/reversals", 400, amount="601")["message"]
    post(f"{path}/reversals")
    assert stripe.get(path).json()["reversed"] is True
    assert "already been fully reversed" in post(f"{path}/reversals", 400)["message"]
    assert types()[0] == "transfer.created"
    assert types()[-1] == "transfer.reversed"
    wrong = post("/transfers", 400, amount="900", currency="usd", destination="acct_x")
    assert wrong["message"] == "No such destination: 'acct_x'"


def test_an_application_fee_is_given_back(post, stripe, reader):
    fee = next(
        application_fee
        for application_fee in reader.all("/application_fees")
        if application_fee["amount"] > application_fee["amount_refunded"] + 5
    )
    rest = fee["amount"] - fee["amount_refunded"]
    assert post(f"/application_fees/{fee['id']}/refunds")["amount"] == rest
    assert stripe.get(f"/application_fees/{fee['id']}").json()["refunded"] is True


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


@pytest.mark.parametrize(
    ("path", "data", "operation", "state", "events"),
    [
        (
            "/billing/meters",
            {"display_name": "Calls", "event_name": "calls", "default_aggregation[formula]": "sum"},
            "deactivate", "inactive", ["billing.meter.created", "billing.meter.deactivated"],
        ),
        ("/billing/alerts", {"title": "Much", "alert_type": "usage_threshold"}, "archive", "archived", []),
        (
            "/identity/verification_sessions", {"type": "document"}, "cancel", "canceled",
            ["identity.verification_session.created", "identity.verification_session.canceled"],
        ),
    ],
)  # fmt: skip
def test_simple_changes_of_state(post, types, path, data, operation, state, events):
    new_object = post(path, **data)
    changed = post(f"{path}/{new_object['id']}/{operation}")
    assert changed["status"] == state
    assert types() == events
    assert f"has a status of {state}" in post(f"{path}/{new_object['id']}/{operation}", 400)["message"]
