"""What tests of billing need: a customer with a card, a price, and how to ask and be refused."""

from __future__ import annotations

import httpx

DAY = 86_400  # seconds
START = 1_800_000_000  # the time at which test clocks begin
MONTH = 2000  # what the usual price costs, in cents


class Shop:
    """A client with the few objects that every test of billing begins with."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client

    def get(self, path: str, **params: object) -> dict:
        answer = self.client.get(path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, **data: object) -> dict:
        answer = self.client.post(path, data=data)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def delete(self, path: str, **params: object) -> dict:
        answer = self.client.delete(path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def refused(self, path: str, status: int = 400, method: str = "POST", **data: object) -> dict:
        answer = self.client.request(method, path, data=data)
        assert answer.status_code == status, answer.text
        return answer.json()["error"]

    def customer(self, card: str | None = "visa", **data: object) -> str:
        """A new customer whose default is this test card."""
        made = self.post("/customers", **data)["id"]
        if card is not None:
            method = self.post(f"/payment_methods/pm_card_{card}/attach", customer=made)["id"]
            self.post(f"/customers/{made}", **{"invoice_settings[default_payment_method]": method})
        return made

    def price(self, amount: int = MONTH, interval: str | None = "month", **data: object) -> str:
        """A new price, recurring unless told otherwise."""
        recurring = {"recurring[interval]": interval} if interval else {}
        fields = {"currency": "usd", "unit_amount": amount, "product_data[name]": "Tea"}
        return self.post("/prices", **{**fields, **recurring, **data})["id"]

    def subscription(self, customer: str, price: str, **data: object) -> dict:
        return self.post("/subscriptions", **{"customer": customer, "items[0][price]": price, **data})

    def invoice(self, customer: str, amount: int | None = None, **data: object) -> dict:
        """A new draft, with one line where an amount is given."""
        made = self.post("/invoices", customer=customer, **data)
        if amount is not None:
            self.post("/invoiceitems", customer=customer, amount=amount, currency="usd", invoice=made["id"])
        return self.get(f"/invoices/{made['id']}")

    def types(self, limit: int = 100) -> list[str]:
        """The types of all events, oldest first."""
        return [one["type"] for one in self.get("/events", limit=limit)["data"]][::-1]

    def pending(self, customer: str) -> list[dict]:
        return self.get("/invoiceitems", customer=customer, pending="true")["data"][::-1]
