"""Create, update and delete, idempotency keys, the event log (https://docs.stripe.com/api)."""

from concurrent.futures import ThreadPoolExecutor

import pytest


@pytest.fixture
def events(stripe):
    def listed(**params):
        return stripe.get("/events", params={"limit": 100, **params}).json()["data"]

    return listed


def create(stripe, path="/customers", **data):
    answer = stripe.post(path, data=data)
    assert answer.status_code == 200, answer.text
    return answer.json()


def error(answer, status=400):
    assert answer.status_code == status, answer.text
    return answer.json()["error"]


def test_a_new_customer_has_what_was_sent(stripe):
    customer = create(
        stripe,
        **{
            "name": "Zoë",
            "email": "z@example.com",
            "address[city]": "Köln",
            "metadata[a]": "1",
            "balance": "-50",
        },
    )
    assert customer["id"].startswith("cus_")
    assert (customer["name"], customer["balance"], customer["metadata"]) == ("Zoë", -50, {"a": "1"})
    assert customer["address"] == {
        "city": "Köln", "country": None, "line1": None, "line2": None, "postal_code": None, "state": None,
    }  # fmt: skip
    assert customer["phone"] is None
    assert customer["livemode"] is False
    assert stripe.get(f"/customers/{customer['id']}").json() == customer


def test_an_update_changes_only_what_is_sent(stripe):
    customer = create(stripe, name="A", email="a@example.com", phone="+1555")
    changed = stripe.post(f"/customers/{customer['id']}", data={"name": "B"}).json()
    assert changed == customer | {"name": "B"}


def test_metadata_merges_and_empty_values_unset(stripe):
    customer = create(stripe, **{"metadata[a]": "1", "metadata[b]": "2", "description": "x"})
    path = f"/customers/{customer['id']}"
    assert stripe.post(path, data={"metadata[a]": "", "metadata[c]": "3"}).json()["metadata"] == {
        "b": "2",
        "c": "3",
    }
    assert stripe.post(path, data={"metadata": ""}).json()["metadata"] == {}
    assert stripe.post(path, data={"description": ""}).json()["description"] is None
    assert error(stripe.post(path, data={"balance": ""}))["code"] == "parameter_invalid_empty"
    assert error(stripe.post("/customers", data={"email": ""}))["code"] == "parameter_invalid_empty"


def test_generated_objects_can_be_changed(stripe, reader):
    customer = reader.page("/customers", limit=50)["data"][40]
    changed = stripe.post(f"/customers/{customer['id']}", data={"description": "mine"}).json()
    assert changed == customer | {"description": "mine"}
    assert reader.page("/customers", limit=50)["data"][40] == changed


def test_unknown_missing_and_wrong_parameters(stripe):
    assert error(stripe.post("/customers", data={"nmae": "x"}))["code"] == "parameter_unknown"
    missing = error(stripe.post("/prices", data={"unit_amount": 5}))
    assert (missing["code"], missing["param"]) == ("parameter_missing", "currency")
    wrong = error(stripe.post("/customers", data={"balance": "much"}))
    assert (wrong["code"], wrong["param"]) == ("parameter_invalid_integer", "balance")
    missing = error(stripe.post("/invoices", data={"customer": "cus_x"}))
    assert (missing["message"], missing["param"]) == ("No such customer: 'cus_x'", "customer")


def test_a_subscription_and_a_refund_do_not_find_the_object_that_they_are_for(stripe):
    body = {"customer": "cus_x", "items[0][price]": "price_x"}
    missing = error(stripe.post("/subscriptions", data=body), 404)
    assert (missing["message"], missing["param"]) == ("No such customer: 'cus_x'", "customer")
    nothing = error(stripe.post("/refunds", data={"charge": "ch_x"}), 404)
    assert (nothing["message"], nothing["param"]) == ("No such charge: 'ch_x'", "charge")


def test_a_product_with_its_price_and_a_subscription_to_it(stripe):
    product = create(
        stripe, "/products", **{"name": "Tea", "default_price_data[currency]": "eur",
                                "default_price_data[unit_amount]": "900",
                                "default_price_data[recurring][interval]": "year"},
    )  # fmt: skip
    price = stripe.get(f"/prices/{product['default_price']}").json()
    assert (price["unit_amount"], price["type"], price["recurring"]["interval"]) == (900, "recurring", "year")
    customer = create(stripe)["id"]
    card = create(stripe, "/payment_methods/pm_card_visa/attach", customer=customer)
    subscription = create(
        stripe,
        "/subscriptions",
        **{
            "customer": customer,
            "default_payment_method": card["id"],
            "items[0][price]": price["id"],
            "items[0][quantity]": "3",
        },
    )
    assert subscription["status"] == "active"
    (item,) = subscription["items"]["data"]
    assert (item["price"], item["quantity"], item["subscription"]) == (price, 3, subscription["id"])
    assert stripe.get("/subscriptions", params={"customer": customer}).json()["data"] == [subscription]
    assert stripe.get("/subscription_items", params={"subscription": subscription["id"]}).json()["data"] == [
        item
    ]
    monthly = {"currency": "eur", "unit_amount": "90", "recurring[interval]": "month"}
    other = create(stripe, "/prices", product=product["id"], **monthly)
    more = create(stripe, "/subscription_items", subscription=subscription["id"], price=other["id"])
    shown = stripe.get(f"/subscriptions/{subscription['id']}").json()["items"]["data"]
    assert [one["id"] for one in shown] == [item["id"], more["id"]]


def test_deleting_a_subscription_cancels_it(stripe, reader, events):
    subscription = reader.page("/subscriptions", limit=1, status="active")["data"][0]["id"]
    canceled = stripe.delete(f"/subscriptions/{subscription}").json()
    assert canceled["status"] == "canceled"
    assert canceled["canceled_at"] == canceled["ended_at"]
    assert stripe.get(f"/subscriptions/{subscription}").json() == canceled
    assert events()[0]["type"] == "customer.subscription.deleted"


def test_deleting_a_customer_cancels_its_subscriptions(stripe, reader, events):
    customer = reader.page("/subscriptions", limit=1, status="active")["data"][0]["customer"]
    before = reader.all("/subscriptions", customer=customer, status="all")
    stripe.delete(f"/customers/{customer}")
    after = reader.all("/subscriptions", customer=customer, status="all")
    assert [entry["id"] for entry in after] == [entry["id"] for entry in before]
    assert {entry["status"] for entry in after} <= {"canceled", "incomplete_expired"}
    kinds = {entry["type"] for entry in events()} - {"invoice.updated"}  # open ones are collected no more
    assert kinds == {"customer.deleted", "customer.subscription.deleted"}


def test_ids_can_be_chosen_where_stripe_allows_it(stripe):
    assert create(stripe, "/products", id="tea", name="Tea")["id"] == "tea"
    assert stripe.get("/products/tea").json()["name"] == "Tea"
    assert (
        error(stripe.post("/products", data={"id": "tea", "name": "Tea"}))["code"]
        == "resource_already_exists"
    )


def test_lists_inside_objects_are_written_too(stripe):
    customer = create(stripe)["id"]
    tax_id = create(stripe, f"/customers/{customer}/tax_ids", type="eu_vat", value="DE123456789")
    assert (tax_id["object"], tax_id["customer"]) == ("tax_id", customer)
    assert stripe.get(f"/customers/{customer}/tax_ids").json()["data"] == [tax_id]
    assert stripe.delete(f"/customers/{customer}/tax_ids/{tax_id['id']}").json()["deleted"] is True
    assert stripe.get(f"/customers/{customer}/tax_ids").json()["data"] == []


def test_a_deleted_object_is_gone_for_writes(stripe):
    customer = create(stripe)["id"]
    stripe.delete(f"/customers/{customer}")
    assert error(stripe.post(f"/customers/{customer}", data={"name": "x"}), 404)["code"] == "resource_missing"
    assert error(stripe.delete(f"/customers/{customer}"), 404)["message"] == f"No such customer: '{customer}'"


def test_an_idempotency_key_replays_the_answer(stripe):
    headers = {"Idempotency-Key": "order-17"}
    first = stripe.post("/customers", data={"name": "once"}, headers=headers)
    again = stripe.post("/customers", data={"name": "once"}, headers=headers)
    assert again.json() == first.json()
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert again.headers["original-request"] == first.headers["request-id"]


def test_an_idempotency_key_with_other_content_is_refused(stripe):
    headers = {"Idempotency-Key": "order-18"}
    stripe.post("/customers", data={"name": "once"}, headers=headers)
    answer = error(stripe.post("/customers", data={"name": "twice"}, headers=headers))
    assert answer["type"] == "idempotency_error"
    assert "same parameters" in answer["message"]


def test_a_refused_request_does_not_use_up_its_key(stripe):
    headers = {"Idempotency-Key": "order-19"}
    error(stripe.post("/customers", data={"nmae": "x"}, headers=headers))
    assert stripe.post("/customers", data={"name": "x"}, headers=headers).status_code == 200


def test_an_error_of_an_operation_that_was_begun_is_replayed(stripe, reader):
    paid = reader.page("/payment_intents", limit=100)["data"]
    paid = next(intent["id"] for intent in paid if intent["status"] == "succeeded")
    headers = {"Idempotency-Key": "cancel-1"}
    first, again = (stripe.post(f"/payment_intents/{paid}/cancel", headers=headers) for _ in range(2))
    assert error(first)["code"] == "payment_intent_unexpected_state"
    assert again.json() == first.json()
    assert again.headers["idempotent-replayed"] == "true"


def test_an_idempotency_key_in_use_is_a_conflict(stripe, simulator):
    simulator.control("POST", "/latency", {"ms": 300})
    with ThreadPoolExecutor(2) as pool:
        answers = list(
            pool.map(
                lambda _: stripe.post("/customers", data={}, headers={"Idempotency-Key": "both"}), range(2)
            )
        )
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    conflict = next(answer for answer in answers if answer.status_code == 409)
    assert conflict.headers["stripe-should-retry"] == "true"


def test_events_tell_what_changed(stripe, events):
    customer = create(stripe, **{"name": "A", "metadata[a]": "1"})
    path = f"/customers/{customer['id']}"
    answer = stripe.post(path, data={"name": "B", "metadata[b]": "2"}, headers={"Idempotency-Key": "e1"})
    stripe.delete(path)
    deleted, updated, created = events()
    assert [created["type"], updated["type"], deleted["type"]] == [
        "customer.created", "customer.updated", "customer.deleted",
    ]  # fmt: skip
    assert created["data"]["object"] == customer
    assert "previous_attributes" not in created["data"]
    assert updated["data"]["object"] == answer.json()
    assert updated["data"]["previous_attributes"] == {"name": "A", "metadata": {"b": None}}
    assert updated["request"] == {"id": answer.headers["request-id"], "idempotency_key": "e1"}
    assert stripe.get(f"/events/{updated['id']}").json() == updated


def test_events_by_type(stripe, events):
    create(stripe)
    create(stripe, "/products", name="Tea")
    assert [event["type"] for event in events(**{"types[]": ["product.created"]})] == ["product.created"]


def test_an_update_that_changes_nothing_has_no_event(stripe, events):
    customer = create(stripe, name="A")
    stripe.post(f"/customers/{customer['id']}", data={"name": "A"})
    assert len(events()) == 1


def test_an_idempotency_key_has_255_characters_at_most(stripe):
    answer = error(stripe.post("/customers", headers={"Idempotency-Key": "k" * 256}))
    assert answer["type"] == "idempotency_error"
    assert stripe.post("/customers", headers={"Idempotency-Key": "k" * 255}).status_code == 200
