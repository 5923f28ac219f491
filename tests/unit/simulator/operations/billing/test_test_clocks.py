"""Test clocks: renewals, trials, cancellations, schedules (https://docs.stripe.com/billing/testing)."""

from support.shop import DAY, START


def invoices(shop, subscription):
    """Reason, status and total of a subscription's invoices, oldest first."""
    invoices_ = shop.get("/invoices", subscription=subscription, limit=100)["data"][::-1]
    return [(invoice["billing_reason"], invoice["status"], invoice["total"]) for invoice in invoices_]


def test_advancing_a_clock_renews_its_subscriptions(shop, clock, advance):
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


def test_a_resumption_that_is_not_paid_within_a_day_is_given_up(shop, clock, advance):
    customer, pause = shop.customer(None, test_clock=clock), {"trial_period_days": 1}
    pause["trial_settings[end_behavior][missing_payment_method]"] = "pause"
    path = f"/subscriptions/{shop.subscription(customer, shop.price(), **pause)['id']}"
    advance(2)
    invoice = shop.post(f"{path}/resume")["latest_invoice"]
    advance(3)
    subscription = shop.get(path)
    assert (subscription["status"], subscription["pending_update"]) == ("paused", None)
    assert shop.get(f"/invoices/{invoice}")["status"] == "void"
