"""Payment intents, charges and payment methods (https://docs.stripe.com/payments/paymentintents/lifecycle)."""

import pytest

from support.waiting import wait_until

CARDS_ONLY = {"allowed_payment_method_types[]": "card"}  # so that confirming needs no return_url
CARD = {"amount": "2000", "currency": "usd", "payment_method": "pm_card_visa", **CARDS_ONLY}


def test_a_payment_intent_step_by_step(post, stripe, types):
    payment_intent = post("/payment_intents", amount="2000", currency="usd", **CARDS_ONLY)
    assert (payment_intent["status"], payment_intent["latest_charge"]) == ("requires_payment_method", None)
    assert payment_intent["client_secret"].startswith(f"{payment_intent['id']}_secret_")
    path = f"/payment_intents/{payment_intent['id']}"
    missing = post(f"{path}/confirm", 400)
    assert missing["code"] == "payment_intent_unexpected_state"
    assert missing["payment_intent"]["id"] == payment_intent["id"]
    chosen = post(path, payment_method="pm_card_visa")
    assert chosen["status"] == "requires_confirmation"
    assert chosen["payment_method"].startswith("pm_")
    paid = post(f"{path}/confirm")
    assert (paid["status"], paid["amount_received"]) == ("succeeded", 2000)
    charge = stripe.get(f"/charges/{paid['latest_charge']}").json()
    assert (charge["status"], charge["paid"], charge["captured"]) == ("succeeded", True, True)
    assert (charge["payment_intent"], charge["payment_method"]) == (
        payment_intent["id"],
        chosen["payment_method"],
    )
    assert types()[:3] == ["payment_intent.created", "charge.succeeded", "payment_intent.succeeded"]


def test_a_payment_captured_asynchronously_settles_a_moment_later(post, stripe):
    paid = post("/payment_intents", **CARD, confirm="true", **{"expand[]": "latest_charge"})
    assert (paid["capture_method"], paid["latest_charge"]["captured"]) == ("automatic_async", True)
    assert paid["latest_charge"]["balance_transaction"] is None

    def charge():
        return stripe.get(f"/charges/{paid['latest_charge']['id']}").json()

    wait_until(lambda: charge()["balance_transaction"] is not None, "the payment has settled")
    moved = stripe.get(f"/balance_transactions/{charge()['balance_transaction']}").json()
    assert (moved["amount"], moved["fee"], moved["net"]) == (2000, 88, 1912)
    assert moved["source"] == paid["latest_charge"]["id"]
    event = stripe.get("/events?limit=1").json()["data"][0]
    assert (event["type"], event["request"]["id"]) == ("charge.updated", None)
    assert event["data"]["previous_attributes"] == {"balance_transaction": None}


def test_a_payment_captured_at_once_has_its_balance_transaction(post):
    expanded = {"capture_method": "automatic", "expand[]": "latest_charge"}
    paid = post("/payment_intents", **CARD, confirm="true", **expanded)
    assert paid["latest_charge"]["balance_transaction"].startswith("txn_")


def test_created_and_confirmed_at_once(post):
    payment_intent = post("/payment_intents", **CARD, confirm="true", off_session="true")
    assert payment_intent["status"] == "succeeded"
    error = post("/payment_intents", 400, **CARD, off_session="true")
    assert error["param"] == "off_session"


@pytest.mark.parametrize(
    ("method", "code", "decline_code"),
    [
        ("pm_card_chargeDeclined", "card_declined", "generic_decline"),
        ("pm_card_visa_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card", None),
        ("pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc", None),
    ],
)
def test_a_declined_card_leaves_a_failed_charge(post, stripe, types, method, code, decline_code):
    error = post("/payment_intents", 402, **{**CARD, "payment_method": method, "confirm": "true"})
    assert (error["type"], error["code"], error.get("decline_code")) == ("card_error", code, decline_code)
    intent = error["payment_intent"]
    assert intent["status"] == "requires_payment_method"
    assert intent["last_payment_error"]["code"] == code
    assert intent["last_payment_error"]["payment_method_type"] == "card"
    assert stripe.get(f"/payment_intents/{intent['id']}").json() == intent
    charge = stripe.get(f"/charges/{error['charge']}").json()
    assert (charge["status"], charge["failure_code"], charge["paid"]) == ("failed", code, False)
    for name in ("advice_code", "network_decline_code"):
        assert error[name] == intent["last_payment_error"][name] == charge["outcome"][name]
    assert charge["payment_method_details"]["card"]["amount_authorized"] is None
    assert charge["balance_transaction"] is None
    assert types() == ["payment_intent.created", "charge.failed", "payment_intent.payment_failed"]


def test_after_a_declined_card_another_one_can_pay(post):
    declined = {**CARD, "payment_method": "pm_card_chargeDeclined", "confirm": "true"}
    intent = post("/payment_intents", 402, **declined)["payment_intent"]
    paid = post(f"/payment_intents/{intent['id']}/confirm", payment_method="pm_card_mastercard")
    assert (paid["status"], paid["last_payment_error"]) == ("succeeded", None)


def test_a_declined_card_is_replayed_under_its_key(stripe):
    data = {**CARD, "payment_method": "pm_card_chargeDeclined", "confirm": "true"}
    first, again = (
        stripe.post("/payment_intents", data=data, headers={"Idempotency-Key": "decline"}) for _ in range(2)
    )
    assert (first.status_code, again.status_code) == (402, 402)
    assert again.json() == first.json()


def test_a_card_that_needs_authentication(post, types):
    asking = {**CARD, "payment_method": "pm_card_authenticationRequired", "confirm": "true"}
    payment_intent = post("/payment_intents", **asking, return_url="https://example.com/back")
    assert payment_intent["status"] == "requires_action"
    assert payment_intent["next_action"]["redirect_to_url"]["return_url"] == "https://example.com/back"
    assert types()[-1] == "payment_intent.requires_action"
    error = post("/payment_intents", 402, **asking, off_session="true")
    assert (error["code"], error["decline_code"]) == ("authentication_required", "authentication_required")
    assert error["payment_intent"]["status"] == "requires_payment_method"


def test_a_bank_payment_takes_its_time(post):
    bank = {"payment_method": "pm_usBankAccount_success", "allowed_payment_method_types[]": "us_bank_account"}
    payment_intent = post("/payment_intents", **CARD | bank, confirm="true")
    assert payment_intent["status"] == "processing"
    assert payment_intent["latest_charge"].startswith("py_")


def test_manual_capture_of_a_part(post, stripe, types):
    payment_intent = post("/payment_intents", **CARD, confirm="true", capture_method="manual")
    assert (payment_intent["status"], payment_intent["amount_capturable"]) == ("requires_capture", 2000)
    charge = stripe.get(f"/charges/{payment_intent['latest_charge']}").json()
    assert (charge["captured"], charge["balance_transaction"]) == (False, None)
    path = f"/payment_intents/{payment_intent['id']}"
    captured = post(f"{path}/capture", amount_to_capture="700")
    assert (captured["status"], captured["amount_received"], captured["amount_capturable"]) == (
        "succeeded", 700, 0,
    )  # fmt: skip
    charge = stripe.get(f"/charges/{payment_intent['latest_charge']}").json()
    assert (charge["captured"], charge["amount_captured"]) == (True, 700)
    assert types()[1:] == [
        "charge.succeeded",
        "payment_intent.amount_capturable_updated",
        "charge.captured",
        "payment_intent.succeeded",
    ]
    again = post(f"{path}/capture", 400)
    assert again["message"].startswith("The remaining amount on this PaymentIntent could not be captured")
    assert (again["code"], again["payment_intent"]["status"]) == (
        "payment_intent_unexpected_state",
        "succeeded",
    )


@pytest.mark.parametrize(
    ("amount", "code", "param"),
    [
        ("2001", "amount_too_large", None),
        ("-100", None, "amount_to_capture"),
        ("0", "parameter_invalid_integer", "amount"),
    ],
)
def test_amounts_that_cannot_be_captured(post, amount, code, param):
    intent = post("/payment_intents", **CARD, confirm="true", capture_method="manual")
    error = post(f"/payment_intents/{intent['id']}/capture", 400, amount_to_capture=amount)
    assert (error.get("code"), error.get("param"), error["payment_intent"]) == (code, param, intent)


def test_an_authorized_charge_says_until_when_it_can_be_captured(post, stripe):
    intent = post("/payment_intents", **CARD, confirm="true", capture_method="manual")
    charge = stripe.get(f"/charges/{intent['latest_charge']}").json()
    card = charge["payment_method_details"]["card"]
    assert (card["amount_authorized"], card["network"]) == (2000, "visa")
    assert card["capture_before"] == charge["created"] + 7 * 86_400
    assert charge["receipt_url"].startswith("https://")


def test_a_higher_authorization(post):
    payment_intent = post("/payment_intents", **CARD, confirm="true", capture_method="manual")
    path = f"/payment_intents/{payment_intent['id']}/increment_authorization"
    assert post(path, amount="2500")["amount_capturable"] == 2500
    assert post(path, 400, amount="2500")["param"] == "amount"


def test_cancel_with_a_reason_and_only_once(post, stripe, types):
    payment_intent = post("/payment_intents", **CARD, confirm="true", capture_method="manual")
    path = f"/payment_intents/{payment_intent['id']}/cancel"
    canceled = post(path, cancellation_reason="duplicate")
    assert (canceled["status"], canceled["cancellation_reason"]) == ("canceled", "duplicate")
    assert canceled["canceled_at"] >= canceled["created"]
    assert stripe.get(f"/charges/{payment_intent['latest_charge']}").json()["refunded"] is True
    assert types()[-2:] == ["charge.refunded", "payment_intent.canceled"]
    again = post(path, 400)
    assert "because it has a status of canceled" in again["message"]
    wrong = post(path, 400, cancellation_reason="bored")
    assert "must be one of" in wrong["message"]


def test_a_succeeded_payment_intent_accepts_fewer_changes(post):
    payment_intent = post("/payment_intents", **CARD, confirm="true")
    path = f"/payment_intents/{payment_intent['id']}"
    assert post(path, description="paid")["description"] == "paid"
    error = post(path, 400, amount="3000")
    assert (error["code"], error["param"]) == ("payment_intent_unexpected_state", "amount")
    assert error["message"].startswith("This PaymentIntent's amount could not be updated because it has")
    assert post(path, amount="2000")["amount"] == 2000
    again = post(f"{path}/confirm", 400)
    assert "already succeeded" in again["message"]


def test_amounts_have_limits(post):
    small = post("/payment_intents", 400, amount="49", currency="usd")
    assert (small["code"], small["message"]) == ("amount_too_small", "Amount must be at least $0.50 usd")
    large = post("/payment_intents", 400, amount="100000000", currency="usd")
    assert large["message"] == "Amount must be no more than $999,999.99 usd"
    negative = post("/payment_intents", 400, amount="-1", currency="usd")
    assert negative["message"] == "This value must be greater than or equal to 1."
    unknown = post("/payment_intents", 400, amount="500", currency="xxx")
    assert unknown["message"].startswith("Invalid currency: xxx. Stripe currently supports these currencies")
    assert post("/payment_intents", amount="500", currency="EUR")["currency"] == "eur"


def test_a_payment_method_of_one_customer_pays_for_no_other(post):
    one, other = post("/customers")["id"], post("/customers")["id"]
    method = post("/payment_methods/pm_card_visa/attach", customer=one)
    assert method["customer"] == one
    mine = {**CARD, "payment_method": method["id"]}
    assert post("/payment_intents", **mine, customer=one)["status"] == "requires_confirmation"
    foreign = post("/payment_intents", 400, **mine, customer=other)
    assert (foreign.get("code"), foreign["param"]) == (None, "payment_method")
    assert "does not belong to the Customer" in foreign["message"]
    missing = post("/payment_intents", 400, **mine)
    assert (missing["code"], missing["param"]) == ("parameter_missing", "source")
    assert f"belongs to the Customer {one}" in missing["message"]
    missing = post("/payment_intents", 400, **{**CARD, "payment_method": "pm_x"})
    assert (missing["message"], missing["param"]) == ("No such PaymentMethod: 'pm_x'", "payment_method")


def test_a_payment_can_save_its_payment_method(post, stripe):
    customer = post("/customers")["id"]
    payment_intent = post(
        "/payment_intents", **CARD, customer=customer, confirm="true", setup_future_usage="off_session"
    )
    assert stripe.get(f"/payment_methods/{payment_intent['payment_method']}").json()["customer"] == customer


def test_attach_and_detach(post, types):
    one, other = post("/customers")["id"], post("/customers")["id"]
    method = post("/payment_methods", type="card", **{"card[token]": "tok_mastercard"})
    assert (method["card"]["brand"], method["card"]["last4"]) == ("mastercard", "4444")
    path = f"/payment_methods/{method['id']}"
    assert "not attached to a customer" in post(f"{path}/detach", 400)["message"]
    assert post(f"{path}/attach", customer=one)["customer"] == one
    assert "already been attached" in post(f"{path}/attach", 400, customer=other)["message"]
    settings = {"invoice_settings[default_payment_method]": method["id"]}
    post(f"/customers/{one}", **settings)
    assert post(f"{path}/detach")["customer"] is None
    assert types()[-2:] == ["customer.updated", "payment_method.detached"]


def test_a_card_that_no_bank_accepts_cannot_be_attached(post):
    customer = post("/customers")["id"]
    error = post("/payment_methods/pm_card_chargeDeclined/attach", 402, customer=customer)
    assert (error["type"], error["decline_code"]) == ("card_error", "generic_decline")
    assert (error["advice_code"], error["network_decline_code"]) == ("try_again_later", "01")
    assert error["param"] == ""
    expired = post("/payment_methods/pm_card_chargeDeclinedExpiredCard/attach", 402, customer=customer)
    assert (expired["code"], expired["param"]) == ("expired_card", "exp_month")
    failing = post("/payment_methods/pm_card_chargeCustomerFail/attach", customer=customer)
    error = post(
        "/payment_intents", 402, **CARD | {"payment_method": failing["id"]}, customer=customer, confirm="true"
    )
    assert error["code"] == "card_declined"


def test_the_cvc_of_a_card_is_checked_when_it_is_attached_or_charged(post, stripe):
    method = post("/payment_methods", type="card", **{"card[token]": "tok_visa"})
    assert method["card"]["checks"]["cvc_check"] == "unchecked"
    assert (method["allow_redisplay"], method["card"]["regulated_status"]) == ("unspecified", "unregulated")
    paid = post("/payment_intents", **CARD | {"payment_method": method["id"]}, confirm="true")
    charge = stripe.get(f"/charges/{paid['latest_charge']}").json()
    assert charge["payment_method_details"]["card"]["checks"]["cvc_check"] == "pass"
    attached = post(f"/payment_methods/{method['id']}/attach", customer=post("/customers")["id"])
    assert attached["card"]["checks"]["cvc_check"] == "pass"
    number = {"card[number]": "4242424242424242", "card[exp_month]": "4", "card[exp_year]": "2031"}
    unknown = post("/payment_methods", type="card", **number)
    assert unknown["card"]["checks"]["cvc_check"] is None


def test_the_list_of_payment_methods_is_empty_without_a_customer(post, reader):
    customer = post("/customers")["id"]
    post("/payment_methods", type="card", **{"card[token]": "tok_visa"})
    attached = post("/payment_methods/pm_card_visa/attach", customer=customer)
    assert reader.page("/payment_methods")["data"] == []
    assert reader.page("/payment_methods", type="card")["data"] == []
    assert reader.page("/payment_methods", customer=customer)["data"] == [attached]


def test_the_payment_methods_of_a_deleted_customer(post, stripe, reader):
    customer = post("/customers")["id"]
    stripe.delete(f"/customers/{customer}")
    error = reader.error("/payment_methods", customer=customer)
    assert (error["code"], error["param"]) == ("resource_missing", "customer")


def test_a_payment_method_that_is_not_the_customers(post, reader):
    customer, method = post("/customers")["id"], post("/payment_methods", type="klarna")["id"]
    error = reader.error(f"/customers/{customer}/payment_methods/{method}", 404)
    assert (error.get("code"), error["param"]) == (None, "customer")


def test_attaching_to_a_missing_customer(post):
    error = post("/payment_methods/pm_card_visa/attach", 400)
    assert (error["type"], error.get("code")) == ("invalid_request_error", None)


def test_some_payment_methods_and_charges_have_ids_of_older_apis(reader, stripe):
    charges = reader.all("/charges")
    payments = [charge for charge in charges if charge["id"].startswith("py_")]
    assert payments
    assert {payment["payment_method_details"]["type"] for payment in payments} == {"us_bank_account"}
    assert stripe.get(f"/charges/{payments[0]['id']}").json() == payments[0]
    older = next(
        charge["payment_method"] for charge in charges if str(charge["payment_method"]).startswith("card_")
    )
    card = stripe.get(f"/payment_methods/{older}").json()
    assert (card["id"], card["type"]) == (older, "card")
    assert card in reader.all("/payment_methods", customer=card["customer"], type="card")


def test_cards_by_number_are_test_cards(post):
    card = {"card[number]": "4242424242424242", "card[exp_month]": "4", "card[exp_year]": "2031"}
    payment_method = post("/payment_methods", type="card", **card)["card"]
    assert (payment_method["last4"], payment_method["exp_month"], payment_method["exp_year"]) == (
        "4242",
        4,
        2031,
    )
    error = post("/payment_methods", 402, type="card", **{**card, "card[number]": "4111111111111111"})
    assert error["decline_code"] == "test_mode_live_card"
    missing = post("/payment_methods", 400, type="card", **{"card[number]": "4242424242424242"})
    assert missing["param"] == "card[exp_month]"


def test_a_charge_the_older_way(post, types):
    charge = post("/charges", amount="999", currency="usd", source="src_1", capture="false")
    assert (charge["captured"], charge["amount_captured"], charge["balance_transaction"]) == (False, 0, None)
    captured = post(f"/charges/{charge['id']}/capture")
    assert (captured["captured"], captured["amount_captured"]) == (True, 999)
    assert post(f"/charges/{charge['id']}/capture", 400)["code"] == "charge_already_captured"
    assert types() == ["charge.succeeded", "charge.captured"]
    assert post("/charges", 400, amount="999", currency="usd", source="tok_x")["message"] == (
        "No such token: 'tok_x'"
    )


def test_new_accounts_do_not_charge_tokens_or_payment_methods(post):
    amount = {"amount": "999", "currency": "usd"}
    token = post("/charges", 400, **amount, source="tok_visa")
    assert token["message"].startswith("Card Token usage")
    assert (token.get("code"), token.get("param")) == (None, None)
    for more in ({}, {"payment_method": "pm_card_visa"}):
        missing = post("/charges", 400, **amount, **more)
        assert (missing["code"], missing.get("param")) == ("parameter_missing", None)
        assert missing["message"] == "Must provide source or customer."
    customer = post("/customers")["id"]
    nothing = post("/charges", 402, **amount, customer=customer)
    assert (nothing["code"], nothing["param"]) == ("missing", "card")
    post("/payment_methods/pm_card_visa/attach", customer=customer)
    assert "legacy saved" in post("/charges", 402, **amount, customer=customer)["message"]


def test_the_transfer_group_of_an_intents_charge_is_the_intents(post):
    paid = post("/payment_intents", **CARD, confirm="true")
    error = post(f"/charges/{paid['latest_charge']}", 400, transfer_group="order_1")
    assert (error.get("code"), error.get("param")) == (None, None)
    assert paid["id"] in error["message"]
    assert post(f"/payment_intents/{paid['id']}", transfer_group="order_1")["transfer_group"] == "order_1"


@pytest.mark.parametrize(
    ("path", "kind", "thing"),
    [
        ("payment_intents", "payment_intent", "PaymentIntent"),
        ("setup_intents", "setup_intent", "SetupIntent"),
    ],
)
def test_no_bank_account_waits_for_microdeposits(post, path, kind, thing):
    intent = post(f"/{path}", **({"amount": 500, "currency": "eur"} if kind == "payment_intent" else {}))
    error = post(f"/{path}/{intent['id']}/verify_microdeposits", 400)
    assert (error["code"], error[kind]["id"]) == ("intent_invalid_state", intent["id"])
    assert f"on this {thing} because" in error["message"]
