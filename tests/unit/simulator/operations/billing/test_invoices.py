"""Invoices: lines, totals, states, payment (https://docs.stripe.com/invoicing, /api/invoices)."""

import pytest


@pytest.fixture
def customer(shop):
    return shop.customer(name="Ada", email="ada@example.com")


def test_a_new_invoice_is_an_empty_draft(shop, customer):
    invoice = shop.invoice(customer)
    assert (invoice["status"], invoice["total"], invoice["lines"]["data"]) == ("draft", 0, [])
    assert (invoice["customer_name"], invoice["customer_email"]) == ("Ada", "ada@example.com")
    assert (invoice["auto_advance"], invoice["billing_reason"], invoice["number"]) == (False, "manual", None)
    assert shop.types()[-1] == "invoice.created"


def test_an_invoice_item_for_a_draft_is_a_line_of_it(shop, customer):
    draft = shop.invoice(customer)
    item = shop.post("/invoiceitems", customer=customer, amount=500, currency="usd", invoice=draft["id"])
    assert item["invoice"] == draft["id"]
    invoice = shop.get(f"/invoices/{draft['id']}")
    (line,) = invoice["lines"]["data"]
    assert (line["amount"], line["invoice"]) == (500, draft["id"])
    assert line["parent"]["invoice_item_details"]["invoice_item"] == item["id"]
    assert shop.get(f"/invoices/{draft['id']}/lines")["data"] == [line]
    assert [invoice[name] for name in ("subtotal", "total", "amount_due", "amount_remaining")] == [500] * 4
    shop.post(f"/invoiceitems/{item['id']}", amount=700, description="tea")
    invoice = shop.get(f"/invoices/{draft['id']}")
    assert (invoice["total"], invoice["lines"]["data"][0]["description"]) == (700, "tea")
    shop.delete(f"/invoiceitems/{item['id']}")
    assert shop.get(f"/invoices/{draft['id']}")["lines"]["data"] == []


def test_an_invoice_has_one_currency(shop, customer):
    draft = shop.invoice(customer, currency="eur")
    item = {"customer": customer, "amount": 500, "invoice": draft["id"]}
    refused = shop.refused("/invoiceitems", **item, currency="usd")
    assert (refused["param"], "`usd`" in refused["message"]) == ("currency", True)
    assert shop.post("/invoiceitems", **item, currency="EUR")["currency"] == "eur"
    assert shop.post("/invoiceitems", **item)["currency"] == "eur"
    assert shop.get(f"/invoices/{draft['id']}")["total"] == 1000


def test_pending_items_come_only_where_they_are_asked_for(shop, customer):
    for amount in (300, 400):
        shop.post("/invoiceitems", customer=customer, amount=amount, currency="usd")
    assert shop.invoice(customer)["total"] == 0
    invoice = shop.invoice(customer, pending_invoice_items_behavior="include")
    assert invoice["total"] == 700
    assert shop.pending(customer) == []
    shop.delete(f"/invoices/{invoice['id']}")
    assert [item["amount"] for item in shop.pending(customer)] == [300, 400]


@pytest.mark.parametrize(
    ("data", "total"),
    [
        ({"amount": 500}, 500),
        ({"amount": -500}, -500),
        ({"unit_amount_decimal": "250.5", "quantity": 2}, 501),
        ({"price_data[currency]": "usd", "price_data[unit_amount]": 100, "quantity": 3}, 300),
    ],
)
def test_the_amount_of_an_invoice_item(shop, customer, data, total):
    if "price_data[currency]" in data:
        data = {**data, "price_data[product]": shop.post("/products", name="Tea")["id"]}
    item = shop.post("/invoiceitems", customer=customer, currency="usd", **data)
    assert (item["amount"], item["discountable"]) == (total, total >= 0)


def test_an_invoice_item_needs_an_amount_and_a_currency(shop, customer):
    assert shop.refused("/invoiceitems", customer=customer, currency="usd")["param"] == "amount"
    assert shop.refused("/invoiceitems", customer=customer, amount=5)["param"] == "currency"
    wrong = shop.refused("/invoiceitems", customer=customer, amount=5, currency="usd", invoice="in_x")
    assert wrong["message"] == "No such invoice: 'in_x'"


def test_lines_of_a_draft_are_added_changed_and_removed(shop, customer):
    path = f"/invoices/{shop.invoice(customer)['id']}"
    invoice = shop.post(
        f"{path}/add_lines",
        **{"lines[0][amount]": 1000, "lines[0][description]": "a", "lines[1][amount]": 50},
    )
    assert invoice["total"] == 1050
    first = next(entry for entry in invoice["lines"]["data"] if entry["description"] == "a")
    invoice = shop.post(f"{path}/update_lines", **{"lines[0][id]": first["id"], "lines[0][amount]": 2000})
    assert invoice["total"] == 2050
    line = shop.post(f"{path}/lines/{first['id']}", description="b", **{"metadata[k]": "v"})
    assert (line["description"], line["amount"], line["metadata"]) == ("b", 2000, {"k": "v"})
    invoice = shop.post(f"{path}/update_lines", **{"lines[0][id]": first["id"], "lines[0][metadata]": ""})
    assert next(entry for entry in invoice["lines"]["data"] if entry["id"] == first["id"])["metadata"] == {}
    invoice = shop.post(
        f"{path}/remove_lines", **{"lines[0][id]": first["id"], "lines[0][behavior]": "unassign"}
    )
    assert invoice["total"] == 50
    assert [entry["amount"] for entry in shop.pending(customer)] == [2000]
    shop.post(f"{path}/finalize")
    late = shop.refused(f"{path}/add_lines", **{"lines[0][amount]": 1})
    assert late["code"] == "invoice_not_editable"
    line = invoice["lines"]["data"][0]["id"]
    for change, data in (
        ("update_lines", {"lines[0][id]": line, "lines[0][amount]": 1}),
        ("remove_lines", {"lines[0][id]": line, "lines[0][behavior]": "delete"}),
        (f"lines/{line}", {"amount": 1}),
        ("", {"description": "late"}),
        ("finalize", {}),
    ):
        assert "code" not in shop.refused(f"{path}/{change}".rstrip("/"), **data)


def test_discounts_take_off_shares_and_amounts(shop, customer):
    draft = shop.invoice(customer, 1000)
    quarter = shop.post("/coupons", percent_off=25)["id"]
    fixed = shop.post("/coupons", amount_off=100, currency="usd")["id"]
    invoice = shop.post(
        f"/invoices/{draft['id']}", **{"discounts[0][coupon]": quarter, "discounts[1][coupon]": fixed}
    )
    assert (invoice["subtotal"], invoice["total"]) == (1000, 650)
    assert [discount["amount"] for discount in invoice["total_discount_amounts"]] == [250, 100]
    (line,) = invoice["lines"]["data"]
    assert [discount["amount"] for discount in line["discount_amounts"]] == [250, 100]
    shown = shop.get(f"/invoices/{invoice['id']}", **{"expand[]": "discounts"})["discounts"]
    assert [discount["source"]["coupon"] for discount in shown] == [quarter, fixed]
    assert shop.get(f"/coupons/{quarter}")["times_redeemed"] == 1
    assert shop.post(f"/invoices/{invoice['id']}", discounts="")["total"] == 1000


def test_tax_rates_add_or_are_within(shop, customer):
    draft = shop.invoice(customer, 1000)
    rates = [
        shop.post("/tax_rates", display_name="VAT", percentage=20, inclusive=inside)["id"]
        for inside in ("false", "true")
    ]
    path = f"/invoices/{draft['id']}"
    invoice = shop.post(path, **{"default_tax_rates[0]": rates[0]})
    assert (invoice["total"], invoice["total_excluding_tax"]) == (1200, 1000)
    invoice = shop.post(path, **{"default_tax_rates[0]": rates[1]})
    assert (invoice["total"], invoice["total_taxes"][0]["amount"]) == (1000, 167)


def test_finalizing_gives_a_number_and_a_payment_intent(shop, customer):
    draft = shop.invoice(customer, 500)
    invoice = shop.post(f"/invoices/{draft['id']}/finalize", **{"expand[]": "confirmation_secret"})
    prefix = shop.get(f"/customers/{customer}")["invoice_prefix"]
    assert (invoice["status"], invoice["number"]) == ("open", f"{prefix}-0001")
    assert invoice["status_transitions"]["finalized_at"] is not None
    assert invoice["confirmation_secret"]["client_secret"].startswith("pi_")
    (payment,) = shop.get("/invoice_payments", invoice=invoice["id"])["data"]
    assert (payment["status"], payment["amount_requested"]) == ("open", 500)
    again = shop.refused(f"/invoices/{draft['id']}/finalize")
    assert again["message"] == (
        "This invoice is already finalized, you can't re-finalize a non-draft invoice."
    )


def test_an_invoice_of_nothing_is_paid_at_once(shop, customer):
    invoice = shop.post(f"/invoices/{shop.invoice(customer)['id']}/finalize")
    assert (invoice["status"], invoice["amount_paid"]) == ("paid", 0)
    assert "invoice.paid" in shop.types()


def test_paying_charges_the_default_card(shop, customer):
    draft = shop.invoice(customer, 500)
    invoice = shop.post(f"/invoices/{draft['id']}/pay", **{"expand[]": "payments"})
    assert [invoice[name] for name in ("status", "amount_paid", "amount_remaining")] == ["paid", 500, 0]
    (payment,) = invoice["payments"]["data"]
    intent = shop.get(f"/payment_intents/{payment['payment']['payment_intent']}")
    assert (intent["status"], intent["amount_received"]) == ("succeeded", 500)
    assert shop.get(f"/charges/{intent['latest_charge']}")["amount"] == 500
    assert shop.refused(f"/invoices/{invoice['id']}/pay")["message"] == "Invoice is already paid"
    assert [event_type for event_type in shop.types() if event_type.startswith("invoice.")] == [
        "invoice.created", "invoice.updated", "invoice.finalized", "invoice.paid",
        "invoice.payment_succeeded", "invoice.updated",
    ]  # fmt: skip


def test_a_declined_card_leaves_the_invoice_open(shop):
    customer = shop.customer("chargeCustomerFail")
    path = f"/invoices/{shop.invoice(customer, 500)['id']}"
    declined = shop.refused(f"{path}/pay", 402)
    assert (declined["type"], declined["code"]) == ("card_error", "card_declined")
    invoice = shop.get(path)
    assert (invoice["status"], invoice["attempted"], invoice["attempt_count"]) == ("open", True, 1)
    assert "invoice.payment_failed" in shop.types()
    good = shop.post("/payment_methods/pm_card_visa/attach", customer=customer)["id"]
    assert shop.post(f"{path}/pay", payment_method=good)["status"] == "paid"


def test_paying_needs_something_to_charge(shop):
    path = f"/invoices/{shop.invoice(shop.customer(None), 500)['id']}"
    assert "default_payment_method" in shop.refused(f"{path}/pay")["message"]
    unattached = shop.post("/payment_methods/pm_card_visa/attach", customer=shop.customer(None))["id"]
    assert (
        "must be attached to the customer"
        in shop.refused(f"{path}/pay", payment_method=unattached)["message"]
    )
    invoice = shop.post(f"{path}/pay", paid_out_of_band="true")
    assert (invoice["status"], invoice["amount_paid_off_stripe"]) == ("paid", 500)


def test_confirming_the_payment_intent_pays_the_invoice(shop):
    draft = shop.invoice(shop.customer(None), 500)
    shop.post(f"/invoices/{draft['id']}/finalize")
    (payment,) = shop.get("/invoice_payments", invoice=draft["id"])["data"]
    intent = payment["payment"]["payment_intent"]
    shop.post(f"/payment_intents/{intent}/confirm", payment_method="pm_card_visa")
    assert shop.get(f"/invoices/{draft['id']}")["status"] == "paid"


def test_void_and_uncollectible(shop, customer):
    first, second = (f"/invoices/{shop.invoice(customer, 500)['id']}" for _ in range(2))
    refusal = "You can only pass in open invoices. This invoice isn't open."
    assert shop.refused(f"{first}/void")["message"] == refusal
    assert shop.refused(f"{first}/mark_uncollectible")["message"] == refusal
    for path in (first, second):
        shop.post(f"{path}/finalize")
    assert shop.post(f"{first}/void")["status"] == "void"
    assert shop.refused(f"{first}/void")["message"] == refusal
    assert shop.post(f"{second}/mark_uncollectible")["status"] == "uncollectible"
    again = shop.refused(f"{second}/mark_uncollectible")
    assert (again["message"], "code" in again) == (refusal, False)
    assert shop.post(f"{second}/pay")["status"] == "paid"
    assert {"invoice.voided", "invoice.marked_uncollectible"} <= set(shop.types())


def test_an_invoice_with_a_payment_is_not_voided(shop, customer):
    path = f"/invoices/{shop.invoice(customer, 500)['id']}"
    shop.post(f"{path}/finalize")
    intent = {"amount": 200, "currency": "usd", "customer": customer, "payment_method": "pm_card_visa"}
    intent |= {"confirm": "true", "automatic_payment_methods[enabled]": "true"}
    intent["automatic_payment_methods[allow_redirects]"] = "never"
    part = shop.post("/payment_intents", **intent)
    assert shop.post(f"{path}/attach_payment", payment_intent=part["id"])["amount_paid"] == 200
    refused = shop.refused(f"{path}/void")
    assert "paid payments" in refused["message"]
    assert {"code", "param"}.isdisjoint(refused)


def test_only_invoices_that_are_sent_can_be_sent(shop, customer):
    charged = shop.invoice(customer, 500)
    assert "collection method is 'send_invoice'" in shop.refused(f"/invoices/{charged['id']}/send")["message"]
    sent = shop.invoice(customer, 500, collection_method="send_invoice", days_until_due=30)
    assert sent["due_date"] == sent["created"] + 30 * 86_400
    assert shop.post(f"/invoices/{sent['id']}/send")["status"] == "open"
    assert shop.types()[-1] == "invoice.sent"
    assert shop.post(f"/invoices/{sent['id']}/pay", paid_out_of_band="true")["status"] == "paid"
    again = shop.refused(f"/invoices/{sent['id']}/send")
    assert "is paid" in again["message"]
    assert "code" not in again
    void = shop.invoice(customer, 500, collection_method="send_invoice", days_until_due=30)
    for verb in ("finalize", "void"):
        shop.post(f"/invoices/{void['id']}/{verb}")
    assert "is void" in shop.refused(f"/invoices/{void['id']}/send")["message"]
    missing = shop.refused("/invoices", customer=customer, collection_method="send_invoice")
    assert missing["param"] == "days_until_due"


def test_a_finalized_invoice_accepts_fewer_changes(shop, customer):
    path = f"/invoices/{shop.invoice(customer, 500)['id']}"
    assert shop.post(path, description="mine")["description"] == "mine"
    shop.post(f"{path}/finalize")
    late = shop.refused(path, description="yours")
    assert late["message"] == "Finalized invoices can't be updated in this way"
    assert shop.post(path, **{"metadata[a]": "b"})["metadata"] == {"a": "b"}
    assert "draft invoices" in shop.refused(path, method="DELETE")["message"]


def test_credit_pays_the_next_invoice(shop, customer):
    shop.post(f"/customers/{customer}/balance_transactions", amount=-300, currency="usd")
    invoice = shop.post(f"/invoices/{shop.invoice(customer, 500)['id']}/finalize")
    assert (invoice["starting_balance"], invoice["ending_balance"], invoice["amount_due"]) == (-300, 0, 200)
    assert shop.get(f"/customers/{customer}")["balance"] == 0
    kinds = [
        transaction["type"] for transaction in shop.get(f"/customers/{customer}/balance_transactions")["data"]
    ]
    assert kinds == ["applied_to_invoice", "adjustment"]
    shop.post(f"/invoices/{invoice['id']}/void")
    assert shop.get(f"/customers/{customer}")["balance"] == -300


def test_a_negative_invoice_becomes_credit(shop, customer):
    invoice = shop.post(f"/invoices/{shop.invoice(customer, -400)['id']}/finalize")
    assert (invoice["status"], invoice["amount_due"], invoice["ending_balance"]) == ("paid", 0, -400)
    assert shop.get(f"/customers/{customer}")["balance"] == -400


def test_a_revision_replaces_an_open_invoice(shop, customer):
    first = shop.post(f"/invoices/{shop.invoice(customer, 500)['id']}/finalize")
    second = shop.post(
        "/invoices", **{"from_invoice[action]": "revision", "from_invoice[invoice]": first["id"]}
    )
    assert (second["status"], second["total"], second["from_invoice"]["invoice"]) == (
        "draft",
        500,
        first["id"],
    )
    assert shop.get(f"/invoices/{first['id']}")["latest_revision"] == second["id"]


def test_a_credit_note_for_an_open_invoice_lowers_it(shop, customer):
    invoice = shop.post(f"/invoices/{shop.invoice(customer, 500)['id']}/finalize")
    note = shop.post("/credit_notes", invoice=invoice["id"], amount=200)
    assert (note["type"], note["number"]) == ("pre_payment", f"{invoice['number']}-CN-01")
    path = f"/invoices/{invoice['id']}"
    assert shop.get(path)["amount_remaining"] == 300
    assert shop.post(f"/credit_notes/{note['id']}/void")["status"] == "void"
    assert shop.get(path)["amount_remaining"] == 500
    assert "already been voided" in shop.refused(f"/credit_notes/{note['id']}/void")["message"]
    assert "cannot be greater" in shop.refused("/credit_notes", invoice=invoice["id"], amount=501)["message"]
    shop.post("/credit_notes", invoice=invoice["id"], amount=500)
    assert shop.get(path)["status"] == "paid"


def test_a_credit_note_for_a_paid_invoice_gives_back(shop, customer):
    invoice = shop.post(f"/invoices/{shop.invoice(customer, 500)['id']}/pay")
    unsaid = shop.refused("/credit_notes", invoice=invoice["id"], amount=500)
    assert "must equal the post payment credit note amount" in unsaid["message"]
    preview = shop.get("/credit_notes/preview", invoice=invoice["id"], amount=500, credit_amount=500)
    assert preview["amount"] == 500
    assert shop.get("/credit_notes", invoice=invoice["id"])["data"] == []
    line = invoice["lines"]["data"][0]["id"]
    note = shop.post(
        "/credit_notes",
        **{
            "invoice": invoice["id"],
            "lines[0][type]": "invoice_line_item",
            "lines[0][invoice_line_item]": line,
            "credit_amount": 200,
            "refund_amount": 300,
        },
    )
    assert (note["type"], note["amount"]) == ("post_payment", 500)
    assert shop.get(f"/refunds/{note['refunds'][0]['refund']}")["amount"] == 300
    assert shop.get(f"/customers/{customer}")["balance"] == -200
    assert shop.get(f"/credit_notes/{note['id']}/lines")["data"][0]["invoice_line_item"] == line
    assert shop.get(f"/invoices/{invoice['id']}")["post_payment_credit_notes_amount"] == 500


def test_a_draft_has_no_credit_notes(shop, customer):
    draft = shop.invoice(customer, 500)
    assert "finalized" in shop.refused("/credit_notes", invoice=draft["id"], amount=5)["message"]


def test_a_payment_made_elsewhere_is_attached(shop, customer):
    invoice = shop.post(f"/invoices/{shop.invoice(customer, 500)['id']}/finalize")
    paid = {
        "currency": "usd",
        "customer": customer,
        "confirm": "true",
        "allowed_payment_method_types[]": "card",
        "payment_method": shop.get(f"/customers/{customer}")["invoice_settings"]["default_payment_method"],
    }
    part = shop.post("/payment_intents", amount=200, **paid)["id"]
    new_invoice = shop.post(f"/invoices/{invoice['id']}/attach_payment", payment_intent=part)
    assert (new_invoice["status"], new_invoice["amount_paid"], new_invoice["amount_remaining"]) == (
        "open",
        200,
        300,
    )
    rest = shop.post("/payment_intents", amount=300, **paid)["id"]
    new_invoice = shop.post(f"/invoices/{invoice['id']}/attach_payment", payment_intent=rest)
    assert (new_invoice["status"], new_invoice["amount_paid"]) == ("paid", 500)


def test_the_lines_of_a_previewed_credit_note(shop, customer):
    invoice = shop.post(f"/invoices/{shop.invoice(customer, 500)['id']}/finalize")
    (line,) = shop.get("/credit_notes/preview/lines", invoice=invoice["id"], amount=200)["data"]
    assert line["amount"] == 200


def test_generated_invoices_allow_the_operations_of_their_status(shop, reader):
    """Each state of generated invoices allows what the documentation says."""
    invoices_by_status = {invoice["status"]: invoice for invoice in reader.all("/invoices")}
    paths = {status: f"/invoices/{invoice['id']}" for status, invoice in invoices_by_status.items()}
    assert shop.post(f"{paths['draft']}/finalize")["status"] == "open"
    total = invoices_by_status["draft"]["total"]
    assert shop.get(paths["draft"])["amount_due"] == total
    assert shop.post(f"{paths['open']}/void")["status"] == "void"
    assert shop.post(f"{paths['uncollectible']}/pay", paid_out_of_band="true")["status"] == "paid"
    for status in ("paid", "void"):
        assert "open invoices" in shop.refused(f"{paths[status]}/mark_uncollectible")["message"]
