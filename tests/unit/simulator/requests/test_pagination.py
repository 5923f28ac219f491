"""Lists and their cursors (https://docs.stripe.com/api/pagination)."""

from collections import Counter


def test_a_list_has_the_documented_shape(reader):
    page = reader.page("/customers")
    assert page["object"] == "list"
    assert page["url"] == "/v1/customers"
    assert page["has_more"] is True
    assert len(page["data"]) == 10


def test_a_whole_list_comes_newest_first_without_loss_or_repeat(reader):
    customers = reader.all("/customers")
    assert len({customer["id"] for customer in customers}) == len(customers)
    times = [customer["created"] for customer in customers]
    assert times == sorted(times, reverse=True)
    assert 0.97 < len(customers) / 3000 < 1  # some were deleted


def test_the_order_is_the_same_whatever_the_page_size(reader):
    wide = [price["id"] for price in reader.all("/prices", limit=100)]
    narrow = [price["id"] for price in reader.all("/prices", limit=7)]
    assert wide == narrow


def test_seconds_hold_several_objects_and_an_import_more_than_a_page(reader):
    seconds = Counter(customer["created"] for customer in reader.all("/customers"))
    assert max(seconds.values()) > 100
    assert sum(1 for number in seconds.values() if number > 1) > 10


def test_ending_before_gives_what_precedes(reader):
    first = reader.page("/customers", limit=30)["data"]
    back = reader.page("/customers", limit=10, ending_before=first[20]["id"])
    assert [customer["id"] for customer in back["data"]] == [customer["id"] for customer in first[10:20]]
    assert back["has_more"] is True
    start = reader.page("/customers", limit=10, ending_before=first[5]["id"])
    assert [customer["id"] for customer in start["data"]] == [customer["id"] for customer in first[:5]]
    assert start["has_more"] is False


def test_both_cursors_at_once_are_refused(reader):
    customer = reader.page("/customers")["data"][0]["id"]
    assert (
        "only one" in reader.error("/customers", starting_after=customer, ending_before=customer)["message"]
    )


def test_a_cursor_that_does_not_exist_is_named(reader):
    error = reader.error("/customers", starting_after="cus_nope")
    assert error["code"] == "resource_missing"
    assert error["param"] == "starting_after"
    assert error["message"] == "No such customer: 'cus_nope'"


def test_a_limit_out_of_range_is_brought_into_it_by_lists_and_refused_by_searches(reader):
    for limit, rows in ((-1, 1), (0, 1), (101, 100)):
        assert len(reader.page("/customers", limit=limit)["data"]) == rows
        error = reader.error("/customers/search", query="name:'Ada'", limit=limit)
        assert error["code"] == "parameter_invalid_integer"
        assert error["param"] == "limit"
    assert reader.error("/customers", limit="many")["message"] == "Invalid integer: many"


def test_the_cursor_may_be_an_object_that_was_deleted(reader, stripe):
    ids = [customer["id"] for customer in reader.page("/customers", limit=5)["data"]]
    stripe.delete(f"/customers/{ids[2]}")
    after = reader.page("/customers", limit=2, starting_after=ids[2])
    before = reader.page("/customers", limit=2, ending_before=ids[2])
    assert [customer["id"] for customer in after["data"]] == ids[3:]
    assert [customer["id"] for customer in before["data"]] == ids[:2]


def test_items_of_a_subscription_come_oldest_first_and_are_paged_in_that_order(reader):
    subscriptions = reader.all("/subscriptions")
    subscription = next(each for each in subscriptions if each["items"]["has_more"])
    url = f"/v1/subscription_items?subscription={subscription['id']}"
    assert subscription["items"]["url"] == url
    page = reader.page("/subscription_items", subscription=subscription["id"], limit=10)
    assert (page["url"], page["data"]) == (url, subscription["items"]["data"])
    items = reader.all("/subscription_items", subscription=subscription["id"], limit=4)
    assert items[:10] == page["data"]
    assert len(items) == subscription["items"]["total_count"]
    back = {"subscription": subscription["id"], "ending_before": items[6]["id"], "limit": 3}
    assert reader.page("/subscription_items", **back)["data"] == items[3:6]


def test_an_unknown_parameter_is_named(reader):
    error = reader.error("/customers", name="Ada")
    assert error["code"] == "parameter_unknown"
    assert error["message"] == "Received unknown parameter: name"
    assert error["type"] == "invalid_request_error"


def test_the_cursor_may_be_an_object_that_the_filter_leaves_out(reader):
    subscriptions = reader.all("/subscriptions", status="all")
    canceled = next(
        subscription for subscription in subscriptions[50:] if subscription["status"] == "canceled"
    )
    after = reader.page("/subscriptions", limit=5, starting_after=canceled["id"])["data"]
    expected = [
        subscription["id"]
        for subscription in subscriptions[subscriptions.index(canceled) :]
        if subscription["status"] != "canceled"
    ]
    assert [subscription["id"] for subscription in after] == expected[:5]


def test_a_new_object_comes_first_and_a_deleted_one_not_at_all(reader, stripe):
    created = stripe.post("/customers", data={"name": "New"}).json()
    assert reader.page("/customers", limit=1)["data"][0]["id"] == created["id"]
    old = reader.page("/customers", limit=5)["data"][3]["id"]
    stripe.delete(f"/customers/{old}")
    assert old not in [customer["id"] for customer in reader.page("/customers", limit=10)["data"]]
    stripe.delete(f"/customers/{created['id']}")
    assert reader.page("/customers", limit=1)["data"][0]["id"] != created["id"]
