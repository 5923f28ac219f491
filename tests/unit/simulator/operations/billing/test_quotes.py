"""Quotes (https://docs.stripe.com/quotes)."""


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
