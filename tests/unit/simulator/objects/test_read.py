"""Single objects, lists inside them, and expand (https://docs.stripe.com/api/expanding_objects)."""

import pytest


def test_an_object_is_the_same_alone_and_in_a_list(reader):
    for path in ("/customers", "/subscriptions", "/invoices", "/charges", "/payment_intents"):
        listed = reader.page(path, limit=3)["data"]
        for values in listed:
            assert reader.page(f"{path}/{values['id']}") == values


@pytest.mark.parametrize(
    ("method", "path", "param", "message"),
    [
        ("GET", "/coupons/none", "coupon", "No such coupon: 'none'"),
        ("GET", "/customers/none", "id", "No such customer: 'none'"),
        ("GET", "/customers/none/payment_methods", "id", "No such customer: 'none'"),
        ("GET", "/invoices/none", "invoice", "No such invoice: 'none'"),
        ("DELETE", "/invoices/none", "invoice", "No such invoice: 'none'"),
        ("POST", "/invoices/none", "id", "No such invoice: 'none'"),
        ("POST", "/invoices/none/finalize", "id", "No such invoice: 'none'"),
        ("POST", "/invoices/none/pay", "id", "No such invoice: 'none'"),
        ("POST", "/invoices/none/send", "invoice", "No such invoice: 'none'"),
        ("POST", "/invoices/none/void", "id", "No such invoice: 'none'"),
        ("GET", "/invoiceitems/none", "invoiceitem", "No such Invoice Item: 'none'"),
        ("GET", "/balance_transactions/none", "id", "No such balance transaction: 'none'"),
        ("GET", "/charges/none", "id", "No such charge: 'none'"),
        ("GET", "/disputes/none", "dispute", "No such dispute: 'none'"),
        ("GET", "/payment_intents/none", "intent", "No such payment_intent: 'none'"),
        ("POST", "/payment_intents/none/confirm", "intent", "No such payment_intent: 'none'"),
        ("GET", "/setup_intents/none", "intent", "No such setupintent: 'none'"),
        ("GET", "/payouts/none", "payout", "No such payout: 'none'"),
        ("POST", "/payouts/none/cancel", "payout", "No such payout: 'none'"),
        ("POST", "/payouts/none/reverse", "payout", "No such payout: 'none'"),
        ("GET", "/prices/none", "price", "No such price: 'none'"),
        ("POST", "/prices/none", "price", "No such price: 'none'"),
        ("GET", "/products/none", "id", "No such product: 'none'"),
        ("GET", "/promotion_codes/none", "promotion_code", "No such promotion code: 'none'"),
        ("POST", "/promotion_codes/none", "promotion_code", "No such promotion code: 'none'"),
        ("GET", "/subscriptions/none", "id", "No such subscription: 'none'"),
        ("POST", "/subscriptions/none", "id", "No such subscription: 'none'"),
        ("POST", "/subscriptions/none/resume", "id", "No such subscription: 'none'"),
        ("GET", "/tax_rates/none", "tax_rate", "No such tax rate: 'none'"),
    ],
)
def test_the_error_of_a_missing_object_names_it_as_the_path_does_or_as_id(
    stripe, method, path, param, message
):
    answer = stripe.request(method, path)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (404, "resource_missing")
    assert (error["param"], error["message"]) == (param, message)


def test_a_missing_subscription_item_has_neither_code_nor_parameter(stripe):
    for answer in (stripe.get("/subscription_items/si_x"), stripe.post("/subscription_items/si_x")):
        assert answer.status_code == 404
        assert answer.json()["error"]["message"] == "Invalid subscription_item id: si_x"
        assert {"code", "param"}.isdisjoint(answer.json()["error"])


def test_a_missing_object(reader):
    error = reader.error("/customers/cus_x", 404)
    assert error["message"] == "No such customer: 'cus_x'"
    assert (error["code"], error["param"]) == ("resource_missing", "id")
    assert error["doc_url"] == "https://stripe.com/docs/error-codes/resource-missing"


def test_a_deleted_customer_says_no_more_than_that(reader, stripe):
    customer = reader.page("/customers", limit=1)["data"][0]["id"]
    deleted = {"id": customer, "object": "customer", "deleted": True}
    assert stripe.delete(f"/customers/{customer}").json() == deleted
    assert reader.page(f"/customers/{customer}") == deleted


def test_lists_inside_objects_show_ten_and_the_rest_is_listed(reader):
    invoices = reader.all("/invoices")
    long = next(invoice for invoice in invoices if invoice["lines"]["has_more"])
    short = next(invoice for invoice in invoices if not invoice["lines"]["has_more"])
    assert len(long["lines"]["data"]) == 10
    assert short["lines"]["total_count"] == len(short["lines"]["data"])
    assert long["lines"]["url"] == f"/v1/invoices/{long['id']}/lines"
    lines = reader.all(f"/invoices/{long['id']}/lines", limit=10)
    assert len(lines) == long["lines"]["total_count"] > 10
    assert lines[:10] == long["lines"]["data"]
    assert reader.all(f"/invoices/{short['id']}/lines") == short["lines"]["data"]
    assert any(
        len(reader.all(f"/invoices/{invoice['id']}/lines")) > 100
        for invoice in invoices
        if invoice["lines"]["has_more"]
    )


def test_amounts_add_up(reader):
    for invoice in reader.page("/invoices", limit=50)["data"]:
        lines = reader.all(f"/invoices/{invoice['id']}/lines")
        assert invoice["total"] == sum(line["amount"] for line in lines)


def test_items_know_their_subscription_and_price(reader):
    subscriptions = reader.all("/subscriptions")
    long = next(subscription for subscription in subscriptions if subscription["items"]["has_more"])
    items = reader.all("/subscription_items", subscription=long["id"])
    assert len(items) > 10
    assert {item["subscription"] for item in items} == {long["id"]}
    for item in items[:3]:
        assert reader.page(f"/prices/{item['price']['id']}") == item["price"]
        assert reader.page(f"/subscription_items/{item['id']}") == item


def test_a_list_of_a_missing_parent(reader):
    assert reader.error("/invoices/in_x/lines", 404)["message"] == "No such invoice: 'in_x'"


def test_expand_replaces_ids_by_objects(reader):
    subscription = reader.page("/subscriptions", limit=1, **{"expand[]": "data.customer"})["data"][0]
    customer = subscription["customer"]
    assert customer == reader.page(f"/customers/{customer['id']}")
    deep = reader.page(
        f"/subscriptions/{subscription['id']}",
        **{"expand[]": ["items.data.price.product", "latest_invoice.customer"]},
    )
    assert deep["items"]["data"][0]["price"]["product"]["object"] == "product"
    if deep["latest_invoice"]:
        assert deep["latest_invoice"]["customer"]["id"] == customer["id"]


def test_expand_goes_four_levels_and_no_further_not_counting_the_list_itself(reader):
    subscription = reader.page("/subscriptions", limit=1)["data"][0]["id"]
    for path, levels in (
        ("/subscriptions", "data.a.b.c.d.e"),
        (f"/subscriptions/{subscription}", "a.b.c.d.e"),
    ):
        error = reader.error(path, **{"expand[]": levels})
        assert (error["code"], error["param"]) == ("property_expansion_max_depth", "expand")
        assert "more than 4 levels" in error["message"]
    deepest = {"expand[]": "data.items.data.price.product"}
    listed = reader.page("/subscriptions", limit=1, **deepest)["data"][0]
    assert listed["items"]["data"][0]["price"]["product"]["object"] == "product"


def test_fields_without_an_object_cannot_be_expanded(reader):
    error = reader.error("/customers", **{"expand[]": "data.email"})
    assert error["message"] == "This property cannot be expanded (data)."
    customer = reader.page("/customers", limit=1)["data"][0]["id"]
    error = reader.error(f"/customers/{customer}", **{"expand[]": "object.more"})
    assert error["message"] == "This property cannot be expanded (object)."
    error = reader.error("/subscriptions", **{"expand[]": "customer"})
    assert "data.customer" in error["message"]


def test_fields_that_come_only_when_expanded(reader):
    customer = reader.page("/customers", limit=1)["data"][0]["id"]
    assert "tax_ids" not in reader.page(f"/customers/{customer}")
    listed = reader.page(f"/customers/{customer}", **{"expand[]": "tax_ids"})["tax_ids"]
    assert listed["object"] == "list"
    assert listed["url"] == f"/v1/customers/{customer}/tax_ids"


def test_the_preview_of_an_invoice(reader, stripe):
    subscription = reader.page("/subscriptions", limit=1, status="active")["data"][0]
    preview = stripe.post("/invoices/create_preview", data={"subscription": subscription["id"]}).json()
    assert preview["object"] == "invoice"
    assert preview["customer"] == subscription["customer"]
    assert preview["parent"]["subscription_details"]["subscription"] == subscription["id"]
    assert preview["total"] == sum(line["amount"] for line in preview["lines"]["data"])
    assert preview["lines"]["total_count"] == len(preview["lines"]["data"])
    customer = stripe.post("/customers", data={}).json()["id"]
    response = stripe.post("/invoices/create_preview", data={"customer": customer})
    assert (response.status_code, response.json()["error"]["code"]) == (404, "invoice_upcoming_none")


def test_the_preview_of_an_invoice_holds_its_first_lines(reader, stripe):
    subscriptions = reader.all("/subscriptions", status="active")
    subscription = next(each for each in subscriptions if each["items"]["has_more"])
    preview = stripe.post("/invoices/create_preview", data={"subscription": subscription["id"]}).json()
    assert (len(preview["lines"]["data"]), preview["lines"]["has_more"]) == (10, True)
    items = reader.all("/subscription_items", subscription=subscription["id"])
    assert preview["lines"]["total_count"] == len(items)
    assert preview["subtotal"] == sum(item["price"]["unit_amount"] * item["quantity"] for item in items)


def test_the_account_and_the_balance(reader):
    assert reader.page("/account")["object"] == "account"
    assert reader.page("/balance")["object"] == "balance"


def test_what_was_written_is_hidden_until_it_is_expanded(stripe):
    tiered = {
        "currency": "usd", "product_data[name]": "stairs", "recurring[interval]": "month",
        "billing_scheme": "tiered", "tiers_mode": "graduated",
        "tiers[0][up_to]": 5, "tiers[0][unit_amount]": 500,
        "tiers[1][up_to]": "inf", "tiers[1][unit_amount]": 400,
    }  # fmt: skip
    created = stripe.post("/prices", data=tiered).json()
    shown = stripe.post("/prices", data=tiered | {"expand[]": "tiers"}).json()
    path = f"/prices/{created['id']}"
    assert {"tiers", "currency_options"}.isdisjoint(created)
    assert len(shown["tiers"]) == 2
    assert {"tiers", "currency_options"}.isdisjoint(stripe.get(path).json())
    expanded = stripe.get(path, params={"expand[]": ["tiers", "currency_options"]}).json()
    assert len(expanded["tiers"]) == 2
    assert list(expanded["currency_options"]) == ["usd"]
    listed = stripe.get("/prices", params={"limit": 2}).json()["data"]
    assert not any("tiers" in price for price in listed)
    listed = stripe.get("/prices", params={"limit": 2, "expand[]": "data.tiers"}).json()["data"]
    assert [len(price["tiers"]) for price in listed] == [2, 2]


def test_events_do_not_show_what_has_to_be_expanded(stripe):
    fields = {"currency": "usd", "unit_amount": 900, "product_data[name]": "tea"}
    price = stripe.post("/prices", data=fields | {"currency_options[eur][unit_amount]": 800}).json()["id"]
    stripe.post(f"/prices/{price}", data={"currency_options[eur][unit_amount]": 700, "nickname": "x"})
    for kind, previous in (("created", None), ("updated", {"nickname": None})):
        answer = stripe.get("/events", params={"types[]": f"price.{kind}", "limit": 1}).json()
        event = answer["data"][0]
        assert event["data"]["object"]["id"] == price
        assert "currency_options" not in event["data"]["object"]
        assert event["data"].get("previous_attributes") == previous
    options = stripe.get(f"/prices/{price}", params={"expand[]": "currency_options"}).json()
    assert options["currency_options"]["eur"]["unit_amount"] == 700


def test_a_coupon_shows_its_products_when_they_are_expanded(stripe):
    product = stripe.post("/products", data={"name": "cup"}).json()["id"]
    coupon = {"percent_off": 5, "duration": "once", "applies_to[products][0]": product}
    created = stripe.post("/coupons", data=coupon).json()
    assert "applies_to" not in created
    expanded = stripe.get(f"/coupons/{created['id']}", params={"expand[]": "applies_to"}).json()
    assert expanded["applies_to"] == {"products": [product]}


def test_an_object_inside_another_is_expanded_by_its_path(stripe):
    price = {
        "currency": "usd",
        "unit_amount": 100,
        "product_data[name]": "tea",
        "recurring[interval]": "month",
    }
    price_id = stripe.post("/prices", data=price).json()["id"]
    customer = stripe.post("/customers", data={"payment_method": "pm_card_visa",
        "invoice_settings[default_payment_method]": "pm_card_visa"}).json()["id"]  # fmt: skip
    subscription = stripe.post(
        "/subscriptions", data={"customer": customer, "items[0][price]": price_id}
    ).json()
    assert "currency_options" not in subscription["items"]["data"][0]["price"]
    path = {"expand[]": "items.data.price.currency_options"}
    expanded = stripe.get(f"/subscriptions/{subscription['id']}", params=path).json()
    assert expanded["items"]["data"][0]["price"]["currency_options"]["usd"]["unit_amount"] == 100
    shown = stripe.get(f"/customers/{customer}", params={"expand[]": "subscriptions"}).json()["subscriptions"]
    assert [item["id"] for item in shown["data"]] == [subscription["id"]]
    assert "currency_options" not in shown["data"][0]["items"]["data"][0]["price"]


def test_card_numbers_come_for_one_virtual_card(reader):
    cards = reader.page("/issuing/cards", limit=100)["data"]
    assert not any("number" in card or "cvc" in card for card in cards)
    virtual = next(card for card in cards if card["type"] == "virtual")
    shown = reader.page(f"/issuing/cards/{virtual['id']}", **{"expand[]": ["number", "cvc"]})
    assert shown["number"].endswith(str(virtual["last4"]))
    assert len(shown["cvc"]) == 3
    error = reader.error("/issuing/cards", **{"expand[]": "data.number"})
    assert error["message"].startswith("This property cannot be expanded (data)")


def test_the_refunds_of_a_charge(reader):
    refund = next(item for item in reader.page("/refunds", limit=100)["data"] if item["charge"])
    charge = reader.page(f"/charges/{refund['charge']}")
    assert "refunds" not in charge
    shown = reader.page(f"/charges/{refund['charge']}", **{"expand[]": "refunds"})["refunds"]
    assert refund["id"] in [item["id"] for item in shown["data"]]
