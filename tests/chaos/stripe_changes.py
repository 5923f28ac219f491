"""Random changes of a Stripe account, sent to its API as other programs send them."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

import urllib3

from support.database import KEY

_ATTEMPTS: Final = 12  # of a request that meets faults, with its idempotency key
_PAUSE_SECONDS: Final = 0.05
_MAX_KNOWN: Final = 60  # objects of a kind that are changed again, so that several events are about one
_DAY: Final = 86_400
_CLOCK_START: Final = 1_800_000_000
_CHOSEN_COUPONS: Final = tuple(f"coupon-{n}" for n in range(6))  # ids that come back after their deletion
_CHOSEN_PRODUCTS: Final = tuple(f"prod_chosen{n}" for n in range(6))


class StripeChanges:
    """Makes one random change after another, and remembers the objects that later ones may change."""

    def __init__(self, url: str, seed: int) -> None:
        """Do nothing yet; ``url`` is the address of the API."""
        self._url = url
        self._seed = seed
        self._http = urllib3.PoolManager(retries=False, timeout=30)
        self._random = random.Random(seed)
        self._known: dict[str, list[str]] = {}
        self._keys = 0
        self.made: Counter[str] = Counter()  # changes by name, and those that Stripe refused
        self._changes: dict[str, tuple[int, Callable[[], Any]]] = {
            "customer created": (6, self._create_customer),
            "customer updated": (14, self._update_customer),
            "customer deleted": (2, self._delete_customer),
            "card attached": (3, self._attach_card),
            "product created": (3, self._create_product),
            "product updated": (8, self._update_product),
            "product deleted or made again": (3, self._remake_product),
            "price created": (3, self._create_price),
            "price updated": (4, self._update_price),
            "coupon deleted or made again": (4, self._remake_coupon),
            "subscription created": (6, self._create_subscription),
            "subscription updated": (10, self._update_subscription),
            "subscription canceled": (2, self._cancel_subscription),
            "item added": (4, self._add_item),
            "item changed or removed": (5, self._change_item),
            "invoice created": (4, self._create_invoice),
            "invoice finalized, paid or voided": (6, self._move_invoice),
            "payment made": (5, self._pay),
            "payment refunded": (3, self._refund),
            "burst": (4, self._burst),
            "test clock advanced": (2, self._advance_clock),
            "test clock deleted": (1, self._delete_clock),
        }

    def prepare(self) -> None:
        """Make the few objects that every change needs."""
        for _ in range(4):
            self._create_customer()
        for _ in range(3):
            self._create_price()

    def make(self, step: int) -> None:
        """Make the change of a step: the seed and the step choose it among the objects that there are."""
        self._random.seed(f"{self._seed}/{step}")
        names = list(self._changes)
        weights = [weight for weight, _ in self._changes.values()]
        (name,) = self._random.choices(names, weights)
        done = self._changes[name][1]()
        self.made[name if done else "refused by Stripe"] += 1

    def some(self, kind: str) -> str:
        """Return the id of an object of a kind; "" if there is none."""
        known = self._known.get(kind)
        return self._random.choice(known) if known else ""

    def _send(self, method: str, path: str, **params: Any) -> dict[str, Any] | None:
        """Return Stripe's answer, or None for an error of the request. Faults are tried again."""
        self._keys += 1
        headers = {"Authorization": f"Bearer {KEY}"}
        if method == "POST":
            headers["Idempotency-Key"] = f"chaos-{self._seed}-{self._keys}"
        for _ in range(_ATTEMPTS):
            try:
                answer = self._http.request_encode_body(
                    method, f"{self._url}/v1/{path}", fields=params, encode_multipart=False, headers=headers
                )
                if answer.status < 300:
                    return dict(answer.json())
                if answer.status < 500 and answer.status not in (409, 429):
                    return None
                if answer.status == 500:  # kept for its key: what became of it is not known
                    return None
            except (urllib3.exceptions.HTTPError, ValueError):
                pass
            time.sleep(_PAUSE_SECONDS)
        return None

    def _post(self, path: str, **params: Any) -> dict[str, Any] | None:
        return self._send("POST", path, **params)

    def _keep(self, kind: str, answer: dict[str, Any] | None) -> dict[str, Any] | None:
        if answer is not None:
            known = self._known.setdefault(kind, [])
            if answer["id"] not in known:
                known.append(answer["id"])
            if len(known) > _MAX_KNOWN:
                known.pop(0)
        return answer

    def _forget(self, kind: str, key: str) -> None:
        if key in self._known.get(kind, ()):
            self._known[kind].remove(key)

    def _word(self) -> str:
        return f"word {self._random.randrange(1000)}"

    def _create_customer(self) -> object:
        made = self._keep("customer", self._post("customers", name=self._word()))
        return made and self._attach(made["id"])

    def _attach(self, customer: str) -> object:
        card = self._random.choice(("visa", "mastercard", "chargeCustomerFail"))
        method = self._post(f"payment_methods/pm_card_{card}/attach", customer=customer)
        default = "invoice_settings[default_payment_method]"
        return method and self._post(f"customers/{customer}", **{default: method["id"]})

    def _attach_card(self) -> object:
        return self._attach(self.some("customer"))

    def _update_customer(self) -> object:
        path = f"customers/{self.some('customer')}"
        if self._random.random() < 0.3:
            return self._post(path, **{"metadata[word]": self._word()})
        return self._post(path, name=self._word())

    def _delete_customer(self) -> object:
        key = self.some("customer")
        self._forget("customer", key)
        return self._send("DELETE", f"customers/{key}")

    def _create_product(self) -> object:
        return self._keep("product", self._post("products", name=self._word()))

    def _update_product(self) -> object:
        active = self._random.choice(("true", "false"))
        return self._post(f"products/{self.some('product')}", description=self._word(), active=active)

    def _remake_product(self) -> object:
        key = self._random.choice(_CHOSEN_PRODUCTS)
        if self._random.random() < 0.5:
            self._forget("product", key)
            return self._send("DELETE", f"products/{key}")
        return self._keep("product", self._post("products", id=key, name=self._word()))

    def _create_price(self) -> object:
        amount = self._random.randrange(100, 10_000)
        recurring = {"recurring[interval]": self._random.choice(("month", "week"))}
        product = {"product_data[name]": self._word()}
        return self._keep(
            "price", self._post("prices", currency="usd", unit_amount=amount, **recurring, **product)
        )

    def _update_price(self) -> object:
        return self._post(f"prices/{self.some('price')}", nickname=self._word())

    def _remake_coupon(self) -> object:
        key = self._random.choice(_CHOSEN_COUPONS)
        if self._random.random() < 0.5:
            return self._send("DELETE", f"coupons/{key}")
        percent = self._random.randrange(1, 100)
        return self._post("coupons", id=key, percent_off=percent, duration="once")

    def _create_subscription(self) -> object:
        items = {f"items[{n}][price]": price for n, price in enumerate({self.some("price") for _ in "abc"})}
        trial = {"trial_period_days": 7} if self._random.random() < 0.3 else {}
        customer = self.some("customer")
        return self._keep("subscription", self._post("subscriptions", customer=customer, **items, **trial))

    def _update_subscription(self) -> object:
        path = f"subscriptions/{self.some('subscription')}"
        chance = self._random.random()
        if chance < 0.4:
            return self._post(path, **{"metadata[word]": self._word()})
        if chance < 0.7:
            return self._post(path, cancel_at_period_end=self._random.choice(("true", "false")))
        coupon = self._random.choice(_CHOSEN_COUPONS)
        return self._post(path, **{"discounts[0][coupon]": coupon})

    def _cancel_subscription(self) -> object:
        key = self.some("subscription")
        self._forget("subscription", key)
        return self._send("DELETE", f"subscriptions/{key}")

    def _add_item(self) -> object:
        values = {"subscription": self.some("subscription"), "price": self.some("price")}
        return self._keep("item", self._post("subscription_items", **values))

    def _change_item(self) -> object:
        key = self.some("item")
        if self._random.random() < 0.4:
            self._forget("item", key)
            return self._send("DELETE", f"subscription_items/{key}")
        return self._post(f"subscription_items/{key}", quantity=self._random.randrange(1, 20))

    def _create_invoice(self) -> object:
        customer = self.some("customer")
        made = self._keep("invoice", self._post("invoices", customer=customer))
        line = {"customer": customer, "amount": self._random.randrange(100, 9000), "currency": "usd"}
        for _ in range(
            self._random.randrange(1, 14) if made else 0
        ):  # more than an invoice shows of its lines
            assert made is not None
            self._post("invoiceitems", invoice=made["id"], **line)
        return made

    def _move_invoice(self) -> object:
        key = self.some("invoice")
        verb = self._random.choice(("finalize", "finalize", "pay", "void", "mark_uncollectible", "delete"))
        if verb == "delete":
            return self._send("DELETE", f"invoices/{key}")
        return self._post(f"invoices/{key}/{verb}")

    def _pay(self) -> object:
        card = self._random.choice(("visa", "chargeDeclined"))
        intent = {"amount": self._random.randrange(100, 9000), "currency": "usd", "confirm": "true"}
        never = {"automatic_payment_methods[enabled]": "true"}
        never["automatic_payment_methods[allow_redirects]"] = "never"
        return self._keep(
            "intent", self._post("payment_intents", payment_method=f"pm_card_{card}", **intent, **never)
        )

    def _refund(self) -> object:
        amount = self._random.randrange(1, 60)
        return self._post("refunds", payment_intent=self.some("intent"), amount=amount)

    def _burst(self) -> object:
        """Change one object several times in a second, there and back."""
        path = f"customers/{self.some('customer')}"
        words = [self._word(), self._word()]
        done = [self._post(path, name=words[n % 2]) for n in range(5)]
        return any(done)

    def _advance_clock(self) -> object:
        key = self.some("clock")
        if not key or self._random.random() < 0.3:
            made = self._keep("clock", self._post("test_helpers/test_clocks", frozen_time=_CLOCK_START))
            if made is None:
                return None
            customer = self._post("customers", name=self._word(), test_clock=made["id"])
            if customer is None:
                return None
            self._attach(customer["id"])
            trial = {"trial_period_days": 3} if self._random.random() < 0.5 else {}
            price = {"items[0][price]": self.some("price")}
            return self._post("subscriptions", customer=customer["id"], **price, **trial)
        clock = self._send("GET", f"test_helpers/test_clocks/{key}")
        if clock is None:
            return None
        ahead = clock["frozen_time"] + self._random.randrange(1, 40) * _DAY
        return self._post(f"test_helpers/test_clocks/{key}/advance", frozen_time=ahead)

    def _delete_clock(self) -> object:
        key = self.some("clock")
        self._forget("clock", key)
        return self._send("DELETE", f"test_helpers/test_clocks/{key}")
