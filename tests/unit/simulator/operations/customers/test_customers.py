"""Customers with their payment methods, sources and settings (https://docs.stripe.com/api/customers)."""


def test_a_new_customer_has_numbers_for_its_invoices(post):
    customer = post("/customers")
    assert (len(customer["invoice_prefix"]), customer["next_invoice_sequence"]) == (8, 1)
    assert customer["invoice_settings"]["default_payment_method"] is None


def test_an_email_address_must_be_one(post):
    error = post("/customers", 400, email="not an address")
    assert (error["code"], error["message"]) == ("email_invalid", "Invalid email address: not an address")
    customer = post("/customers", email="a@example.com")
    assert post(f"/customers/{customer['id']}", 400, email="b@")["param"] == "email"


def test_created_with_a_payment_method_and_tax_ids(post, stripe):
    customer = post(
        "/customers",
        **{
            "payment_method": "pm_card_visa",
            "invoice_settings[default_payment_method]": "pm_card_visa",
            "tax_id_data[0][type]": "eu_vat",
            "tax_id_data[0][value]": "DE123456789",
        },
    )
    method = customer["invoice_settings"]["default_payment_method"]
    assert stripe.get(f"/payment_methods/{method}").json()["customer"] == customer["id"]
    assert stripe.get(f"/customers/{customer['id']}/payment_methods/{method}").json()["id"] == method
    (tax_id,) = stripe.get(f"/customers/{customer['id']}/tax_ids").json()["data"]
    assert (tax_id["value"], tax_id["customer"]) == ("DE123456789", customer["id"])
    declined = post("/customers", 402, payment_method="pm_card_chargeDeclined")
    assert declined["code"] == "card_declined"


def test_the_default_payment_method_is_the_customers_own(post):
    one, other = post("/customers")["id"], post("/customers")["id"]
    method = post("/payment_methods/pm_card_visa/attach", customer=one)["id"]
    default = {"invoice_settings[default_payment_method]": method}
    assert "does not have a payment method" in post(f"/customers/{other}", 400, **default)["message"]
    assert post(f"/customers/{one}", **default)["invoice_settings"]["default_payment_method"] == method


def test_sources_and_the_default_one(post, stripe):
    customer = post("/customers")["id"]
    path = f"/customers/{customer}/sources"
    first = post(path, source="btok_us_verified")
    bank = post(path, source="btok_us_verified")
    assert (bank["object"], bank["status"], bank["customer"]) == ("bank_account", "new", customer)
    assert stripe.get(f"/customers/{customer}").json()["default_source"] == first["id"]
    assert {source["id"] for source in stripe.get(path).json()["data"]} == {first["id"], bank["id"]}
    wrong = {"amounts[0]": "1", "amounts[1]": "2"}
    assert post(f"{path}/{bank['id']}/verify", 402, **wrong)["code"] == "bank_account_verification_failed"
    right = {"amounts[0]": "32", "amounts[1]": "45"}
    assert post(f"{path}/{bank['id']}/verify", **right)["status"] == "verified"
    charged = post("/charges", amount="500", currency="usd", customer=customer)
    assert charged["customer"] == customer
    assert stripe.delete(f"{path}/{first['id']}").json()["deleted"] is True
    assert stripe.get(f"/customers/{customer}").json()["default_source"] is None
    assert post(path, 400, source="tok_none")["message"] == "No such token: 'tok_none'"
    for refused in (post(path, 400, source="tok_visa"), post("/customers", 400, source="tok_visa")):
        assert refused["message"].startswith("Card Token usage")


def test_the_cash_balance_has_settings(post, stripe):
    customer = post("/customers")["id"]
    path = f"/customers/{customer}/cash_balance"
    assert stripe.get(path).json()["settings"]["reconciliation_mode"] == "automatic"
    changed = post(path, **{"settings[reconciliation_mode]": "manual"})
    assert (changed["object"], changed["settings"]["reconciliation_mode"]) == ("cash_balance", "manual")
    assert stripe.get("/customers/cus_x/cash_balance").status_code == 404


def test_a_new_connected_account_begins_empty(post, stripe):
    account = post("/accounts", type="express", **{"capabilities[transfers][requested]": "true"})
    assert (account["country"], account["default_currency"], account["type"]) == ("US", "usd", "express")
    assert (account["charges_enabled"], account["capabilities"]) == (False, {"transfers": "inactive"})
    headers = {"Stripe-Account": account["id"]}
    assert stripe.get("/customers", headers=headers).json()["data"] == []
    theirs = stripe.post("/customers", headers=headers).json()["id"]
    assert [customer["id"] for customer in stripe.get("/customers", headers=headers).json()["data"]] == [
        theirs
    ]
    bank = post(f"/accounts/{account['id']}/external_accounts", external_account="btok_us")
    assert (bank["object"], bank["account"]) == ("bank_account", account["id"])
    rejected = post(f"/accounts/{account['id']}/reject", reason="fraud_other")
    assert rejected["requirements"]["disabled_reason"] == "rejected.fraud"
    assert stripe.delete(f"/accounts/{account['id']}").json()["deleted"] is True
    assert stripe.get("/customers", headers=headers).status_code == 403
