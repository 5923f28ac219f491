"""Events: every change has an event, of the types that Stripe sends for it."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from stripe_simulator.process import SimulatorProcess
from support.shop import DAY, START, Shop
from support.told_states import all_events, silent_changes
from support.waiting import wait_until

INITIAL = {
    "coupon": "coupons", "customer": "customers", "intent": "payment_intents", "invoice": "invoices",
    "item": "invoiceitems", "note": "credit_notes", "payout": "payouts", "price": "prices",
    "quote": "quotes", "refund": "refunds", "session": "checkout/sessions", "setup": "setup_intents",
    "subscription": "subscriptions",
}  # fmt: skip
OUTCOMES = {
    "checkout.session.completed": "session", "payment_intent.payment_failed": "intent",
    "payment_intent.succeeded": "intent", "payout.failed": "payout", "payout.paid": "payout",
    "refund.failed": "refund",
}  # fmt: skip


class RandomShop(Shop):
    """Does at random what programs and customers do; Stripe may refuse it."""

    def __init__(self, client: httpx.Client, seed: int, simulator: SimulatorProcess) -> None:
        """Begin with some of the objects that the simulator had from its start."""
        super().__init__(client)
        self.random = random.Random(seed)
        self.simulator = simulator
        self.ids: dict[str, list[str]] = {}
        for kind, path in INITIAL.items():
            initial = client.get(f"/{path}", params={"limit": 5}).json()["data"]
            self.ids[kind] = [each["id"] for each in initial]
        self.clock = self.make("/test_helpers/test_clocks", "clock", frozen_time=START)
        self.days = 0

    def make(self, path: str, kind: str, **data: object) -> str | None:
        answer = self.client.post(path, data=data)
        assert answer.status_code < 500, answer.text
        if answer.status_code != 200:
            return None
        self.ids.setdefault(kind, []).append(answer.json()["id"])
        return self.ids[kind][-1]

    def some(self, kind: str) -> str:
        return self.random.choice(self.ids.get(kind) or ["none"])

    def act(self, path: str, **data: object) -> None:
        answer = self.client.post(path, data=data)
        assert answer.status_code < 500, answer.text

    def step(self) -> None:
        choose: list[Callable[[], object]] = [
            self._customer, self._catalog, self._subscription, self._subscription, self._change,
            self._invoice, self._invoice, self._payment, self._payment, self._back, self._clock, self._delete,
            self._outcome,
        ]  # fmt: skip
        self.random.choice(choose)()

    def _customer(self) -> None:
        clock = {"test_clock": self.clock} if self.random.random() < 0.5 else {}
        customer = self.make("/customers", "customer", **clock)
        card = self.random.choice(["visa", "visa", "chargeCustomerFail"])
        answer = self.client.post(f"/payment_methods/pm_card_{card}/attach", data={"customer": customer})
        if answer.status_code == 200:
            method = answer.json()["id"]
            self.ids.setdefault("method", []).append(method)
            self.act(f"/customers/{customer}", **{"invoice_settings[default_payment_method]": method})

    def _catalog(self) -> None:
        amount = self.random.randint(100, 9000)
        recurring = {"recurring[interval]": self.random.choice(["week", "month"])}
        self.make(
            "/prices", "price", currency="usd", unit_amount=amount, **{"product_data[name]": "T"}, **recurring
        )
        self.make("/coupons", "coupon", percent_off=self.random.randint(1, 100), duration="once")
        coupon = {"promotion[type]": "coupon", "promotion[coupon]": self.some("coupon")}
        self.make("/promotion_codes", "code", **coupon)
        self.act(f"/prices/{self.some('price')}", nickname=str(amount))

    def _subscription(self) -> None:
        data: dict[str, object] = {
            "customer": self.some("customer"),
            "items[0][price]": self.some("price"),
        }
        extra: list[dict[str, object]] = [
            {}, {"trial_period_days": 5}, {"payment_behavior": "default_incomplete"},
            {"collection_method": "send_invoice", "days_until_due": 3},
            {"discounts[0][coupon]": self.some("coupon")}, {"cancel_at_period_end": "true"},
        ]  # fmt: skip
        self.make("/subscriptions", "subscription", **data, **self.random.choice(extra))

    def _change(self) -> None:
        path = f"/subscriptions/{self.some('subscription')}"
        item = self.client.get(path).json().get("items", {}).get("data") or [{"id": "si_none"}]
        changes: list[tuple[str, dict[str, object]]] = [
            (path, {"items[0][id]": item[0]["id"], "items[0][quantity]": self.random.randint(1, 9)}),
            (path, {"items[0][id]": item[0]["id"], "items[0][price]": self.some("price"),
                    "proration_behavior": "always_invoice"}),
            (path, {"cancel_at_period_end": "true"}),
            (path, {"pause_collection[behavior]": "void"}),
            (path, {"trial_end": "now"}),
            (path, {"metadata[a]": self.random.randint(1, 9)}),
            (f"{path}/resume", {}),
            (f"/subscription_items/{item[0]['id']}", {"quantity": self.random.randint(1, 9)}),
            ("/subscription_schedules", {"from_subscription": path.rpartition("/")[2]}),
        ]  # fmt: skip
        target, data = self.random.choice(changes)
        self.act(target, **data)

    def _invoice(self) -> None:
        customer = self.some("customer")
        invoice = self.make("/invoices", "invoice", customer=customer, auto_advance="false")
        item = {"amount": self.random.randint(100, 9000), "currency": "usd", "customer": customer}
        self.make("/invoiceitems", "item", invoice=invoice or "", **item)
        for invoices in self.client.get("/invoices", params={"limit": 10}).json()["data"]:
            self.ids.setdefault("invoice", []).append(invoices["id"])
        for _ in range(3):
            verb = self.random.choice(["finalize", "pay", "void", "mark_uncollectible", "send"])
            self.act(f"/invoices/{self.some('invoice')}/{verb}")
        note = {"amount": self.random.randint(1, 90), "invoice": self.some("invoice")}
        kind = self.random.choice(["credit_amount", "refund_amount"])
        self.make("/credit_notes", "note", **note, **{kind: note["amount"]})
        self.act(f"/credit_notes/{self.some('note')}/void")

    def _payment(self) -> None:
        card = self.random.choice(["visa", "chargeDeclined", "createDispute", "visa"])
        intent = {"amount": self.random.randint(100, 9000), "currency": "usd"}
        never = {"automatic_payment_methods[enabled]": "true",
                 "automatic_payment_methods[allow_redirects]": "never"}  # fmt: skip
        extra: dict[str, object] = self.random.choice([{}, {"capture_method": "manual"}])
        self.make("/payment_intents", "intent", **intent, **never, **extra)
        for intents in self.client.get("/payment_intents", params={"limit": 10}).json()["data"]:
            self.ids.setdefault("intent", []).append(intents["id"])
        for _ in range(2):
            path = f"/payment_intents/{self.some('intent')}"
            steps: list[tuple[str, dict[str, object]]] = [
                ("confirm", {"payment_method": f"pm_card_{card}"}), ("capture", {}), ("cancel", {}),
            ]  # fmt: skip
            verb, data = self.random.choice(steps)
            self.act(f"{path}/{verb}", **data)
        confirm = {"payment_method": "pm_card_visa", "confirm": "true", "customer": self.some("customer")}
        self.make("/setup_intents", "setup", **confirm, **never)
        self.make("/setup_intents", "setup")
        self.act(f"/setup_intents/{self.some('setup')}/cancel")

    def _back(self) -> None:
        amount = {"amount": self.random.randint(1, 50)}
        self.make("/refunds", "refund", payment_intent=self.some("intent"), **amount)
        for dispute in self.client.get("/disputes", params={"limit": 2}).json()["data"]:
            self.act(f"/disputes/{dispute['id']}", **{"evidence[customer_name]": "Ada"})
            if self.random.random() < 0.5:
                self.act(f"/disputes/{dispute['id']}/close")
        self.make("/payouts", "payout", amount=1, currency="usd")
        self.act(f"/payouts/{self.some('payout')}/{self.random.choice(['cancel', 'reverse'])}")
        self.make("/transfers", "transfer", destination="acct_none", currency="usd", **amount)
        path = f"/customers/{self.some('customer')}/balance_transactions"
        self.act(path, amount=self.random.randint(-500, 500), currency="usd")
        customer, price = self.some("customer"), self.some("price")
        self.make("/quotes", "quote", customer=customer, **{"line_items[0][price]": price})
        verb = self.random.choice(["finalize", "accept", "cancel"])
        self.act(f"/quotes/{self.some('quote')}/{verb}")
        self.make(
            "/checkout/sessions", "session", mode="subscription", success_url="https://example.com",
            **{"line_items[0][price]": price, "line_items[0][quantity]": 1},
        )  # fmt: skip
        self.act(f"/checkout/sessions/{self.some('session')}/expire")

    def _clock(self) -> None:
        self.days += self.random.randint(1, 20)
        path = f"/test_helpers/test_clocks/{self.clock}/advance"
        self.act(path, frozen_time=START + self.days * DAY)

    def _outcome(self) -> None:
        for type_, kind in OUTCOMES.items():
            outcome = {"type": type_, "id": self.some(kind)}
            answer = httpx.post(f"{self.simulator.url}/_simulator/outcomes", json=outcome)
            assert answer.status_code < 500, answer.text

    def _delete(self) -> None:
        paths = [
            f"/subscriptions/{self.some('subscription')}",
            f"/subscriptions/{self.some('subscription')}",
            f"/coupons/{self.some('coupon')}",
            f"/invoiceitems/{self.some('item')}",
            f"/invoices/{self.some('invoice')}",
            f"/customers/{self.some('customer')}",
        ]
        self.client.delete(self.random.choice(paths))
        self.act(f"/payment_methods/{self.some('method')}/detach")


@pytest.mark.parametrize("seed", [3, 5])
def test_nothing_changes_silently(stripe: httpx.Client, simulator: SimulatorProcess, seed: int) -> None:
    """Of each object that has events, the last event has the state that Stripe shows."""
    shop = RandomShop(stripe, seed, simulator)
    for _ in range(40):
        shop.step()
    wait_until(lambda: not list(silent_changes(stripe)))  # charges are settled a moment later
    for event in all_events(stripe):
        assert event["data"].get("previous_attributes", {"a": 1}), event


CONFIRMED = {
    "amount": 2000, "currency": "usd", "confirm": "true",
    "automatic_payment_methods[enabled]": "true", "automatic_payment_methods[allow_redirects]": "never",
}  # fmt: skip
PAID_INVOICE = "invoice.paid invoice.payment_succeeded invoice.updated"
PAYMENT_OF_INVOICE = f"charge.succeeded payment_intent.succeeded invoice_payment.paid {PAID_INVOICE}"
FINALIZED = "customer.updated invoice.finalized payment_intent.created"


@pytest.fixture
def told(shop: Shop) -> Callable[[], str]:
    """A function that returns the types of the events since it was called last."""
    seen = 0

    def types() -> str:
        nonlocal seen
        found = [event["type"] for event in all_events(shop.client)]
        new, seen = found[seen:], len(found)
        return " ".join(type_ for type_ in new if type_ != "charge.updated")  # of a charge that is settled

    return types


def test_the_events_of_an_invoice(shop: Shop, told: Callable[[], str]) -> None:
    customer = shop.customer()
    assert told() == "customer.created payment_method.attached customer.updated"
    invoice = shop.invoice(customer, 500)["id"]
    assert told() == "invoice.created invoice.updated invoiceitem.created"
    shop.post(f"/invoices/{invoice}/finalize")
    assert told() == f"{FINALIZED} invoice.updated"
    shop.post(f"/invoices/{invoice}/pay")
    assert told() == PAYMENT_OF_INVOICE
    shop.post("/credit_notes", invoice=invoice, amount=100, refund_amount=100)
    assert told() == "refund.created charge.refunded invoice.updated credit_note.created"
    for verb, types in (
        ("void", "payment_intent.canceled invoice.voided invoice.updated"),
        ("mark_uncollectible", "invoice.updated invoice.marked_uncollectible"),
    ):
        other = shop.invoice(customer, 5000)["id"]
        shop.post(f"/invoices/{other}/finalize")
        told()
        shop.post(f"/invoices/{other}/{verb}")
        assert told() == types
    shop.post("/credit_notes", invoice=invoice, amount=100, credit_amount=100)
    assert told() == "customer.updated invoice.updated credit_note.created"


def test_an_invoice_that_is_paid_by_its_intent_is_told(shop: Shop, told: Callable[[], str]) -> None:
    customer = shop.customer(None)
    invoice = shop.invoice(customer, 500)["id"]
    shop.post(f"/invoices/{invoice}/finalize")
    payments = shop.get(f"/invoices/{invoice}", **{"expand[]": "payments"})["payments"]["data"]
    told()
    intent = payments[0]["payment"]["payment_intent"]
    shop.post(f"/payment_intents/{intent}/confirm", payment_method="pm_card_visa")
    assert sorted(told().split()) == [
        "charge.succeeded", "invoice.paid", "invoice.payment_succeeded", "invoice.updated",
        "invoice_payment.paid", "payment_intent.succeeded",
    ]  # fmt: skip
    paid = shop.get("/events", **{"types[]": "invoice.paid"})["data"][0]["data"]["object"]
    assert shop.get(f"/invoices/{invoice}") == paid


def test_the_events_of_a_subscription(shop: Shop, told: Callable[[], str]) -> None:
    customer, price = shop.customer(), shop.price()
    told()
    subscription = shop.subscription(customer, price)
    path, item = f"/subscriptions/{subscription['id']}", subscription["items"]["data"][0]["id"]
    assert told() == (f"invoice.created {FINALIZED} {PAYMENT_OF_INVOICE} customer.subscription.created")
    shop.post(path, **{"items[0][id]": item, "items[0][quantity]": 3})
    assert told() == "invoiceitem.created invoiceitem.created customer.subscription.updated"
    shop.post(path, cancel_at_period_end="true")
    assert told() == "customer.subscription.updated"
    shop.delete(path)
    assert told() == "customer.subscription.deleted"
    shop.subscription(customer, price)
    told()
    shop.delete(f"/customers/{customer}")
    assert told() == "customer.subscription.deleted customer.deleted"


def test_the_events_of_payments(shop: Shop, told: Callable[[], str]) -> None:
    succeeded = "payment_intent.created charge.succeeded payment_intent.succeeded"
    paid = shop.post("/payment_intents", **CONFIRMED, payment_method="pm_card_visa")
    assert told() == succeeded
    shop.post("/refunds", payment_intent=paid["id"], amount=100)
    assert told() == "refund.created charge.refunded"
    held = shop.post("/payment_intents", **CONFIRMED, payment_method="pm_card_visa", capture_method="manual")
    assert told() == "payment_intent.created charge.succeeded payment_intent.amount_capturable_updated"
    shop.post(f"/payment_intents/{held['id']}/capture")
    assert told() == "charge.captured payment_intent.succeeded"
    shop.client.post("/payment_intents", data={**CONFIRMED, "payment_method": "pm_card_chargeDeclined"})
    assert told() == "payment_intent.created charge.failed payment_intent.payment_failed"
    waiting = shop.post("/payment_intents", amount=2000, currency="usd")
    shop.post(f"/payment_intents/{waiting['id']}/cancel")
    assert told() == "payment_intent.created payment_intent.canceled"
    shop.post("/payment_intents", **CONFIRMED, payment_method="pm_card_createDispute")
    assert set(told().split()) - set(succeeded.split()) == {
        "charge.dispute.created", "charge.dispute.funds_withdrawn",
    }  # fmt: skip
    dispute = shop.get("/disputes", limit=1)["data"][0]["id"]
    shop.post(f"/disputes/{dispute}", submit="false", **{"evidence[customer_name]": "Ada"})
    shop.post(f"/disputes/{dispute}/close")
    assert told() == "charge.dispute.updated charge.dispute.closed"
    payout = shop.post("/payouts", amount=100, currency="usd")["id"]
    shop.post(f"/payouts/{payout}/cancel")
    assert told() == "payout.created payout.canceled"


def test_the_events_of_other_objects(shop: Shop, told: Callable[[], str]) -> None:
    customer = shop.customer()
    price = shop.price()
    assert told().endswith("product.created price.created plan.created")
    shop.post(f"/prices/{price}", nickname="tea")
    assert sorted(told().split()) == ["plan.updated", "price.updated"]
    coupon = shop.post("/coupons", percent_off=10, duration="once")["id"]
    promotion = {"promotion[type]": "coupon", "promotion[coupon]": coupon}
    code = shop.post("/promotion_codes", **promotion)["id"]
    shop.post(f"/promotion_codes/{code}", active="false")
    assert told() == "coupon.created promotion_code.created promotion_code.updated"
    shop.subscription(customer, price, **{"discounts[0][coupon]": coupon})
    assert told().startswith("coupon.updated customer.discount.created invoice.created")
    shop.delete(f"/coupons/{coupon}")
    quote = shop.post("/quotes", customer=customer, **{"line_items[0][price]": price})["id"]
    shop.post(f"/quotes/{quote}/finalize")
    assert told() == "coupon.deleted quote.created quote.finalized"
    shop.post(f"/quotes/{quote}/accept")
    assert told().endswith("customer.subscription.created quote.accepted")
    items = {"line_items[0][price]": price, "line_items[0][quantity]": 1}
    session = shop.post("/checkout/sessions", mode="subscription", success_url="https://a.test", **items)
    shop.post(f"/checkout/sessions/{session['id']}/expire")
    assert told() == "checkout.session.expired"
    method = shop.post("/payment_methods/pm_card_visa/attach", customer=customer)["id"]
    shop.post(f"/customers/{customer}", **{"invoice_settings[default_payment_method]": method})
    shop.post(f"/payment_methods/{method}/detach")
    assert told() == "payment_method.attached customer.updated customer.updated payment_method.detached"
    shop.post(f"/customers/{customer}/balance_transactions", amount=-500, currency="usd")
    tax = shop.post(f"/customers/{customer}/tax_ids", type="eu_vat", value="DE123456789")["id"]
    shop.delete(f"/customers/{customer}/tax_ids/{tax}")
    assert told() == "customer.updated customer.tax_id.created customer.tax_id.deleted"


@pytest.fixture
def clock(shop: Shop) -> str:
    return str(shop.post("/test_helpers/test_clocks", frozen_time=START)["id"])


@pytest.fixture
def advance(shop: Shop, clock: str) -> Callable[[float], None]:
    """A function that has the clock stand so many days after its start."""

    def advanced(days: float) -> None:
        path = f"/test_helpers/test_clocks/{clock}/advance"
        shop.post(path, frozen_time=START + int(days * DAY))

    return advanced


ADVANCED = "test_helpers.test_clock.advancing {} test_helpers.test_clock.ready"


def test_the_events_of_a_trial_and_a_renewal(
    shop: Shop, clock: str, advance: Callable[[float], None], told: Callable[[], str]
) -> None:
    subscription = shop.subscription(shop.customer(test_clock=clock), shop.price(), trial_period_days=14)
    assert told().endswith("customer.subscription.created")
    advance(12)
    assert told() == ADVANCED.format("customer.subscription.trial_will_end")
    advance(14.01)
    drafted = "invoice.created customer.subscription.updated"
    assert told() == f"{ADVANCED.format(drafted)} invoice.updated"
    advance(14.2)
    assert told() == ADVANCED.format(f"{FINALIZED} {PAYMENT_OF_INVOICE}")
    advance(50)
    assert told() == ADVANCED.format(f"invoice.upcoming {drafted} {FINALIZED} {PAYMENT_OF_INVOICE}")
    event = shop.get("/events", **{"types[]": "invoice.upcoming"})["data"][0]
    assert "id" not in event["data"]["object"]
    assert event["created"] < START  # the time of the machine, not that of the clock
    period_start = shop.get(f"/subscriptions/{subscription['id']}")["items"]["data"][0][
        "current_period_start"
    ]
    assert period_start > START
    short = shop.subscription(shop.customer(), shop.price(), trial_period_days=2)
    assert told().endswith("customer.subscription.created customer.subscription.trial_will_end")
    assert short["status"] == "trialing"


def test_a_renewal_that_is_not_paid_is_tried_again_and_then_given_up(
    shop: Shop, clock: str, advance: Callable[[float], None], told: Callable[[], str]
) -> None:
    customer = shop.customer("chargeCustomerFail", test_clock=clock)
    subscription = shop.subscription(customer, shop.price(), trial_period_days=1)
    path = f"/subscriptions/{subscription['id']}"
    advance(1.2)
    assert shop.get(path)["status"] == "past_due"
    invoice = f"/invoices/{shop.get(path)['latest_invoice']}"
    declined = "charge.failed payment_intent.payment_failed invoice.payment_failed invoice.updated"
    for days, attempts, status, types in (
        (4.5, 2, "past_due", declined),
        (9.6, 3, "past_due", declined),
        (16.7, 4, "canceled", f"{declined} invoice.updated customer.subscription.deleted"),
    ):
        told()
        advance(days)
        assert told() == ADVANCED.format(types)
        found = shop.get(invoice)
        assert (found["attempt_count"], found["status"]) == (attempts, "open")
        assert (shop.get(path)["status"], bool(found["next_payment_attempt"])) == (
            status,
            status == "past_due",
        )
    assert shop.get(path)["cancellation_details"]["reason"] == "payment_failed"


def test_a_first_invoice_that_is_not_paid_expires_the_subscription(
    shop: Shop, clock: str, advance: Callable[[float], None], told: Callable[[], str]
) -> None:
    customer = shop.customer(test_clock=clock)
    made = shop.subscription(customer, shop.price(), payment_behavior="default_incomplete")
    told()
    advance(1)
    expired = "payment_intent.canceled invoice.voided invoice.updated customer.subscription.updated"
    assert told() == ADVANCED.format(expired)
    assert shop.get(f"/subscriptions/{made['id']}")["status"] == "incomplete_expired"


def test_a_renewal_is_paid_at_a_later_try(
    shop: Shop, clock: str, advance: Callable[[float], None], told: Callable[[], str]
) -> None:
    customer = shop.customer("chargeCustomerFail", test_clock=clock)
    subscription = shop.subscription(customer, shop.price(), trial_period_days=1)
    advance(1.2)
    method = shop.post("/payment_methods/pm_card_visa/attach", customer=customer)["id"]
    shop.post(f"/customers/{customer}", **{"invoice_settings[default_payment_method]": method})
    told()
    advance(5)
    assert told() == ADVANCED.format(f"{PAYMENT_OF_INVOICE} customer.subscription.updated")
    assert shop.get(f"/subscriptions/{subscription['id']}")["status"] == "active"


def test_of_what_goes_with_a_test_clock_the_clock_is_told_alone(
    shop: Shop, clock: str, told: Callable[[], str]
) -> None:
    shop.subscription(shop.customer(test_clock=clock), shop.price())
    told()
    shop.delete(f"/test_helpers/test_clocks/{clock}")
    assert told() == "test_helpers.test_clock.deleted"


def decided(simulator: SimulatorProcess, type_: str, identifier: str, **fields: object) -> dict[str, Any]:
    """The object after customers or banks have done something with it."""
    found = simulator.control("POST", "/outcomes", {"type": type_, "id": identifier, **fields})
    assert isinstance(found, dict)
    return found


def test_a_customer_completes_a_checkout_session(
    shop: Shop, simulator: SimulatorProcess, told: Callable[[], str]
) -> None:
    monthly, once = shop.price(), shop.price(interval=None)
    told()
    paid = (
        f"invoice.created {FINALIZED} invoice.updated customer.subscription.created {PAYMENT_OF_INVOICE}"
        " customer.subscription.updated checkout.session.completed"
    )
    for mode, price, types in (
        ("subscription", monthly, f"customer.created payment_method.attached {paid}"),
        ("payment", once, "payment_intent.created charge.succeeded payment_intent.succeeded"
                          " checkout.session.completed"),
        ("setup", None, "customer.created payment_method.attached setup_intent.created"
                        " setup_intent.succeeded checkout.session.completed"),
    ):  # fmt: skip
        items = {"line_items[0][price]": price, "line_items[0][quantity]": 1} if price else {}
        session = shop.post("/checkout/sessions", mode=mode, success_url="https://a.test", **items)
        done = decided(simulator, "checkout.session.completed", session["id"])
        assert (done["status"], told()) == ("complete", types)
        assert shop.get(f"/checkout/sessions/{session['id']}") == done
        owned = done["customer"] and shop.get("/subscriptions", customer=done["customer"])["data"]
        assert [each["id"] for each in owned or ()] == [done["subscription"]] * bool(owned)
    wait_until(lambda: not list(silent_changes(shop.client)))


def test_banks_decide(shop: Shop, simulator: SimulatorProcess, told: Callable[[], str]) -> None:
    for outcome, types in (
        ("payout.paid", "payout.created payout.paid"),
        ("payout.failed", "payout.created payout.failed"),
    ):
        payout = shop.post("/payouts", amount=100, currency="usd")["id"]
        assert decided(simulator, outcome, payout)["status"] == outcome.rpartition(".")[2]
        assert told() == types
    for status, types in (
        ("won", "charge.dispute.funds_reinstated charge.dispute.closed"),
        ("lost", "charge.dispute.closed"),
    ):
        shop.post("/payment_intents", **CONFIRMED, payment_method="pm_card_createDispute")
        dispute = shop.get("/disputes", limit=1)["data"][0]["id"]
        told()
        assert decided(simulator, "charge.dispute.closed", dispute, status=status)["status"] == status
        assert told() == types
    intent = shop.post("/payment_intents", **CONFIRMED, payment_method="pm_card_visa")["id"]
    refund = shop.post("/refunds", payment_intent=intent, amount=100)["id"]
    told()
    assert decided(simulator, "refund.failed", refund)["status"] == "failed"
    assert told() == "refund.updated refund.failed"
    wrong = httpx.post(f"{simulator.url}/_simulator/outcomes", json={"type": "a.b", "id": "x"})
    assert (wrong.status_code, "payout.paid" in wrong.text) == (400, True)
    wait_until(lambda: not list(silent_changes(shop.client)))


def test_a_customer_authenticates_a_payment(
    shop: Shop, simulator: SimulatorProcess, told: Callable[[], str]
) -> None:
    subscription = shop.subscription(shop.customer("threeDSecure2Required"), shop.price())
    assert subscription["status"] == "incomplete"
    invoice = f"/invoices/{subscription['latest_invoice']}"
    payments = shop.get(invoice, **{"expand[]": "payments"})["payments"]["data"]
    intent = payments[0]["payment"]["payment_intent"]
    told()
    failed = decided(simulator, "payment_intent.payment_failed", intent)
    assert (failed["status"], told()) == ("requires_payment_method", "payment_intent.payment_failed")
    shop.post(f"/payment_intents/{intent}/confirm", payment_method="pm_card_threeDSecure2Required")
    told()
    assert decided(simulator, "payment_intent.succeeded", intent)["status"] == "succeeded"
    assert sorted(told().split()) == [
        "charge.succeeded", "customer.subscription.updated", "invoice.paid", "invoice.payment_succeeded",
        "invoice.updated", "invoice_payment.paid", "payment_intent.succeeded",
    ]  # fmt: skip
    assert shop.get(f"/subscriptions/{subscription['id']}")["status"] == "active"
    wait_until(lambda: not list(silent_changes(shop.client)))


def test_a_connected_account_tells_of_itself(shop: Shop) -> None:
    """Its events are not among those of the platform, and name it."""
    account = shop.post("/accounts", type="express", country="US")["id"]
    shop.post(f"/accounts/{account}", **{"metadata[a]": "b"})
    assert all_events(shop.client) == []
    (event,) = shop.client.get("/events", headers={"Stripe-Account": account}).json()["data"]
    assert (event["type"], event["account"]) == ("account.updated", account)
    assert event["data"]["object"] == shop.get(f"/accounts/{account}")
