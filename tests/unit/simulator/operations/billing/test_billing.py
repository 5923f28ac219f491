"""Balances, tax IDs, credit grants, meters, the portal, and the events of billing (https://docs.stripe.com/billing)."""

from support.told_states import all_events, silent_changes
from support.waiting import wait_until


def test_a_balance_is_the_sum_of_its_transactions(shop, customer):
    first = shop.post(f"/customers/{customer}/balance_transactions", amount=-500, currency="usd")
    assert (first["type"], first["ending_balance"], first["customer"]) == ("adjustment", -500, customer)
    shop.post(f"/customers/{customer}", balance=-200)
    second, _ = shop.get(f"/customers/{customer}/balance_transactions")["data"]
    assert (second["amount"], second["ending_balance"]) == (300, -200)


def test_tax_ids_are_checked_roughly(shop, customer):
    tax_id = shop.post(f"/customers/{customer}/tax_ids", type="eu_vat", value="DE123456789")
    assert (tax_id["country"], tax_id["verification"]["status"]) == ("DE", "pending")
    refused = shop.refused(f"/customers/{customer}/tax_ids", type="eu_vat", value="??")
    assert refused["code"] == "tax_id_invalid"


def test_credit_grants_expire_and_are_voided(shop, customer):
    data = {
        "customer": customer,
        "amount[type]": "monetary",
        "amount[monetary][value]": 1000,
        "amount[monetary][currency]": "usd",
        "applicability_config[scope][price_type]": "metered",
        "category": "paid",
    }
    credit_grant = shop.post("/billing/credit_grants", **data)
    assert credit_grant["amount"] == {"monetary": {"currency": "usd", "value": 1000}, "type": "monetary"}
    path = f"/billing/credit_grants/{credit_grant['id']}"
    assert shop.post(f"{path}/void")["voided_at"] is not None
    assert "voided" in shop.refused(f"{path}/expire")["message"]
    other = shop.post("/billing/credit_grants", **data)["id"]
    assert shop.post(f"/billing/credit_grants/{other}/expire")["expires_at"] is not None
    assert "expired" in shop.refused(f"/billing/credit_grants/{other}/void")["message"]


def test_meter_events_need_an_active_meter(shop, customer):
    data = {"event_name": "calls", "payload[value]": 3, "payload[stripe_customer_id]": customer}
    assert "No active meter" in shop.refused("/billing/meter_events", **data)["message"]
    meter = shop.post(
        "/billing/meters",
        **{"display_name": "Calls", "event_name": "calls", "default_aggregation[formula]": "sum"},
    )
    assert shop.post("/billing/meter_events", **data)["payload"]["value"] == "3"
    assert shop.refused("/billing/meter_events", event_name="calls", **{"payload[value]": 3})["param"] == (
        "payload[stripe_customer_id]"
    )
    shop.post(f"/billing/meters/{meter['id']}/deactivate")
    shop.refused("/billing/meter_events", **data)


def test_a_portal_session_has_an_address(shop, customer):
    configuration = shop.post(
        "/billing_portal/configurations", **{"features[invoice_history][enabled]": "true"}
    )
    assert configuration["features"]["invoice_history"] == {"enabled": True}
    assert (configuration["active"], configuration["is_default"]) == (True, False)
    session = shop.post(
        "/billing_portal/sessions",
        customer=customer,
        configuration=configuration["id"],
        return_url="https://example.com/",
    )
    assert session["url"].startswith("https://billing.stripe.com/p/session/")
    assert (session["customer"], session["configuration"]) == (customer, configuration["id"])
    assert (
        shop.refused("/billing_portal/sessions", customer="cus_x")["message"] == "No such customer: 'cus_x'"
    )
    shop.post(f"/billing_portal/configurations/{configuration['id']}", active="false")
    inactive = shop.refused("/billing_portal/sessions", customer=customer, configuration=configuration["id"])
    assert inactive["param"] == "configuration"


def test_events_tell_of_every_change(shop, clock, advance):
    coupon = shop.post("/coupons", percent_off=20, duration="repeating", duration_in_months=2)["id"]
    code = shop.post("/promotion_codes", **{"promotion[type]": "coupon", "promotion[coupon]": coupon})["id"]
    customer, price = shop.customer(test_clock=clock), shop.price()
    subscription = shop.subscription(customer, price, **{"discounts[0][promotion_code]": code})
    item = {"items[0][id]": subscription["items"]["data"][0]["id"]}
    advance(40)
    path = f"/subscriptions/{subscription['id']}"
    shop.post(path, **item, **{"items[0][quantity]": 5, "proration_behavior": "always_invoice"})
    new = shop.post("/subscription_items", subscription=subscription["id"], price=shop.price(900))
    shop.delete(f"/subscription_items/{new['id']}")
    shop.post(f"{path}/pause")
    shop.post(f"{path}/resume")
    invoice = shop.post(f"/invoices/{shop.invoice(customer, 700)['id']}/pay")
    shop.post("/credit_notes", invoice=invoice["id"], amount=700, credit_amount=300, refund_amount=400)
    draft = shop.invoice(customer, 700)
    line = draft["lines"]["data"][0]["id"]
    shop.post(f"/invoices/{draft['id']}/lines/{line}", amount=900)
    shop.post(f"/invoices/{draft['id']}/finalize")
    shop.post(f"/invoices/{draft['id']}/void")
    schedule = shop.post("/subscription_schedules", from_subscription=subscription["id"])
    shop.post(f"/subscription_schedules/{schedule['id']}/release")
    waiting = shop.subscription(shop.customer(None), price, payment_behavior="default_incomplete")
    shop.delete(f"/subscriptions/{waiting['id']}")
    shop.delete(path, prorate="true", invoice_now="true")
    wait_until(lambda: not list(silent_changes(shop.client)))  # a charge is settled a moment later
    for event in all_events(shop.client):
        if event["type"].endswith(".updated"):
            assert event["data"]["previous_attributes"], event["type"]


def test_an_update_of_a_generated_object_changes_nothing_else(shop, reader):
    lists = {
        "subscriptions": {"status": "active"}, "invoices": {"status": "draft"}, "quotes": {"status": "draft"},
        "subscription_schedules": {}, "invoiceitems": {"pending": "true"}, "coupons": {},
        "promotion_codes": {},
    }  # fmt: skip
    for name, params in lists.items():
        for before in reader.page(f"/{name}", limit=20, **params)["data"]:
            updated = shop.post(f"/{name}/{before['id']}", **{"metadata[x]": "1"})
            assert updated == before | {"metadata": before["metadata"] | {"x": "1"}}, name
