"""Subscriptions: how they begin, change and end (https://docs.stripe.com/billing/subscriptions)."""

import time

import pytest

from support.shop import DAY

NO_METHOD = "This customer has no attached payment source or default payment method."


@pytest.fixture
def price(shop):
    return shop.price()


def test_a_subscription_is_charged_at_once(shop, customer, price):
    subscription = shop.subscription(
        customer, price, **{"items[0][quantity]": 3, "expand[]": "latest_invoice"}
    )
    invoice = subscription["latest_invoice"]
    assert subscription["status"] == "active"
    assert (invoice["status"], invoice["billing_reason"], invoice["total"]) == (
        "paid", "subscription_create", 6000,
    )  # fmt: skip
    (line,), (item,) = invoice["lines"]["data"], subscription["items"]["data"]
    assert line["description"] == "3 \N{MULTIPLICATION SIGN} Tea (at $20.00 / month)"
    assert line["parent"]["subscription_item_details"]["subscription_item"] == item["id"]
    assert line["period"] == {"start": item["current_period_start"], "end": item["current_period_end"]}
    assert invoice["parent"]["subscription_details"]["subscription"] == subscription["id"]
    assert "customer.subscription.created" in shop.types()
    assert shop.get("/invoices", subscription=subscription["id"])["data"][0]["id"] == invoice["id"]


def test_it_needs_something_to_charge(shop, price):
    poor = shop.customer(None)
    refused = shop.refused("/subscriptions", **{"customer": poor, "items[0][price]": price})
    assert refused["code"] == "resource_missing"
    assert refused["message"].startswith(NO_METHOD)
    assert shop.get("/subscriptions", customer=poor, status="all")["data"] == []
    free = shop.price(0)
    assert shop.subscription(poor, free)["status"] == "active"
    assert shop.subscription(poor, price, trial_period_days=7)["status"] == "trialing"
    sent = shop.subscription(poor, price, collection_method="send_invoice", days_until_due=14)
    assert sent["status"] == "active"
    assert shop.get(f"/invoices/{sent['latest_invoice']}")["status"] == "draft"


@pytest.mark.parametrize(
    ("data", "param", "message"),
    [
        ({}, "items", "Missing required param: items."),
        ({"items[0][quantity]": "2"}, "items[0][price]", "Missing required param: items[0][price]."),
        ({"items[0][price]": "price_x"}, "items[0][price]", "No such price: 'price_x'"),
    ],
)
def test_items_that_cannot_be(shop, customer, data, param, message):
    refused = shop.refused("/subscriptions", customer=customer, **data)
    assert (refused["param"], refused["message"]) == (param, message)


def test_prices_that_do_not_fit(shop, customer, price):
    once = shop.price(interval=None)
    refused = shop.refused("/subscriptions", **{"customer": customer, "items[0][price]": once})
    assert "`type=one_time`" in refused["message"]
    euro = shop.price(currency="eur")
    refused = shop.refused(
        "/subscriptions", **{"customer": customer, "items[0][price]": price, "items[1][price]": euro}
    )
    assert "only supports `eur`" in refused["message"]
    shop.post(f"/prices/{price}", active="false")
    refused = shop.refused("/subscriptions", **{"customer": customer, "items[0][price]": price})
    assert "inactive" in refused["message"]


def test_a_price_can_be_described(shop, customer):
    product = shop.post("/products", name="Seats")["id"]
    subscription = shop.post(
        "/subscriptions",
        **{
            "customer": customer,
            "items[0][price_data][currency]": "usd",
            "items[0][price_data][product]": product,
            "items[0][price_data][unit_amount]": 700,
            "items[0][price_data][recurring][interval]": "week",
        },
    )
    (item,) = subscription["items"]["data"]
    assert (item["price"]["unit_amount"], item["price"]["product"]) == (700, product)
    assert item["current_period_end"] - item["current_period_start"] == 7 * DAY


def test_a_payment_that_fails_leaves_it_incomplete(shop, price):
    customer = shop.customer("chargeCustomerFail")
    subscription = shop.subscription(customer, price)
    assert subscription["status"] == "incomplete"
    assert shop.get(f"/invoices/{subscription['latest_invoice']}")["status"] == "open"
    good = shop.post("/payment_methods/pm_card_visa/attach", customer=customer)["id"]
    shop.post(f"/invoices/{subscription['latest_invoice']}/pay", payment_method=good)
    assert shop.get(f"/subscriptions/{subscription['id']}")["status"] == "active"
    before = len(shop.get("/subscriptions", customer=customer, status="all")["data"])
    refused = shop.refused(
        "/subscriptions", 402,
        **{"customer": customer, "items[0][price]": price, "payment_behavior": "error_if_incomplete"},
    )  # fmt: skip
    assert refused["code"] == "card_declined"
    assert len(shop.get("/subscriptions", customer=customer, status="all")["data"]) == before


def test_default_incomplete_waits_for_the_customer(shop, price):
    subscription = shop.subscription(
        shop.customer(None),
        price,
        **{"payment_behavior": "default_incomplete", "expand[]": "latest_invoice.confirmation_secret"},
    )
    secret = subscription["latest_invoice"]["confirmation_secret"]["client_secret"]
    assert (subscription["status"], subscription["latest_invoice"]["status"]) == ("incomplete", "open")
    shop.post(f"/payment_intents/{secret.partition('_secret')[0]}/confirm", payment_method="pm_card_visa")
    assert shop.get(f"/subscriptions/{subscription['id']}")["status"] == "active"


def test_canceling_or_voiding_the_invoice_expires_an_incomplete_subscription(shop, price):
    first, second = (
        shop.subscription(shop.customer(None), price, payment_behavior="default_incomplete") for _ in range(2)
    )
    assert shop.delete(f"/subscriptions/{first['id']}")["status"] == "incomplete_expired"
    assert shop.get(f"/invoices/{first['latest_invoice']}")["status"] == "void"
    shop.post(f"/invoices/{second['latest_invoice']}/void")
    assert shop.get(f"/subscriptions/{second['id']}")["status"] == "incomplete_expired"


def test_a_trial_costs_nothing(shop, price):
    subscription = shop.subscription(
        shop.customer(None), price, **{"trial_period_days": 14, "expand[]": "latest_invoice"}
    )
    assert subscription["trial_end"] - subscription["trial_start"] == 14 * DAY
    assert subscription["billing_cycle_anchor"] == subscription["trial_end"]
    assert subscription["items"]["data"][0]["current_period_end"] == subscription["trial_end"]
    assert (subscription["latest_invoice"]["status"], subscription["latest_invoice"]["total"]) == ("paid", 0)
    end = int(time.time()) + 5 * DAY
    assert shop.subscription(shop.customer(None), price, trial_end=end)["trial_end"] == end
    for trial_end, message in (
        (int(time.time()) - 5, "Invalid timestamp: must be an integer Unix timestamp in the future."),
        (1000, "The parameter `trial_end` expects a unix timestamp"),
    ):
        data = {"customer": subscription["customer"], "items[0][price]": price, "trial_end": trial_end}
        refused = shop.refused("/subscriptions", **data)
        assert refused["message"].startswith(message)
        assert (refused.get("code"), refused["param"]) == (None, "trial_end")


def test_a_trial_that_ends_now_is_invoiced(shop, customer, price):
    subscription = shop.subscription(customer, price, trial_period_days=14)
    subscription = shop.post(
        f"/subscriptions/{subscription['id']}", trial_end="now", **{"expand[]": "latest_invoice"}
    )
    assert (subscription["status"], subscription["latest_invoice"]["amount_paid"]) == ("active", 2000)
    assert subscription["latest_invoice"]["billing_reason"] == "subscription_update"
    assert subscription["trial_end"] <= int(time.time())


def test_a_change_that_is_due_at_once_needs_something_to_charge(shop, price):
    subscription = shop.subscription(shop.customer(None), price, trial_period_days=14)
    path = f"/subscriptions/{subscription['id']}"
    assert shop.refused(path, trial_end="now")["message"].startswith(NO_METHOD)
    assert shop.get(path) == subscription
    item = {"items[0][id]": subscription["items"]["data"][0]["id"], "items[0][price]": shop.price(9000)}
    assert shop.post(path, **item)["status"] == "trialing"
    free = shop.subscription(subscription["customer"], shop.price(0))
    item["items[0][id]"] = free["items"]["data"][0]["id"]
    refused = shop.refused(f"/subscriptions/{free['id']}", **item, **{"metadata[a]": "b"})
    assert refused["code"] == "resource_missing"
    assert shop.get(f"/subscriptions/{free['id']}") == free
    declined = shop.subscription(shop.customer("chargeCustomerFail"), price, trial_period_days=14)
    path = f"/subscriptions/{declined['id']}"
    refused = shop.refused(path, 402, trial_end="now", payment_behavior="error_if_incomplete")
    assert refused["code"] == "card_declined"
    assert shop.post(path, trial_end="now")["status"] == "past_due"


def test_a_first_period_cut_short_is_prorated(shop, customer, price):
    anchor = int(time.time()) + 10 * DAY
    subscription = shop.subscription(
        customer, price, **{"billing_cycle_anchor": anchor, "expand[]": "latest_invoice"}
    )
    assert subscription["items"]["data"][0]["current_period_end"] == anchor
    assert 500 < subscription["latest_invoice"]["total"] < 800
    free = shop.subscription(
        customer, price,
        **{"billing_cycle_anchor": anchor, "proration_behavior": "none", "expand[]": "latest_invoice"},
    )  # fmt: skip
    assert free["latest_invoice"]["total"] == 0
    refused = shop.refused(
        "/subscriptions",
        **{"customer": customer, "items[0][price]": price, "billing_cycle_anchor": anchor + 40 * DAY},
    )
    assert "cannot be later than next natural billing date" in refused["message"]


def test_the_first_invoice_takes_what_is_pending(shop, customer, price):
    shop.post("/invoiceitems", customer=customer, amount=300, currency="usd", description="old")
    setup = shop.price(5000, interval=None)
    subscription = shop.subscription(
        customer, price, **{"add_invoice_items[0][price]": setup, "expand[]": "latest_invoice"}
    )
    assert sorted(line["amount"] for line in subscription["latest_invoice"]["lines"]["data"]) == [
        300,
        2000,
        5000,
    ]
    assert shop.pending(customer) == []


def test_discounts_last_as_long_as_their_coupon_says(shop, customer, price):
    once, forever = (
        shop.post("/coupons", percent_off=50, duration=duration)["id"] for duration in ("once", "forever")
    )
    first = shop.subscription(customer, price, **{"discounts[0][coupon]": once, "expand[]": "latest_invoice"})
    assert (first["latest_invoice"]["total"], first["discounts"]) == (1000, [])
    second = shop.subscription(customer, price, **{"discounts[0][coupon]": forever, "expand[]": "discounts"})
    (discount,) = second["discounts"]
    assert (discount["subscription"], discount["source"]["coupon"]) == (second["id"], forever)
    gone = shop.delete(f"/subscriptions/{second['id']}/discount")
    assert (gone["id"], gone["deleted"]) == (discount["id"], True)
    again = shop.refused(f"/subscriptions/{second['id']}/discount", 404, method="DELETE")
    assert again["message"] == f"No active discount for subscription: {second['id']}"
    assert {"customer.discount.created", "customer.discount.deleted"} <= set(shop.types())


def test_a_trial_does_not_use_a_discount_for_once(shop, customer, price):
    once = shop.post("/coupons", percent_off=50, duration="once")["id"]
    subscription = shop.subscription(customer, price, trial_period_days=14, **{"discounts[0][coupon]": once})
    assert len(subscription["discounts"]) == 1
    billed = shop.post(
        f"/subscriptions/{subscription['id']}", **{"trial_end": "now", "expand[]": "latest_invoice"}
    )
    assert (billed["latest_invoice"]["total"], billed["discounts"]) == (1000, [])


def test_a_higher_quantity_is_prorated(shop, customer, price):
    subscription = shop.subscription(customer, price)
    (item,) = subscription["items"]["data"]
    change = {"items[0][id]": item["id"], "items[0][quantity]": 3}
    assert shop.post(f"/subscriptions/{subscription['id']}", **change)["items"]["data"][0]["quantity"] == 3
    unused, remaining = shop.pending(customer)
    assert (unused["amount"], remaining["amount"]) == (-2000, 6000)
    assert unused["proration"] is True
    assert unused["parent"]["subscription_details"]["subscription"] == subscription["id"]
    assert unused["description"].startswith("Unused time on Tea after ")
    shop.post(
        f"/subscriptions/{subscription['id']}",
        **change | {"items[0][quantity]": 9, "proration_behavior": "none"},
    )
    assert len(shop.pending(customer)) == 2
    subscription = shop.post(
        f"/subscriptions/{subscription['id']}",
        **change | {"items[0][quantity]": 10, "proration_behavior": "always_invoice"},
        **{"expand[]": "latest_invoice"},
    )
    assert subscription["latest_invoice"]["total"] == -2000 + 6000 - 18_000 + 20_000
    assert shop.pending(customer) == []


def test_another_interval_begins_a_new_period(shop, customer, price):
    subscription = shop.subscription(customer, price)
    year = shop.price(12_000, "year")
    subscription = shop.post(
        f"/subscriptions/{subscription['id']}",
        **{
            "items[0][id]": subscription["items"]["data"][0]["id"],
            "items[0][price]": year,
            "expand[]": "latest_invoice",
        },
    )
    (item,) = subscription["items"]["data"]
    assert item["plan"]["interval"] == "year"
    assert item["current_period_end"] - item["current_period_start"] in {365 * DAY, 366 * DAY}
    assert subscription["latest_invoice"]["total"] == 12_000 - 2000


def test_items_come_and_go(shop, customer, price):
    subscription = shop.subscription(customer, price)
    path = f"/subscriptions/{subscription['id']}"
    old = subscription["items"]["data"][0]["id"]
    other = shop.price(900)
    subscription = shop.post(
        path, **{"items[0][id]": old, "items[0][deleted]": "true", "items[1][price]": other}
    )
    (item,) = subscription["items"]["data"]
    assert item["price"]["id"] == other
    last = shop.refused(path, **{"items[0][id]": item["id"], "items[0][deleted]": "true"})
    assert last["message"].startswith("A subscription must have at least one active plan.")
    gone = shop.refused(path, **{"items[0][id]": old, "items[0][quantity]": "2"})
    assert gone["param"] == "items[0][id]"


def test_items_one_by_one(shop, customer, price):
    subscription = shop.subscription(customer, price)
    old = subscription["items"]["data"][0]["id"]
    refused = shop.refused(f"/subscription_items/{old}", method="DELETE")
    assert refused["message"].startswith("A subscription must have at least one active plan.")
    new = shop.post("/subscription_items", subscription=subscription["id"], price=shop.price(900), quantity=2)
    assert [item["amount"] for item in shop.pending(customer)] == [1800]
    assert shop.post(f"/subscription_items/{new['id']}", quantity=4)["quantity"] == 4
    shown = shop.get(f"/subscriptions/{subscription['id']}")["items"]["data"]
    assert {item["id"]: item["quantity"] for item in shown} == {old: 1, new["id"]: 4}
    path = f"/subscription_items/{new['id']}"
    assert shop.post(path, **{"metadata[a]": "1", "metadata[b]": "2"})["metadata"] == {"a": "1", "b": "2"}
    assert shop.post(path, **{"metadata[a]": ""})["metadata"] == {"b": "2"}
    assert shop.post(path, metadata="")["metadata"] == {}
    assert shop.delete(f"/subscription_items/{old}")["deleted"] is True
    assert [item["id"] for item in shop.get(f"/subscriptions/{subscription['id']}")["items"]["data"]] == [
        new["id"]
    ]
    event = shop.get("/events", limit=1)["data"][0]
    assert event["type"] == "customer.subscription.updated"
    assert "items" in event["data"]["previous_attributes"]


def test_it_can_be_made_to_end_later(shop, customer, price):
    subscription = shop.subscription(customer, price)
    path = f"/subscriptions/{subscription['id']}"
    end = subscription["items"]["data"][0]["current_period_end"]
    subscription = shop.post(path, cancel_at_period_end="true")
    assert (subscription["cancel_at"], subscription["cancel_at_period_end"], subscription["status"]) == (
        end,
        True,
        "active",
    )
    assert subscription["cancellation_details"]["reason"] == "cancellation_requested"
    subscription = shop.post(path, cancel_at_period_end="false")
    assert (subscription["cancel_at"], subscription["canceled_at"]) == (None, None)
    at = int(time.time()) + 3 * DAY
    subscription = shop.post(path, cancel_at=at)
    assert (subscription["cancel_at"], subscription["cancel_at_period_end"]) == (at, False)
    assert shop.post(path, cancel_at="")["cancel_at"] is None
    assert "in the future" in shop.refused(path, cancel_at=5)["message"]


def test_canceling_is_for_good(shop, customer, price):
    path = f"/subscriptions/{shop.subscription(customer, price)['id']}"
    subscription = shop.delete(path, **{"cancellation_details[comment]": "bye"})
    assert (subscription["status"], subscription["cancellation_details"]["comment"]) == ("canceled", "bye")
    assert shop.types()[-1] == "customer.subscription.deleted"
    again = shop.refused(path, 404, method="DELETE")
    assert again["message"] == f"No such subscription: '{subscription['id']}'"
    late = shop.refused(path, description="x")
    assert late["message"] == "A canceled subscription can only update its cancellation_details and metadata."
    assert shop.post(path, **{"metadata[a]": "b"})["metadata"] == {"a": "b"}


def test_canceling_can_give_back_and_invoice(shop, customer, price):
    subscription = shop.subscription(customer, price)
    shop.delete(f"/subscriptions/{subscription['id']}", prorate="true", invoice_now="true")
    last = shop.get("/invoices", subscription=subscription["id"])["data"][0]
    assert (last["total"], last["status"]) == (-2000, "paid")
    assert shop.get(f"/customers/{customer}")["balance"] == -2000


def test_pause_and_resume(shop, customer, price):
    path = f"/subscriptions/{shop.subscription(customer, price)['id']}"
    assert "not" not in shop.post(f"{path}/pause")["status"]
    subscription = shop.get(path)
    assert subscription["status"] == "paused"
    assert subscription["status_details"]["paused"]["subscription"]["type"] == "pause_requested"
    assert [entry["amount"] for entry in shop.pending(customer)] == [-2000]
    assert shop.refused(f"{path}/pause")["code"] == "resource_invalid_state"
    subscription = shop.post(f"{path}/resume", **{"expand[]": "latest_invoice"})
    assert (subscription["status"], subscription["latest_invoice"]["total"]) == ("active", 0)
    assert shop.refused(f"{path}/resume")["code"] == "resource_invalid_state"
    assert [entry for entry in shop.types() if entry.endswith(("paused", "resumed"))] == [
        "customer.subscription.paused", "customer.subscription.resumed",
    ]  # fmt: skip


@pytest.fixture
def paused(shop, price):
    """A subscription that its trial left paused, since there is no payment method."""
    customer, pause = shop.customer(None), {"trial_settings[end_behavior][missing_payment_method]": "pause"}
    subscription = shop.subscription(customer, price, trial_period_days=7, **pause)
    return shop.post(f"/subscriptions/{subscription['id']}", trial_end="now")


def test_a_trial_that_ends_now_without_a_payment_method_ends_as_its_settings_say(shop, price, paused):
    assert (paused["status"], paused["pending_update"]) == ("paused", None)
    reason = paused["status_details"]["paused"]["subscription"]["type"]
    assert reason == "trial_end_without_payment_method"
    assert shop.types()[-2:] == ["customer.subscription.updated", "customer.subscription.paused"]
    cancel = {"trial_settings[end_behavior][missing_payment_method]": "cancel", "trial_period_days": 7}
    subscription = shop.subscription(shop.customer(None), price, **cancel)
    canceled = shop.post(f"/subscriptions/{subscription['id']}", trial_end="now")
    assert (canceled["status"], canceled["cancellation_details"]["reason"]) == ("canceled", "payment_failed")
    paying = shop.subscription(shop.customer(), price, **cancel)
    assert shop.post(f"/subscriptions/{paying['id']}", trial_end="now")["status"] == "active"


def test_a_subscription_stays_paused_until_the_invoice_of_its_resumption_is_paid(shop, paused):
    path = f"/subscriptions/{paused['id']}"
    resumed = shop.post(f"{path}/resume", **{"expand[]": "latest_invoice"})
    assert resumed["status"] == "paused"
    assert resumed["pending_update"]["expires_at"] > time.time() + 22 * 3600
    assert (resumed["latest_invoice"]["status"], resumed["latest_invoice"]["amount_due"]) == ("open", 2000)
    assert shop.types()[-1] == "customer.subscription.updated"
    shop.post(f"/invoices/{resumed['latest_invoice']['id']}/pay", payment_method="pm_card_visa")
    active = shop.get(path)
    assert (active["status"], active["pending_update"], active["status_details"]) == ("active", None, None)
    assert "customer.subscription.resumed" in shop.types()


@pytest.mark.parametrize(("operation", "status"), [("mark_uncollectible", "active"), ("void", "paused")])
def test_a_resumption_ends_with_its_invoice_otherwise_too(shop, paused, operation, status):
    path = f"/subscriptions/{paused['id']}"
    invoice = shop.post(f"{path}/resume")["latest_invoice"]
    shop.post(f"/invoices/{invoice}/{operation}")
    ended = shop.get(path)
    assert (ended["status"], ended["pending_update"]) == (status, None)


def test_a_payment_method_is_charged_when_a_subscription_resumes(shop, price):
    for card, behavior, status in (
        ("visa", "resume_on_payment_attempt", "active"),
        ("chargeCustomerFail", "resume_on_payment_attempt", "past_due"),
        ("chargeCustomerFail", "resume_on_payment_success", "paused"),
    ):
        customer = shop.customer(None)
        pause = {"trial_settings[end_behavior][missing_payment_method]": "pause"}
        subscription = shop.subscription(customer, price, trial_period_days=7, **pause)
        path = f"/subscriptions/{subscription['id']}"
        shop.post(path, trial_end="now")
        method = shop.post(f"/payment_methods/pm_card_{card}/attach", customer=customer)["id"]
        shop.post(path, default_payment_method=method)
        assert shop.post(f"{path}/resume", payment_behavior=behavior)["status"] == status


def test_an_ended_subscription_cannot_be_paused_or_resumed_and_takes_only_metadata(shop, customer, price):
    path = f"/subscriptions/{shop.subscription(customer, price)['id']}"
    shop.delete(path)
    for operation in ("pause", "resume"):
        error = shop.refused(f"{path}/{operation}", 404)
        assert (error["code"], error["param"]) == ("resource_missing", "id")
    assert shop.post(path, **{"metadata[k]": "v"})["metadata"] == {"k": "v"}
    error = shop.refused(path, description="late")
    assert error["code"] == "invalid_canceled_subscription_fields"


def test_a_setup_intent_waits_where_there_is_nothing_to_charge_later(shop, customer, price):
    waiting = shop.subscription(shop.customer(None), price, trial_period_days=7)
    intent = shop.get(f"/setup_intents/{waiting['pending_setup_intent']}")
    assert (intent["status"], intent["customer"]) == ("requires_payment_method", waiting["customer"])
    assert shop.subscription(customer, price, trial_period_days=7)["pending_setup_intent"] is None


def test_a_price_stands_in_one_item_only(shop, customer, price):
    twice = {"items[0][price]": price, "items[1][price]": price}
    error = shop.refused("/subscriptions", customer=customer, **twice)
    assert (error["param"], error.get("code")) == ("plan", None)
    subscription = shop.subscription(customer, price)
    for path, data in (
        (f"/subscriptions/{subscription['id']}", {"items[0][price]": price}),
        ("/subscription_items", {"subscription": subscription["id"], "price": price}),
    ):
        assert shop.refused(path, **data)["param"] == "plan"
    item = subscription["items"]["data"][0]["id"]
    assert len(item) == len("si_") + 14
    replaced = {"items[0][id]": item, "items[0][deleted]": "true", "items[1][price]": price}
    assert len(shop.post(f"/subscriptions/{subscription['id']}", **replaced)["items"]["data"]) == 1


@pytest.mark.parametrize(
    ("data", "param"),
    [
        ({"payment_behavior": "pending_if_incomplete"}, "payment_behavior"),
        ({"days_until_due": 5}, None),
        ({"trial_period_days": 5, "trial_from_plan": "true"}, None),
        ({"trial_end": int(time.time()) + DAY, "trial_from_plan": "true"}, None),
    ],
)
def test_parameters_of_a_new_subscription_that_do_not_fit(shop, customer, price, data, param):
    error = shop.refused("/subscriptions", **{"customer": customer, "items[0][price]": price, **data})
    assert (error.get("param"), error.get("code")) == (param, None)


def test_a_card_that_has_to_be_authenticated_leaves_no_subscription_where_that_is_an_error(shop, price):
    customer = shop.customer("authenticationRequired")
    data = {"customer": customer, "items[0][price]": price, "payment_behavior": "error_if_incomplete"}
    error = shop.refused("/subscriptions", 402, **data)
    assert (error["type"], error["code"]) == ("card_error", "subscription_payment_intent_requires_action")
    assert shop.get("/subscriptions", customer=customer, status="all")["data"] == []


def test_collection_can_be_paused(shop, customer, price):
    subscription = shop.subscription(customer, price)
    path = f"/subscriptions/{subscription['id']}"
    subscription = shop.post(path, **{"pause_collection[behavior]": "void"})
    assert (subscription["status"], subscription["pause_collection"]["behavior"]) == ("active", "void")
    subscription = shop.post(path, **{"billing_cycle_anchor[type]": "now", "expand[]": "latest_invoice"})
    assert (subscription["latest_invoice"]["status"], subscription["latest_invoice"]["total"]) == ("paid", 0)
    subscription = shop.post(path, **{"pause_collection[behavior]": "keep_as_draft"})
    item = {"items[0][id]": subscription["items"]["data"][0]["id"], "items[0][quantity]": 5}
    subscription = shop.post(
        path, **item, **{"proration_behavior": "always_invoice", "expand[]": "latest_invoice"}
    )
    assert (subscription["latest_invoice"]["status"], subscription["status"]) == ("draft", "active")
    assert shop.post(path, pause_collection="")["pause_collection"] is None


def test_a_payment_method_must_be_the_customers(shop, customer, price):
    unattached = shop.post("/payment_methods/pm_card_visa/attach", customer=shop.customer(None))["id"]
    path = f"/subscriptions/{shop.subscription(customer, price)['id']}"
    refused = shop.refused(path, default_payment_method=unattached)
    assert "must be attached to the customer" in refused["message"]
    own = shop.post("/payment_methods/pm_card_visa/attach", customer=customer)["id"]
    assert shop.post(path, default_payment_method=own)["default_payment_method"] == own


def test_an_invoice_that_is_sent_needs_a_term(shop, customer, price):
    path = f"/subscriptions/{shop.subscription(customer, price)['id']}"
    assert shop.refused(path, collection_method="send_invoice")["param"] == "days_until_due"
    subscription = shop.post(path, collection_method="send_invoice", days_until_due=9)
    assert (subscription["collection_method"], subscription["days_until_due"]) == ("send_invoice", 9)


def test_an_update_says_what_was_before(shop, customer, price):
    subscription = shop.subscription(customer, price)
    shop.post(f"/subscriptions/{subscription['id']}", description="x", **{"metadata[a]": "b"})
    event = shop.get("/events", limit=1)["data"][0]
    assert event["type"] == "customer.subscription.updated"
    assert event["data"]["previous_attributes"] == {"description": None, "metadata": {"a": None}}


def test_deleting_a_customer_ends_its_subscriptions(shop, customer, price):
    subscription = shop.subscription(customer, price)
    shop.delete(f"/customers/{customer}")
    assert shop.get(f"/subscriptions/{subscription['id']}")["status"] == "canceled"
    assert "customer.subscription.deleted" in shop.types()


def test_generated_subscriptions_change_like_any_other(shop, reader):
    for one in reader.page("/subscriptions", limit=40, status="active")["data"]:
        item = one["items"]["data"][0]
        subscription = shop.post(
            f"/subscriptions/{one['id']}", **{"items[0][id]": item["id"], "items[0][quantity]": 77}
        )
        assert next(it for it in subscription["items"]["data"] if it["id"] == item["id"])["quantity"] == 77
        assert shop.post("/invoices/create_preview", subscription=one["id"])["lines"]["data"]
        assert shop.delete(f"/subscriptions/{one['id']}")["status"] == "canceled"


def test_the_preview_has_what_is_pending_and_the_discounts(shop, customer, price):
    coupon = shop.post("/coupons", percent_off=10, duration="forever")["id"]
    subscription = shop.subscription(customer, price, **{"discounts[0][coupon]": coupon})
    shop.post("/invoiceitems", customer=customer, amount=500, currency="usd", subscription=subscription["id"])
    preview = shop.post("/invoices/create_preview", subscription=subscription["id"])
    assert (preview["subtotal"], preview["total"]) == (2500, 2250)
    start = preview["lines"]["data"][0]["period"]["start"]
    assert start == subscription["items"]["data"][0]["current_period_end"]
    assert len(shop.pending(customer)) == 1
