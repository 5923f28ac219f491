"""Setup intents (https://docs.stripe.com/payments/setup-intents)."""

CARDS_ONLY = {"allowed_payment_method_types[]": "card"}  # so that confirming needs no return_url


def test_a_setup_intent_saves_a_card(post, stripe, types):
    customer = post("/customers")["id"]
    setup_intent = post("/setup_intents", customer=customer, **CARDS_ONLY)
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
    declined = post(
        "/setup_intents", 402, payment_method="pm_card_chargeDeclined", confirm="true", **CARDS_ONLY
    )
    assert declined["setup_intent"]["last_setup_error"]["code"] == "card_declined"
    card = "pm_card_authenticationRequiredOnSetup"
    asked = post("/setup_intents", payment_method=card, confirm="true", **CARDS_ONLY)
    assert asked["status"] == "requires_action"
    canceled = post(f"/setup_intents/{asked['id']}/cancel", cancellation_reason="abandoned")
    assert (canceled["status"], canceled["cancellation_reason"]) == ("canceled", "abandoned")
