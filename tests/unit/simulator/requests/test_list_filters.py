"""Filters of lists, each compared with a filter of the whole list in Python."""

from collections import Counter

import pytest

from ..conftest import Reader, client_of


def ids(objects):
    return [values["id"] for values in objects]


@pytest.fixture(scope="module")
def subscriptions(running):
    """All of them, which no test of this file changes."""
    with client_of(running) as client:
        return Reader(client).all("/subscriptions", status="all")


def test_canceled_subscriptions_are_listed_only_when_asked_for(reader, subscriptions):
    default = reader.all("/subscriptions")
    assert ids(default) == ids(
        subscription for subscription in subscriptions if subscription["status"] != "canceled"
    )
    assert {subscription["status"] for subscription in subscriptions} > {
        "active",
        "canceled",
        "trialing",
        "past_due",
    }


@pytest.mark.parametrize("status", ["active", "canceled", "past_due", "unpaid", "incomplete_expired"])
def test_subscriptions_by_status(reader, subscriptions, status):
    listed = reader.all("/subscriptions", status=status)
    assert ids(listed) == ids(
        subscription for subscription in subscriptions if subscription["status"] == status
    )


def test_ended_means_canceled_or_expired(reader, subscriptions):
    listed = reader.all("/subscriptions", status="ended")
    assert ids(listed) == ids(
        subscription
        for subscription in subscriptions
        if subscription["status"] in {"canceled", "incomplete_expired"}
    )


def test_a_status_that_stripe_does_not_know_is_refused(reader):
    error = reader.error("/subscriptions", status="closed")
    assert error["param"] == "status"
    assert error["message"].startswith("Invalid status: must be one of ")


def test_subscriptions_by_customer(reader, subscriptions):
    by_customer = {}
    for subscription in subscriptions:
        by_customer.setdefault(subscription["customer"], []).append(subscription["id"])
    most = max(by_customer, key=lambda customer: len(by_customer[customer]))
    for customer in [most, *list(by_customer)[:20]]:
        assert (
            ids(reader.all("/subscriptions", status="all", customer=customer, limit=3))
            == by_customer[customer]
        )


def test_subscriptions_by_price(reader, subscriptions):
    for price in [subscription["items"]["data"][0]["price"]["id"] for subscription in subscriptions[:5]]:
        with_price = [
            subscription["id"]
            for subscription in subscriptions
            if price in [i["price"]["id"] for i in subscription["items"]["data"]]
        ]
        listed = ids(reader.all("/subscriptions", status="all", price=price))
        assert set(with_price) <= set(listed)
        for extra in set(listed) - set(with_price):  # beyond the ten items shown
            items = reader.all("/subscription_items", subscription=extra)
            assert price in [item["price"]["id"] for item in items]


def test_two_filters_must_both_hold(reader, subscriptions):
    expected = [
        subscription["id"]
        for subscription in subscriptions
        if subscription["status"] == "active" and subscription["collection_method"] == "send_invoice"
    ]
    assert ids(reader.all("/subscriptions", status="active", collection_method="send_invoice")) == expected


@pytest.mark.parametrize(
    ("operators", "test"),
    [
        (("gte",), lambda value, limit: value >= limit),
        (("gt",), lambda value, limit: value > limit),
        (("lt",), lambda value, limit: value < limit),
        (("lte",), lambda value, limit: value <= limit),
        (("gte", "lte"), lambda value, limit: value == limit),
    ],
)
def test_ranges_of_created(reader, operators, test):
    all_customers = reader.all("/customers")
    for limit in (all_customers[700]["created"], all_customers[1500]["created"], all_customers[1]["created"]):
        listed = reader.all("/customers", **{f"created[{name}]": limit for name in operators})
        assert ids(listed) == ids(customer for customer in all_customers if test(customer["created"], limit))


def test_created_may_be_one_second(reader):
    second = reader.page("/customers", limit=50)["data"][40]["created"]
    listed = reader.all("/customers", created=second)
    assert listed
    assert {customer["created"] for customer in listed} == {second}


def test_a_range_of_due_date_holds_no_invoice_without_one(reader):
    all_invoices = reader.all("/invoices")
    limit = next(invoice["due_date"] for invoice in all_invoices[2000:] if invoice["due_date"])
    listed = reader.all("/invoices", **{"due_date[gte]": limit})
    assert ids(listed) == ids(
        invoice for invoice in all_invoices if invoice["due_date"] and invoice["due_date"] >= limit
    )


def test_invoices_by_subscription_and_customer(reader):
    invoice = next(invoice for invoice in reader.all("/invoices")[:200] if invoice["parent"])
    subscription = invoice["parent"]["subscription_details"]["subscription"]
    of_subscription = reader.all("/invoices", subscription=subscription)
    assert invoice["id"] in ids(of_subscription)
    assert {other["customer"] for other in of_subscription} == {invoice["customer"]}
    of_customer = ids(reader.all("/invoices", customer=invoice["customer"]))
    assert set(ids(of_subscription)) <= set(of_customer)


def test_email_is_exact_and_may_be_shared(reader):
    addresses = Counter(customer["email"] for customer in reader.all("/customers") if customer["email"])
    for email, number in [*addresses.most_common(2), addresses.most_common()[-1]]:
        listed = reader.all("/customers", email=email)
        assert [customer["email"] for customer in listed] == [email] * number
        assert reader.all("/customers", email=email.upper()) == []
    assert addresses.most_common(1)[0][1] == 2


def test_a_filter_by_an_object_that_does_not_exist_says_so(reader):
    error = reader.error("/subscriptions", customer="cus_nope")
    assert (error["code"], error["param"]) == ("resource_missing", "customer")
    error = reader.error("/prices", product="prod_nope")
    assert (error["code"], error["param"]) == ("resource_missing", "product")


def test_an_empty_value_is_refused(reader):
    assert reader.error("/subscriptions", customer="")["code"] == "parameter_invalid_empty"


def test_a_required_filter_is_missed(reader):
    error = reader.error("/subscription_items")
    assert error["code"] == "parameter_missing"
    assert error["message"] == "Missing required param: subscription."


def test_nested_filters_and_several_values(reader, stripe):
    prices = reader.all("/prices")
    monthly = reader.all("/prices", **{"recurring[interval]": "month"})
    assert ids(monthly) == ids(
        price for price in prices if (price["recurring"] or {}).get("interval") == "month"
    )
    keys = [price["lookup_key"] for price in prices if price["lookup_key"]][:2]
    listed = stripe.get("/prices", params=[("lookup_keys[]", key) for key in keys]).json()["data"]
    assert {price["lookup_key"] for price in listed} == set(keys)


def test_inactive_prices_are_listed_when_asked_for(reader):
    assert {price["active"] for price in reader.all("/prices")} == {True}
    assert {price["active"] for price in reader.all("/prices", active="false")} == {False}


def test_filters_see_what_was_written(reader, stripe):
    customer = reader.page("/customers", limit=30)["data"][20]
    stripe.post(f"/customers/{customer['id']}", data={"email": "changed@example.com"})
    assert ids(reader.all("/customers", email="changed@example.com")) == [customer["id"]]
    if customer["email"]:
        assert customer["id"] not in ids(reader.all("/customers", email=customer["email"]))


def test_every_list_of_the_catalog_answers_and_its_references_lead_somewhere(reader, stripe):
    from stripe_fdw.catalog import load

    catalog = load()
    checked = 0
    for resource in catalog.resources:
        if not resource.has_copy or resource.parents or any(item.required for item in resource.filters):
            continue
        params = dict(resource.defaults)
        for values in reader.page(resource.list_path.removeprefix("/v1"), **params)["data"][:2]:
            for column in resource.columns:
                targets = [catalog.resource[name] for name in column.references]
                target = next((each for each in targets if each.retrieve and not each.parents), None)
                value = values.get(column.name) if column.path == (column.name,) else None
                if len(targets) == 1 and target is not None and isinstance(value, str):
                    path = target.retrieve.path.rpartition("/")[0].removeprefix("/v1")
                    response = stripe.get(f"{path}/{value}")
                    assert response.status_code == 200, (resource.name, column.name, response.text)
                    checked += 1
    assert checked > 50
