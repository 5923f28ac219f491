"""Filters of lists, each against the same question asked of the whole list."""

from collections import Counter

import pytest


def ids(objects):
    return [one["id"] for one in objects]


@pytest.fixture
def subscriptions(reader):
    return reader.all("/subscriptions", status="all")


def test_canceled_subscriptions_are_listed_only_when_asked_for(reader, subscriptions):
    default = reader.all("/subscriptions")
    assert ids(default) == ids(one for one in subscriptions if one["status"] != "canceled")
    assert {one["status"] for one in subscriptions} > {"active", "canceled", "trialing", "past_due"}


@pytest.mark.parametrize("status", ["active", "canceled", "past_due", "unpaid", "incomplete_expired"])
def test_subscriptions_by_status(reader, subscriptions, status):
    found = reader.all("/subscriptions", status=status)
    assert ids(found) == ids(one for one in subscriptions if one["status"] == status)


def test_ended_means_canceled_or_expired(reader, subscriptions):
    found = reader.all("/subscriptions", status="ended")
    assert ids(found) == ids(
        one for one in subscriptions if one["status"] in {"canceled", "incomplete_expired"}
    )


def test_a_status_that_stripe_does_not_know_is_refused(reader):
    error = reader.error("/subscriptions", status="closed")
    assert error["param"] == "status"
    assert error["message"].startswith("Invalid status: must be one of ")


def test_subscriptions_by_customer(reader, subscriptions):
    by_customer = {}
    for one in subscriptions:
        by_customer.setdefault(one["customer"], []).append(one["id"])
    most = max(by_customer, key=lambda customer: len(by_customer[customer]))
    for customer in [most, *list(by_customer)[:20]]:
        assert (
            ids(reader.all("/subscriptions", status="all", customer=customer, limit=3))
            == by_customer[customer]
        )


def test_subscriptions_by_price(reader, subscriptions):
    for price in [one["items"]["data"][0]["price"]["id"] for one in subscriptions[:5]]:
        holding = [
            one["id"] for one in subscriptions if price in [i["price"]["id"] for i in one["items"]["data"]]
        ]
        found = ids(reader.all("/subscriptions", status="all", price=price))
        assert set(holding) <= set(found)
        for extra in set(found) - set(holding):  # beyond the ten items shown
            items = reader.all("/subscription_items", subscription=extra)
            assert price in [item["price"]["id"] for item in items]


def test_two_filters_must_both_hold(reader, subscriptions):
    wanted = [
        one["id"]
        for one in subscriptions
        if one["status"] == "active" and one["collection_method"] == "send_invoice"
    ]
    assert ids(reader.all("/subscriptions", status="active", collection_method="send_invoice")) == wanted


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
    everything = reader.all("/customers")
    for limit in (everything[700]["created"], everything[1500]["created"], everything[1]["created"]):
        found = reader.all("/customers", **{f"created[{name}]": limit for name in operators})
        assert ids(found) == ids(one for one in everything if test(one["created"], limit))


def test_created_may_be_one_second(reader):
    second = reader.page("/customers", limit=50)["data"][40]["created"]
    found = reader.all("/customers", created=second)
    assert found
    assert {one["created"] for one in found} == {second}


def test_a_range_of_due_date_holds_no_invoice_without_one(reader):
    everything = reader.all("/invoices")
    limit = next(one["due_date"] for one in everything[2000:] if one["due_date"])
    found = reader.all("/invoices", **{"due_date[gte]": limit})
    assert ids(found) == ids(one for one in everything if one["due_date"] and one["due_date"] >= limit)


def test_invoices_by_subscription_and_customer(reader):
    invoice = next(one for one in reader.all("/invoices")[:200] if one["parent"])
    subscription = invoice["parent"]["subscription_details"]["subscription"]
    of_subscription = reader.all("/invoices", subscription=subscription)
    assert invoice["id"] in ids(of_subscription)
    assert {one["customer"] for one in of_subscription} == {invoice["customer"]}
    of_customer = ids(reader.all("/invoices", customer=invoice["customer"]))
    assert set(ids(of_subscription)) <= set(of_customer)


def test_email_is_exact_and_may_be_shared(reader):
    addresses = Counter(one["email"] for one in reader.all("/customers") if one["email"])
    for email, number in [*addresses.most_common(2), addresses.most_common()[-1]]:
        found = reader.all("/customers", email=email)
        assert [one["email"] for one in found] == [email] * number
        assert reader.all("/customers", email=email.upper()) == []
    assert addresses.most_common(1)[0][1] == 2


def test_a_filter_by_an_object_that_does_not_exist_says_so(reader):
    error = reader.error("/subscriptions", customer="cus_nope")
    assert (error["code"], error["param"]) == ("resource_missing", "customer")


def test_an_empty_value_is_refused(reader):
    assert reader.error("/subscriptions", customer="")["code"] == "parameter_invalid_empty"


def test_a_required_filter_is_missed(reader):
    error = reader.error("/subscription_items")
    assert error["code"] == "parameter_missing"
    assert error["message"] == "Missing required param: subscription."


def test_nested_filters_and_several_values(reader, stripe):
    prices = reader.all("/prices")
    monthly = reader.all("/prices", **{"recurring[interval]": "month"})
    assert ids(monthly) == ids(one for one in prices if (one["recurring"] or {}).get("interval") == "month")
    keys = [one["lookup_key"] for one in prices if one["lookup_key"]][:2]
    found = stripe.get("/prices", params=[("lookup_keys[]", key) for key in keys]).json()["data"]
    assert {one["lookup_key"] for one in found} == set(keys)


def test_inactive_prices_are_listed_when_asked_for(reader):
    assert {one["active"] for one in reader.all("/prices")} == {True}
    assert {one["active"] for one in reader.all("/prices", active="false")} == {False}


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
        if resource.parents or resource.preview or any(item.required for item in resource.filters):
            continue
        params = dict(resource.defaults)
        for made in reader.page(resource.list_path.removeprefix("/v1"), **params)["data"][:2]:
            for column in resource.columns:
                targets = [catalog.resource[name] for name in column.references]
                target = next((one for one in targets if one.retrieve and not one.parents), None)
                value = made.get(column.name) if column.path == (column.name,) else None
                if len(targets) == 1 and target is not None and isinstance(value, str):
                    path = target.list_path.removeprefix("/v1")
                    answer = stripe.get(f"{path}/{value}")
                    assert answer.status_code == 200, (resource.name, column.name, answer.text)
                    checked += 1
    assert checked > 50
