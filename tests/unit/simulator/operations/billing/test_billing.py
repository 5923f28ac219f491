"""Coupons, quotes, schedules, test clocks, meters, the portal (https://docs.stripe.com/billing)."""

import pytest

DAY = 86_400
START = 1_800_000_000


@pytest.fixture
def customer(shop):
    return shop.customer()


@pytest.fixture
def clock(shop):
    return shop.post("/test_helpers/test_clocks", frozen_time=START)["id"]


@pytest.fixture
def advance(shop, clock):
    def advanced(days):
        path = f"/test_helpers/test_clocks/{clock}"
        answer = shop.post(f"{path}/advance", frozen_time=START + int(days * DAY))
        assert answer["status"] == "advancing"
        assert shop.get(path)["status"] == "ready"
        assert shop.get(path)["frozen_time"] == START + int(days * DAY)

    return advanced


def invoices(shop, subscription):
    """Reason, status and total of a subscription's invoices, oldest first."""
    invoices_ = shop.get("/invoices", subscription=subscription, limit=100)["data"][::-1]
    return [(invoice["billing_reason"], invoice["status"], invoice["total"]) for invoice in invoices_]


# Coupons and promotion codes


@pytest.mark.parametrize(
    ("data", "param"),
    [
        ({"percent_off": 101}, "percent_off"),
        ({"amount_off": 100}, "currency"),
        ({"amount_off": 0, "currency": "usd"}, "amount_off"),
        ({"percent_off": 10, "duration": "repeating"}, "duration_in_months"),
        ({"percent_off": 10, "duration": "once", "duration_in_months": 2}, "duration_in_months"),
        ({"percent_off": 10, "redeem_by": 5}, "redeem_by"),
    ],
)
def test_coupons_that_cannot_be(shop, data, param):
    assert shop.refused("/coupons", **data)["param"] == param


def test_a_coupon_takes_off_one_of_two(shop):
    coupon = shop.post("/coupons", id="AUTUMN", percent_off="12.5")
    assert (coupon["id"], coupon["percent_off"], coupon["duration"], coupon["valid"]) == (
        "AUTUMN",
        12.5,
        "once",
        True,
    )
    shop.refused("/coupons")
    shop.refused("/coupons", percent_off=5, amount_off=5, currency="usd")
    assert shop.delete("/coupons/AUTUMN") == {"id": "AUTUMN", "object": "coupon", "deleted": True}


def test_a_coupon_is_used_up(shop, customer):
    coupon = shop.post("/coupons", percent_off=10, max_redemptions=1)["id"]
    data = {"customer": customer, "items[0][price]": shop.price(), "discounts[0][coupon]": coupon}
    shop.post("/subscriptions", **data)
    redeemed = shop.get(f"/coupons/{coupon}")
    assert (redeemed["times_redeemed"], redeemed["valid"]) == (1, False)
    refused = shop.refused("/subscriptions", **data)
    assert refused["message"] == f"Coupon {coupon} is used up and cannot be applied."
    refused = shop.refused("/subscriptions", **data | {"discounts[0][coupon]": "nope"})
    assert refused["message"] == "No such coupon: 'nope'"


def test_promotion_codes_are_unique_while_they_are_active(shop, customer):
    coupon = shop.post("/coupons", percent_off=10)["id"]
    data = {"promotion[type]": "coupon", "promotion[coupon]": coupon, "code": "SUNNY"}
    promotion_code = shop.post("/promotion_codes", **data)
    assert (promotion_code["active"], promotion_code["promotion"]) == (
        True,
        {"coupon": coupon, "type": "coupon"},
    )
    refused = shop.refused("/promotion_codes", **data)
    assert refused["message"] == "An active promotion code with `code: SUNNY` already exists."
    shop.post(f"/promotion_codes/{promotion_code['id']}", active="false")
    second = shop.post("/promotion_codes", **data)
    assert shop.refused(f"/promotion_codes/{promotion_code['id']}", active="true")["param"] == "code"
    bought = shop.subscription(customer, shop.price(), **{"discounts[0][promotion_code]": second["id"]})
    assert shop.get(f"/invoices/{bought['latest_invoice']}")["total"] == 1800
    assert shop.get(f"/promotion_codes/{second['id']}")["times_redeemed"] == 1
    refused = shop.refused(
        "/subscriptions",
        **{
            "customer": customer,
            "items[0][price]": shop.price(),
            "discounts[0][promotion_code]": promotion_code["id"],
        },
    )
    assert refused["param"] == "discounts[0][promotion_code]"


# Quotes


def test_a_quote_becomes_a_subscription(shop, customer):
    quote = shop.post(
        "/quotes",
        **{
            "customer": customer,
            "line_items[0][price]": shop.price(),
            "line_items[0][quantity]": 3,
            "line_items[1][price]": shop.price(5000, interval=None),
        },
    )
    path = f"/quotes/{quote['id']}"
    assert (quote["status"], quote["amount_total"], quote["number"]) == ("draft", 11_000, None)
    assert quote["computed"]["recurring"]["amount_total"] == 6000
    assert "`open`" in shop.refused(f"{path}/accept")["message"]
    assert [entry["amount_total"] for entry in shop.get(f"{path}/line_items")["data"]] == [5000, 6000]
    quote = shop.post(f"{path}/finalize")
    assert (quote["status"], quote["number"].startswith("QT-")) == ("open", True)
    quote = shop.post(f"{path}/accept")
    subscription = shop.get(f"/subscriptions/{quote['subscription']}")
    assert (quote["status"], subscription["status"]) == ("accepted", "active")
    assert shop.get(f"/invoices/{quote['invoice']}")["total"] == 11_000
    assert "`accepted`" in shop.refused(f"{path}/cancel")["message"]
    assert [entry for entry in shop.types() if entry.startswith("quote.")] == [
        "quote.created", "quote.finalized", "quote.accepted",
    ]  # fmt: skip


def test_a_quote_for_things_bought_once_becomes_an_invoice(shop, customer):
    quote = shop.post(
        "/quotes", **{"customer": customer, "line_items[0][price]": shop.price(5000, interval=None)}
    )
    shop.post(f"/quotes/{quote['id']}/finalize")
    quote = shop.post(f"/quotes/{quote['id']}/accept")
    invoice = shop.get(f"/invoices/{quote['invoice']}")
    assert (invoice["status"], invoice["total"], quote["subscription"]) == ("draft", 5000, None)
    assert invoice["parent"]["quote_details"]["quote"] == quote["id"]


def test_a_quote_can_be_revised(shop, customer):
    first = shop.post("/quotes", **{"customer": customer, "line_items[0][price]": shop.price()})
    second = shop.post("/quotes", **{"from_quote[quote]": first["id"], "from_quote[is_revision]": "true"})
    assert (second["customer"], second["amount_total"]) == (customer, first["amount_total"])
    assert second["from_quote"] == {"is_revision": True, "quote": first["id"]}


def test_quotes_that_cannot_go_on(shop, customer):
    quote = shop.post("/quotes", **{"line_items[0][price]": shop.price()})
    path = f"/quotes/{quote['id']}"
    assert shop.refused(f"{path}/finalize")["param"] == "customer"
    assert shop.post(path, customer=customer)["customer"] == customer
    assert shop.post(f"{path}/cancel")["status"] == "canceled"
    assert "draft" in shop.refused(path, description="x")["message"]
    assert "`canceled`" in shop.refused(f"{path}/finalize")["message"]


# Schedules and test clocks


def test_a_clock_renews_what_lives_by_it(shop, clock, advance):
    customer = shop.customer(test_clock=clock)
    subscription = shop.subscription(customer, shop.price(), trial_period_days=14)
    assert (subscription["created"], subscription["test_clock"]) == (START, clock)
    advance(20)
    assert shop.get(f"/subscriptions/{subscription['id']}")["status"] == "active"
    assert invoices(shop, subscription["id"]) == [
        ("subscription_create", "paid", 0), ("subscription_cycle", "paid", 2000),
    ]  # fmt: skip
    advance(60)
    assert invoices(shop, subscription["id"])[2:] == [("subscription_cycle", "paid", 2000)]
    (item,) = shop.get(f"/subscriptions/{subscription['id']}")["items"]["data"]
    assert item["current_period_start"] < START + 60 * DAY < item["current_period_end"]
    refused = shop.refused(f"/test_helpers/test_clocks/{clock}/advance", frozen_time=START)
    assert refused["param"] == "frozen_time"


def test_a_renewal_that_cannot_be_charged_is_past_due(shop, clock, advance):
    customer = shop.customer("chargeCustomerFail", test_clock=clock)
    subscription = shop.subscription(customer, shop.price(), trial_period_days=1)
    advance(2)
    subscription = shop.get(f"/subscriptions/{subscription['id']}")
    assert subscription["status"] == "past_due"
    good = shop.post("/payment_methods/pm_card_visa/attach", customer=customer)["id"]
    shop.post(f"/invoices/{subscription['latest_invoice']}/pay", payment_method=good)
    assert shop.get(f"/subscriptions/{subscription['id']}")["status"] == "active"


def test_a_cancellation_comes_due(shop, clock, advance):
    customer = shop.customer(test_clock=clock)
    subscription = shop.subscription(customer, shop.price(), cancel_at_period_end="true")
    advance(40)
    subscription = shop.get(f"/subscriptions/{subscription['id']}")
    assert (subscription["status"], subscription["ended_at"]) == ("canceled", subscription["cancel_at"])
    assert len(invoices(shop, subscription["id"])) == 1


def test_a_trial_without_a_card_ends_as_its_settings_say(shop, clock, advance):
    customer, price = shop.customer(None, test_clock=clock), shop.price()
    name = "trial_settings[end_behavior][missing_payment_method]"
    subscriptions = [
        shop.subscription(customer, price, trial_period_days=1, **{name: what})["id"]
        for what in ("pause", "cancel", "create_invoice")
    ]
    advance(2)
    states = [shop.get(f"/subscriptions/{subscription_id}")["status"] for subscription_id in subscriptions]
    assert states == ["paused", "canceled", "past_due"]


def test_with_a_clock_go_its_customers(shop, clock):
    customer = shop.customer(test_clock=clock)
    subscription = shop.subscription(customer, shop.price())
    shop.delete(f"/test_helpers/test_clocks/{clock}")
    assert shop.get(f"/customers/{customer}")["deleted"] is True
    assert shop.get(f"/subscriptions/{subscription['id']}")["status"] == "canceled"


def test_a_schedule_follows_its_phases(shop, clock, advance):
    customer, price = shop.customer(test_clock=clock), shop.price()
    phases = {
        "phases[0][items][0][price]": price,
        "phases[0][duration][interval]": "month",
        "phases[1][items][0][price]": price,
        "phases[1][items][0][quantity]": 4,
        "phases[1][duration][interval]": "month",
        "end_behavior": "cancel",
    }
    subscription_schedule = shop.post(
        "/subscription_schedules", customer=customer, start_date="now", **phases
    )
    assert (subscription_schedule["status"], len(subscription_schedule["phases"])) == ("active", 2)
    path = f"/subscriptions/{subscription_schedule['subscription']}"
    assert shop.get(path)["schedule"] == subscription_schedule["id"]
    assert "subscription schedule" in shop.refused(path, cancel_at_period_end="true")["message"]
    advance(45)
    assert shop.get(path)["items"]["data"][0]["quantity"] == 4
    assert invoices(shop, subscription_schedule["subscription"])[-1] == ("subscription_cycle", "paid", 8000)
    advance(90)
    assert shop.get(f"/subscription_schedules/{subscription_schedule['id']}")["status"] == "completed"
    assert shop.get(path)["status"] == "canceled"


def test_a_schedule_that_starts_later(shop, clock, advance):
    customer = shop.customer(test_clock=clock)
    subscription_schedule = shop.post(
        "/subscription_schedules",
        **{
            "customer": customer,
            "start_date": START + 5 * DAY,
            "phases[0][items][0][price]": shop.price(),
            "phases[0][duration][interval]": "month",
        },
    )
    assert (subscription_schedule["status"], subscription_schedule["subscription"]) == ("not_started", None)
    advance(6)
    subscription_schedule = shop.get(f"/subscription_schedules/{subscription_schedule['id']}")
    assert (subscription_schedule["status"], subscription_schedule["current_phase"]["start_date"]) == (
        "active",
        START + 5 * DAY,
    )


def test_schedules_are_released_and_canceled(shop, customer):
    subscription = shop.subscription(customer, shop.price())
    subscription_schedule = shop.post("/subscription_schedules", from_subscription=subscription["id"])
    assert (subscription_schedule["status"], subscription_schedule["subscription"]) == (
        "active",
        subscription["id"],
    )
    twice = shop.refused("/subscription_schedules", from_subscription=subscription["id"])
    assert "already attached to a schedule" in twice["message"]
    path = f"/subscription_schedules/{subscription_schedule['id']}"
    subscription_schedule = shop.post(f"{path}/release")
    assert (subscription_schedule["status"], subscription_schedule["released_subscription"]) == (
        "released",
        subscription["id"],
    )
    assert shop.get(f"/subscriptions/{subscription['id']}")["schedule"] is None
    for verb in ("release", "cancel"):
        assert "`released`" in shop.refused(f"{path}/{verb}")["message"]
    second = shop.post("/subscription_schedules", from_subscription=subscription["id"])
    assert shop.post(f"/subscription_schedules/{second['id']}/cancel")["status"] == "canceled"
    assert shop.get(f"/subscriptions/{subscription['id']}")["status"] == "canceled"
    both = shop.refused("/subscription_schedules", customer=customer, from_subscription=subscription["id"])
    assert "only specify one of" in both["message"]


# The customer's balance, tax ids, credit grants, meters, the portal


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


def latest_of(events):
    """The last state that events told, by id, with the path to ask for it."""
    paths = {
        "customer": "customers", "subscription": "subscriptions", "invoice": "invoices", "coupon": "coupons",
        "promotion_code": "promotion_codes", "subscription_schedule": "subscription_schedules",
        "payment_intent": "payment_intents", "charge": "charges", "credit_note": "credit_notes",
        "price": "prices", "product": "products", "payment_method": "payment_methods",
    }  # fmt: skip
    told = {}
    for event in events:  # oldest first
        latest = event["data"]["object"]
        if latest["object"] in paths:
            told[f"/{paths[latest['object']]}/{latest['id']}"] = latest
    return told


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
    events = []
    while True:
        after = {"starting_after": events[-1]["id"]} if events else {}
        page = shop.get("/events", limit=100, **after)
        events += page["data"]
        if not page["has_more"]:
            break
    told = latest_of(events[::-1])
    assert len(told) > 25
    differing = {}
    for one, last in told.items():
        now = shop.get(one)
        if now != last:
            differing[one] = [name for name in now if now[name] != last.get(name)]
    assert differing == {}
    for event in events:
        if event["type"].endswith(".updated"):
            assert event["data"]["previous_attributes"], event["type"]


def test_prices_described_on_the_spot_are_good_for_what_they_were_described(shop, customer):
    product = shop.post("/products", name="Tea")["id"]

    def described(param, recurring=True):
        fields = {"currency": "usd", "product": product, "unit_amount": 800}
        data = {f"{param}[price_data][{name}]": value for name, value in fields.items()}
        return data | ({f"{param}[price_data][recurring][interval]": "month"} if recurring else {})

    quote = shop.post(
        "/quotes",
        **{"customer": customer, **described("line_items[0]"), **described("line_items[1]", recurring=False)},
    )
    shop.post(f"/quotes/{quote['id']}/finalize")
    new_quote = shop.post(f"/quotes/{quote['id']}/accept")
    assert shop.get(f"/invoices/{new_quote['invoice']}")["total"] == 1600
    schedule = shop.post(
        "/subscription_schedules",
        **{
            "customer": customer,
            "start_date": "now",
            "phases[0][duration][interval]": "month",
            **described("phases[0][items][0]"),
        },
    )
    item = shop.get(f"/subscriptions/{schedule['subscription']}")["items"]["data"][0]
    assert (item["price"]["unit_amount"], item["price"]["active"]) == (800, False)
    again = shop.refused("/subscriptions", **{"customer": customer, "items[0][price]": item["price"]["id"]})
    assert "inactive" in again["message"]
    bought = shop.subscription(customer, shop.price(), **described("add_invoice_items[0]", recurring=False))
    assert shop.get(f"/invoices/{bought['latest_invoice']}")["total"] == 2800


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
