"""Objects that no list has: tax calculations and transactions, tokens, mandates, features, notifications."""

from __future__ import annotations

LINES = {
    "line_items[0][amount]": 1200,
    "line_items[0][reference]": "L1",
    "line_items[1][amount]": 300,
    "line_items[1][quantity]": 2,
}
TO_GERMANY = {"customer_details[address][country]": "DE", "customer_details[address_source]": "shipping"}


def calculation(post, **more: object) -> dict:
    return post("/tax/calculations", currency="eur", **LINES, **TO_GERMANY, **more)


def test_a_calculation_has_the_sum_of_its_lines_and_collects_nothing(post, stripe):
    made = calculation(post, **{"shipping_cost[amount]": 500})
    assert made["amount_total"] == 2000
    assert made["tax_amount_exclusive"] == 0
    assert made["tax_breakdown"][0]["taxability_reason"] == "not_collecting"
    assert "created" not in made
    assert "line_items" not in made
    read = stripe.get(f"/tax/calculations/{made['id']}", params={"expand[]": "line_items"}).json()
    assert {name: value for name, value in read.items() if name != "line_items"} == made
    assert [line["amount"] for line in read["line_items"]["data"]] == [1200, 300]


def test_a_calculation_needs_lines_and_an_address(post):
    assert post("/tax/calculations", 400, currency="eur", **TO_GERMANY)["param"] == "line_items"
    assert post("/tax/calculations", 400, currency="eur", **LINES)["param"] == "customer_details"


def test_the_lines_of_a_calculation_are_listed_page_by_page(post, reader):
    made = calculation(post)
    path = f"/tax/calculations/{made['id']}/line_items"
    assert [line["reference"] for line in reader.all(path, limit=1)] == ["L1", "L2"]
    assert reader.page(path, limit=1)["has_more"] is True


def test_a_calculation_is_committed_once_by_its_reference(post, stripe):
    made = calculation(post)
    sent = {"calculation": made["id"], "reference": "order 1", "metadata[shop]": "north"}
    committed = post("/tax/transactions/create_from_calculation", **sent)
    assert committed["type"] == "transaction"
    assert committed["metadata"] == {"shop": "north"}
    assert stripe.get(f"/tax/transactions/{committed['id']}").json() == committed
    assert post("/tax/transactions/create_from_calculation", 400, **sent)["param"] == "reference"
    unknown = {"calculation": "taxcalc_none", "reference": "order 2"}
    assert post("/tax/transactions/create_from_calculation", 400, **unknown)["code"] == "resource_missing"


def test_a_reversal_takes_all_back_or_a_part(post, reader):
    made = calculation(post)
    committed = post("/tax/transactions/create_from_calculation", calculation=made["id"], reference="order 3")
    full = {"mode": "full", "original_transaction": committed["id"], "reference": "refund 3"}
    reversal = post("/tax/transactions/create_reversal", **full)
    assert reversal["reversal"] == {"original_transaction": committed["id"]}
    lines = reader.all(f"/tax/transactions/{reversal['id']}/line_items")
    assert [line["amount"] for line in lines] == [-1200, -300]
    partial = {**full, "mode": "partial", "reference": "refund 4"}
    assert post("/tax/transactions/create_reversal", 400, **partial)["param"] == "flat_amount"
    part = post("/tax/transactions/create_reversal", **partial, flat_amount=-100)
    assert [line["amount"] for line in reader.all(f"/tax/transactions/{part['id']}/line_items")] == [-100]


def test_an_association_is_that_of_a_payment_intent_with_a_calculation(post, reader):
    made = calculation(post)
    intent = post(
        "/payment_intents", amount=1500, currency="eur", **{"hooks[inputs][tax][calculation]": made["id"]}
    )
    found = reader.page("/tax/associations/find", payment_intent=intent["id"])
    assert (found["object"], found["calculation"]) == ("tax.association", made["id"])
    without = post("/payment_intents", amount=1500, currency="eur")
    assert (
        reader.error("/tax/associations/find", 404, payment_intent=without["id"])["code"]
        == "resource_missing"
    )
    assert reader.error("/tax/associations/find")["param"] == "payment_intent"


def test_tokens_have_the_prefix_of_what_they_stand_for(post, stripe):
    card = {"card[number]": "4242424242424242", "card[exp_month]": 8, "card[exp_year]": 2034}
    bank = {
        "bank_account[country]": "US",
        "bank_account[currency]": "usd",
        "bank_account[account_number]": "000123456789",
        "bank_account[routing_number]": "110000000",
    }
    for prefix, inner, sent in (("tok_", "card", card), ("btok_", "bank_account", bank)):
        token = post("/tokens", **sent)
        assert token["id"].startswith(prefix)
        assert token[inner]["object"] == inner
        assert "account_number" not in token[inner]
        assert "number" not in token[inner]
        assert stripe.get(f"/tokens/{token['id']}").json() == token


def test_mandates_are_those_that_setup_intents_and_charges_name(reader, stripe):
    named = {item["mandate"] for item in reader.all("/setup_intents") if item["mandate"]}
    for charge in reader.all("/charges"):
        details = charge["payment_method_details"]
        if mandate := details[details["type"]].get("mandate"):
            named.add(mandate)
    assert named
    for identifier in list(named)[:5]:
        mandate = stripe.get(f"/mandates/{identifier}").json()
        assert (mandate["id"], mandate["object"]) == (identifier, "mandate")
        assert mandate["payment_method_details"]["type"] in mandate["payment_method_details"]
    assert reader.error("/mandates/mandate_none", 404)["code"] == "resource_missing"
    assert stripe.get("/mandates").status_code == 404


def test_features_are_kept_as_they_were_requested(reader, post):
    first, second = reader.page("/treasury/financial_accounts", limit=2)["data"]
    path = f"/treasury/financial_accounts/{first['id']}/features"
    assert reader.page(path)["outbound_payments"]["ach"]["status"] == "active"
    changed = post(path, **{"outbound_payments[ach][requested]": "false"})
    assert changed["outbound_payments"]["ach"]["requested"] is False
    assert changed["outbound_payments"]["us_domestic_wire"]["requested"] is True
    assert reader.page(path) == changed
    other = reader.page(f"/treasury/financial_accounts/{second['id']}/features")
    assert other["outbound_payments"]["ach"]["requested"] is True
    assert reader.error("/treasury/financial_accounts/fa_none/features", 404)["code"] == "resource_missing"


def test_a_source_has_no_notifications_of_its_mandate(post, reader):
    source = post("/sources", type="sepa_debit", currency="eur")
    path = f"/sources/{source['id']}/mandate_notifications/srcmn_none"
    assert reader.error(path, 404)["param"] == "mandate_notification"
    assert reader.error("/sources/src_none/mandate_notifications/srcmn_none", 404)["param"] == "source"


def test_sources_and_external_accounts_say_what_they_are(reader):
    for customer in reader.all("/customers")[:20]:
        path = f"/customers/{customer['id']}/sources"
        kinds = [item["object"] for item in reader.all(path)]
        assert set(kinds) <= {"card", "bank_account"}
        assert len(reader.all(path, object="card")) == kinds.count("card")
