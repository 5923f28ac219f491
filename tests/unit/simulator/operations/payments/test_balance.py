"""The balance, and the list of its transactions."""

import pytest

PAYMENT = {
    "amount": "4400",
    "payment_method": "pm_card_visa",
    "confirm": "true",
    "capture_method": "automatic",
    "allowed_payment_method_types[]": "card",
}


@pytest.mark.parametrize(("currency", "fee"), [("usd", 158), ("cad", 193), ("eur", 158)])
def test_the_fee_of_a_payment_is_higher_for_foreign_cards(post, stripe, currency, fee):
    paid = post("/payment_intents", **PAYMENT, currency=currency, **{"expand[]": "latest_charge"})
    moved = stripe.get(f"/balance_transactions/{paid['latest_charge']['balance_transaction']}").json()
    assert (moved["fee"], moved["net"]) == (fee, 4400 - fee)
    assert moved["fee_details"][0]["amount"] == fee


def test_a_transaction_has_the_description_of_its_charge_and_is_listed_by_it(post, reader):
    paid = post("/payment_intents", **PAYMENT, currency="usd", description="tea")
    (moved,) = reader.page("/balance_transactions", source=paid["latest_charge"])["data"]
    assert (moved["source"], moved["description"]) == (paid["latest_charge"], "tea")
    assert moved["reporting_category"] == "charge"


def test_filters_of_unknown_values(reader):
    assert reader.page("/balance_transactions", type="bogus")["data"] == []
    assert reader.page("/payouts", status="bogus")["data"] == []
    error = reader.error("/balance_transactions", payout="po_x")
    assert (error["code"], error["param"]) == ("resource_missing", "payout")


def test_the_balance_has_an_amount_for_each_currency(stripe):
    balance = stripe.get("/balance").json()
    for amounts in (balance, balance["refund_and_dispute_prefunding"]):
        assert {amount["currency"] for amount in amounts["available"]} == {"usd"}
