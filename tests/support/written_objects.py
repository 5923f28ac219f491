"""What tests of writing share: objects by name, and requests as they were made."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote, urlencode

import urllib3

from stripe_simulator.process import SimulatorProcess

Made = Callable[[], list[str]]
KEY = "sk_test_51KeyOfTheWritesTests0000"


class World:
    """Objects by the names that statements give them, made when a statement first names them."""

    def __init__(self, stripe: SimulatorProcess) -> None:
        self._stripe = stripe
        self.objects: dict[str, dict[str, Any]] = {}

    def call(self, method: str, path: str, **fields: object) -> dict[str, Any]:
        """One of Stripe's operations, called by another client."""
        answer = urllib3.request(
            method,
            f"{self._stripe.url}/v1/{path}",
            body=urlencode(fields) if method == "POST" else None,
            headers={"Authorization": f"Bearer {KEY}", "Content-Type": "application/x-www-form-urlencoded"},
            timeout=20,
        )
        assert answer.status == 200, answer.data
        found: dict[str, Any] = answer.json()
        return found

    def __getitem__(self, name: str) -> str:
        """The id of the object of this name."""
        if name not in self.objects:
            self.objects[name] = getattr(self, f"_{name.rstrip('0123456789')}")()
        return str(self.objects[name]["id"])

    def _cus(self) -> dict[str, Any]:
        fields = {"name": "Ada", "email": "ada@b.c", "metadata[a]": "1", "metadata[b]": "2", "phone": "1"}
        return self.call("POST", "customers", **fields, **{"address[city]": "Bonn", "address[country]": "DE"})

    def _cus_who_pays(self) -> dict[str, Any]:
        made = self._cus()
        method = self.call("POST", "payment_methods/pm_card_visa/attach", customer=made["id"])["id"]
        return self.call(
            "POST", f"customers/{made['id']}", **{"invoice_settings[default_payment_method]": method}
        )

    def _prod(self) -> dict[str, Any]:
        return self.call("POST", "products", name="Thing")

    def _price(self) -> dict[str, Any]:
        fields = {
            "product": self["prod"],
            "currency": "eur",
            "unit_amount": 500,
            "recurring[interval]": "month",
        }
        return self.call("POST", "prices", **fields)

    def _sub(self) -> dict[str, Any]:
        return self._subscription(self["cus"])

    def _subscription(self, customer: str, **more: object) -> dict[str, Any]:
        fields = {"items[0][price]": self["price"], "collection_method": "send_invoice", "days_until_due": 7}
        return self.call("POST", "subscriptions", customer=customer, **fields, **more)

    def _sub_of_(self) -> dict[str, Any]:
        return self._subscription(self["cus"], **{"items[0][quantity]": 5})

    def _si_of_(self) -> dict[str, Any]:
        self.__getitem__("sub_of_5")
        found: dict[str, Any] = self.objects["sub_of_5"]["items"]["data"][0]
        return found

    def _sub_canceled(self) -> dict[str, Any]:
        return self.call("DELETE", f"subscriptions/{self['sub']}")

    def _inv(self) -> dict[str, Any]:
        fields = {"collection_method": "send_invoice", "days_until_due": 7, "currency": "eur"}
        return self.call("POST", "invoices", customer=self["cus"], **fields)

    def _si(self) -> dict[str, Any]:
        self.__getitem__("sub")
        found: dict[str, Any] = self.objects["sub"]["items"]["data"][0]
        return found

    def _cus_with_sub(self) -> dict[str, Any]:
        made = self._cus()
        self.objects["sub_of_it"] = self._subscription(made["id"])
        return made

    def _coupon(self) -> dict[str, Any]:
        return self.call("POST", "coupons", percent_off=10, duration="once")

    def _promo(self) -> dict[str, Any]:
        fields = {"promotion[type]": "coupon", "promotion[coupon]": self["coupon"]}
        return self.call("POST", "promotion_codes", **fields)

    def _word(self) -> dict[str, Any]:
        return {"id": f"word{time.monotonic_ns()}"}

    def _pi_to_confirm(self) -> dict[str, Any]:
        return self._intent()

    def _pi_of_dashboard(self) -> dict[str, Any]:
        """A payment that accepts the payment methods of the Dashboard, which is the default."""
        fields = {"amount": 1000, "currency": "eur", "payment_method": "pm_card_visa"}
        return self.call("POST", "payment_intents", **fields)

    def _pi_to_capture(self) -> dict[str, Any]:
        return self._intent(confirm="true", capture_method="manual")

    def _intent(self, **fields: str) -> dict[str, Any]:
        method = {
            "payment_method": "pm_card_visa",
            "automatic_payment_methods[enabled]": "true",
            "automatic_payment_methods[allow_redirects]": "never",
        }
        return self.call("POST", "payment_intents", amount=1000, currency="eur", **method, **fields)

    def _seti(self) -> dict[str, Any]:
        return self.call("POST", "setup_intents", customer=self["cus"])

    def _pm(self) -> dict[str, Any]:
        return self.call("POST", "payment_methods", type="card", **{"card[token]": "tok_visa"})

    def _pm_of_cus(self) -> dict[str, Any]:
        return self.call("POST", "payment_methods/pm_card_visa/attach", customer=self["cus"])

    def _quote(self) -> dict[str, Any]:
        return self.call("POST", "quotes", customer=self["cus"], **{"line_items[0][price]": self["price"]})

    def _quote_open(self) -> dict[str, Any]:
        return self.call("POST", f"quotes/{self['quote']}/finalize")

    def _sched(self) -> dict[str, Any]:
        fields = {"phases[0][items][0][price]": self["price"], "phases[0][duration][interval]": "month"}
        return self.call(
            "POST", "subscription_schedules", customer=self["cus_who_pays"], start_date="now", **fields
        )

    def _cs(self) -> dict[str, Any]:
        fields = {"line_items[0][price]": self["price"], "line_items[0][quantity]": 1}
        return self.call(
            "POST", "checkout/sessions", mode="subscription", success_url="https://a.b", **fields
        )

    def _inv_of_500(self) -> dict[str, Any]:
        made = self._inv()
        self.call(
            "POST", "invoiceitems", customer=self["cus"], invoice=made["id"], amount=500, currency="eur"
        )
        return made

    def _inv_open(self) -> dict[str, Any]:
        return self.call("POST", f"invoices/{self._inv_of_500()['id']}/finalize", auto_advance="false")

    def _inv_paid(self) -> dict[str, Any]:
        return self.call("POST", f"invoices/{self._inv_open()['id']}/pay", paid_out_of_band="true")

    def _ii_final(self) -> dict[str, Any]:
        """An item of an invoice that is finalized."""
        invoice = self._inv_open()["id"]
        found: dict[str, Any] = self.call("GET", f"invoiceitems?invoice={invoice}")["data"][0]
        return found

    def _evt(self) -> dict[str, Any]:
        self.__getitem__("cus")  # so that there is an event
        found: dict[str, Any] = self.call("GET", "events?limit=1")["data"][0]
        return found

    def _pi(self) -> dict[str, Any]:
        return self.call("POST", "payment_intents", amount=1000, currency="eur")


def filled(text: str, world: World) -> str:
    """The text with the ids of the objects that it names in angle brackets."""
    parts = text.split("<")
    return parts[0] + "".join(
        world[part.partition(">")[0]] + part.partition(">")[2]
        if part[:1].isalpha() and ">" in part
        else "<" + part
        for part in parts[1:]
    )


def shown(item: dict[str, Any]) -> str:
    """A request of the simulator's log, as ``POST /v1/customers email=a@b.c``."""
    pairs = [f"{name}={value}" for name, value in [*item["query"], *item["form"]]]
    return " ".join([item["method"], unquote(item["path"]), *(["&".join(pairs)] if pairs else [])])
