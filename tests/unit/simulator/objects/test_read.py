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
