"""The requests that a plan makes for conditions, orders and limits."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from stripe_fdw.errors import MissingQualError
from stripe_fdw.fdw.planning.explain import describe_read
from stripe_fdw.fdw.planning.plan import EmptyResult, FanOut, Lists, Previews, ReadPlan, Retrieve, Search
from stripe_fdw.fdw.planning.planner import plan_read
from stripe_fdw.fdw.planning.quals import Qual, SortKey, Unknown, normalise
from stripe_fdw.fdw.planning.sort_order import sortable
from support import sample_resources as samples

NEWEST = SortKey("created", descending=True, nulls_first=True)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def planned(table: str, *quals: Qual, **options: object) -> ReadPlan:
    resource = samples.ALL[table]
    normalised = normalise(quals, dict(resource.column))
    return plan_read(resource, normalised, resources=samples.ALL, **options)  # type: ignore[arg-type]


def requests_of(plan: ReadPlan) -> list[str]:
    return [text for label, text in describe_read(plan, verbose=True) if label == "Stripe Request"]


# table, quals, the requests as EXPLAIN shows them
REQUESTS: list[tuple[str, list[Qual], list[str]]] = [
    ("customer", [], ["GET /v1/customers?limit=100"]),
    ("customer", [Qual("id", "=", "cus_1")], ["GET /v1/customers/cus_1"]),
    ("customer", [Qual("id", "=", "cus_1"), Qual("name", "=", "x")], ["GET /v1/customers/cus_1"]),
    (
        "customer",
        [Qual("id", "= any", ("cus_1", None, "cus_2", "cus_1", "", "a b", "../x"))],
        ["GET /v1/customers/cus_1", "GET /v1/customers/cus_2"],
    ),
    (
        "customer",
        [Qual("id", "= any", ("cus_1", "cus_2")), Qual("id", "=", "cus_2")],
        ["GET /v1/customers/cus_2"],
    ),
    ("customer", [Qual("email", "=", "a+b@c.d")], ["GET /v1/customers?email=a%2Bb%40c.d&limit=100"]),
    ("customer", [Qual("email", "=", "")], ["GET /v1/customers?limit=100"]),
    ("customer", [Qual("email", "=", "x" * 600)], ["GET /v1/customers?limit=100"]),
    ("customer", [Qual("name", "=", "x"), Qual("delinquent", "=", True)], ["GET /v1/customers?limit=100"]),
    (
        "subscription",
        [Qual("customer", "=", "cus_123")],
        ["GET /v1/subscriptions?customer=cus_123&status=all&limit=100"],
    ),
    ("subscription", [Qual("status", "=", "active")], ["GET /v1/subscriptions?status=active&limit=100"]),
    ("subscription", [Qual("status", "=", "mad")], ["GET /v1/subscriptions?status=all&limit=100"]),
    (
        "subscription",
        [Qual("status", "= any", ("active", "mad"))],
        ["GET /v1/subscriptions?status=all&limit=100"],
    ),
    (
        "subscription",
        [Qual("customer", "= any", ("cus_1", "cus_2", "cus_1", "not an id"))],
        [
            "GET /v1/subscriptions?customer=cus_1&status=all&limit=100",
            "GET /v1/subscriptions?customer=cus_2&status=all&limit=100",
        ],
    ),
    (
        "subscription",
        [Qual("id", "=", "sub_1"), Qual("hidden", "=", "x")],
        ["GET /v1/subscriptions?hidden=x&status=all&limit=100"],
    ),
    (
        "subscription",
        [Qual("customer", "=", Unknown("$1"))],
        ["GET /v1/subscriptions?customer=$1&status=all&limit=100"],
    ),
    ("customer", [Qual("id", "=", Unknown())], ["GET /v1/customers/<join value>"]),
    ("line_item", [Qual("invoice", "=", "in_1")], ["GET /v1/invoices/in_1/lines?limit=100"]),
    (
        "line_item",
        [],
        [
            "GET /v1/invoices/{invoice}/lines?limit=100 for each invoice of",
            "GET /v1/invoices?limit=100",
        ],
    ),
    (
        "subscription_item",
        [],
        [
            "GET /v1/subscription_items?subscription={subscription}&limit=100 for each subscription of",
            "GET /v1/subscriptions?status=all&limit=100",
        ],
    ),
    (
        "transfer_reversal",
        [Qual("transfer", "=", "tr_1"), Qual("id", "=", "trr_1")],
        ["GET /v1/transfers/tr_1/reversals/trr_1"],
    ),
    ("transfer_reversal", [Qual("transfer", "=", "tr_1")], ["GET /v1/transfers/tr_1/reversals?limit=100"]),
    ("price", [], ["GET /v1/prices?active=true&limit=100", "GET /v1/prices?active=false&limit=100"]),
    ("price", [Qual("active", "<>", True)], ["GET /v1/prices?active=false&limit=100"]),
    (
        "price",
        [Qual("lookup_key", "= any", ("a", "b", "c")), Qual("active", "=", "t")],
        [
            "GET /v1/prices?active=true&lookup_keys[0]=a&lookup_keys[1]=b&limit=100",
            "GET /v1/prices?active=true&lookup_keys[0]=c&limit=100",
        ],
    ),
    (
        "price",
        [Qual("type", "=", "recurring"), Qual("active", "=", True)],
        ["GET /v1/prices?active=true&type=recurring&limit=100"],
    ),
    (
        "price",
        [Qual("type", "=", "mad"), Qual("active", "=", True)],
        ["GET /v1/prices?active=true&type=mad&limit=100"],
    ),
    ("coupon", [Qual("id", "=", "SUMMER20")], ["GET /v1/coupons/SUMMER20"]),
    ("coupon", [Qual("id", "=", "20 % off/on")], ["GET /v1/coupons/20%20%25%20off%2Fon"]),
    ("coupon", [Qual("id", "= any", ("a", ".."))], ["GET /v1/coupons?limit=100"]),
    ("coupon", [Qual("id", "=", "x" * 600)], ["GET /v1/coupons?limit=100"]),
    (
        "price",
        [Qual("product", "= any", ("gold plan", "prod_1")), Qual("active", "=", True)],
        [
            "GET /v1/prices?active=true&product=gold+plan&limit=100",
            "GET /v1/prices?active=true&product=prod_1&limit=100",
        ],
    ),
    (
        "price",
        [Qual("product", "=", "x" * 600), Qual("active", "=", True)],
        ["GET /v1/prices?active=true&limit=100"],
    ),
    (
        "product_feature",
        [Qual("product", "=", "gold plan/1")],
        ["GET /v1/products/gold%20plan%2F1/features?limit=100"],
    ),
    (
        "product_feature",
        [Qual("product", "=", "..")],
        [
            "GET /v1/products/{product}/features?limit=100 for each product of",
            "GET /v1/products?limit=100",
        ],
    ),
    (
        "upcoming_invoice",
        [Qual("customer", "=", "cus_1")],
        ["POST /v1/invoices/create_preview?customer=cus_1"],
    ),
    (
        "tax_id",
        [Qual("owner_customer", "=", "cus_1")],
        ["GET /v1/tax_ids?owner[customer]=cus_1&owner[type]=customer&limit=100"],
    ),
    (
        "subscription",
        [Qual("price", "= any", ("p1", "p2"))],
        [
            "GET /v1/subscriptions?price=p1&status=all&limit=100",
            "GET /v1/subscriptions?price=p2&status=all&limit=100",
        ],
    ),
]


@pytest.mark.parametrize(("table", "quals", "expected"), REQUESTS, ids=lambda value: str(value)[:60])
def test_requests(table: str, quals: list[Qual], expected: list[str]) -> None:
    assert requests_of(planned(table, *quals)) == expected


NOTHING = [
    ("customer", [Qual("id", "=", None)]),
    ("customer", [Qual("name", "=", None)]),
    *(("customer", [Qual("created", o, None)]) for o in ("=", "<>", "<", "<=", ">", ">=")),
    *(("customer", [Qual("name", o, None)]) for o in ("= any", "<> all", "~~", "!~~")),
    ("customer", [Qual("name", "<> all", ("x", None))]),
    ("customer", [Qual("metadata", "@>", None)]),
    ("customer", [Qual("id", "= any", ())]),
    ("customer", [Qual("id", "= any", (None, None))]),
    ("customer", [Qual("id", "=", "")]),
    ("customer", [Qual("id", "=", "a/b")]),
    ("customer", [Qual("id", "=", "..")]),
    ("customer", [Qual("id", "is null")]),
    ("customer", [Qual("id", "=", "cus_1"), Qual("id", "=", "cus_2")]),
    ("customer", [Qual("created", "=", at("2024-05-01T00:00:00.5+00:00"))]),
    (
        "customer",
        [Qual("created", ">", at("2024-05-01T00:00Z")), Qual("created", "<", at("2024-05-01T00:00:01Z"))],
    ),
    ("customer", [Qual("created", "<", at("1950-01-01T00:00Z"))]),
    ("subscription", [Qual("customer", "=", "not an id")]),
    ("line_item", [Qual("invoice", "=", "")]),
    ("upcoming_invoice", [Qual("customer", "=", "")]),
]


@pytest.mark.parametrize(("table", "quals"), NOTHING, ids=lambda value: str(value)[:60])
def test_quals_that_no_row_can_match_need_no_request(table: str, quals: list[Qual]) -> None:
    assert isinstance(planned(table, *quals).access, EmptyResult)


TOKYO = timezone(timedelta(hours=9))
RANGES = [
    ([Qual("created", ">", at("2024-05-01T00:00Z"))], "created[gt]=1714521600"),
    ([Qual("created", ">=", at("2024-05-01T00:00Z"))], "created[gte]=1714521600"),
    ([Qual("created", "<", at("2024-05-01T00:00Z"))], "created[lt]=1714521600"),
    ([Qual("created", "<=", at("2024-05-01T00:00Z"))], "created[lte]=1714521600"),
    ([Qual("created", ">=", datetime(2024, 5, 1, 9, tzinfo=TOKYO))], "created[gte]=1714521600"),
    ([Qual("created", ">", at("2024-05-01T00:00:00.5Z"))], "created[gt]=1714521600"),
    ([Qual("created", ">=", at("2024-05-01T00:00:00.5Z"))], "created[gt]=1714521600"),
    ([Qual("created", "<", at("2024-05-01T00:00:00.5Z"))], "created[lte]=1714521600"),
    ([Qual("created", "<=", at("2024-05-01T00:00:00.5Z"))], "created[lte]=1714521600"),
    ([Qual("created", "=", at("2024-05-01T00:00Z"))], "created=1714521600"),
    (
        [
            Qual("created", ">", at("2024-01-01T00:00Z")),
            Qual("created", ">=", at("2024-05-01T00:00Z")),
            Qual("created", "<", at("2024-06-01T00:00Z")),
            Qual("created", "<", at("2025-06-01T00:00Z")),
        ],
        "created[gte]=1714521600&created[lt]=1717200000",
    ),
    ([Qual("created", ">", at("1900-01-01T00:00Z"))], ""),
    ([Qual("created", "<", at("9999-01-01T00:00Z"))], ""),
    ([Qual("created", ">", at("9999-01-01T00:00Z"))], "created[gte]=4294967295"),
    ([Qual("created", ">", Unknown("$1"))], "created[gt]=$1"),
    ([Qual("created", "<>", at("2024-05-01T00:00Z"))], ""),
]


@pytest.mark.parametrize(("quals", "expected"), RANGES, ids=lambda value: str(value)[:60])
def test_ranges(quals: list[Qual], expected: str) -> None:
    params = f"{expected}&limit=100" if expected else "limit=100"
    assert requests_of(planned("customer", *quals)) == [f"GET /v1/customers?{params}"]


def test_a_full_scan_may_be_cut_into_slices_but_not_where_order_or_laziness_matter() -> None:
    assert planned("customer").access == Lists(planned("customer").access.fetches, parallel=True)  # type: ignore[union-attr]
    for options in ({"limit": 10}, {"sortkeys": [NEWEST]}):
        access = planned("customer", **options).access
        assert isinstance(access, Lists)
        assert not access.parallel


def test_a_hint_makes_the_first_page_small_only_if_stripe_checks_everything() -> None:
    assert requests_of(planned("customer", limit=10)) == ["GET /v1/customers?limit=10"]
    assert requests_of(planned("customer", limit=0)) == ["GET /v1/customers?limit=1"]
    assert requests_of(planned("customer", limit=10_000)) == ["GET /v1/customers?limit=100"]
    assert requests_of(planned("customer", Qual("name", "=", "x"), limit=10)) == [
        "GET /v1/customers?limit=100"
    ]
    assert requests_of(planned("customer", Qual("email", "=", "x"), limit=10)) == [
        "GET /v1/customers?email=x&limit=100"
    ]


def test_a_list_by_one_of_several_values_is_not_cut_short() -> None:
    # Of the subscriptions with the price, those are wanted whose first price it is.
    request = "GET /v1/subscriptions?price=p1&status=all&limit=100"
    assert requests_of(planned("subscription", Qual("price", "=", "p1"), limit=10)) == [request]


def test_that_a_column_which_never_is_null_is_not_null_needs_no_check() -> None:
    # What Postgres makes of max(created).
    plan = planned("customer", Qual("created", "is not null"), sortkeys=[NEWEST], limit=1)
    assert describe_read(plan)[0] == ("Stripe Request", "GET /v1/customers?limit=1")
    assert (plan.pushed, plan.checked) == ((), ())
    assert planned("customer", Qual("name", "is not null")).checked != ()


def test_several_lists_are_merged_when_order_matters() -> None:
    access = planned("subscription", Qual("customer", "= any", ("cus_1", "cus_2")), sortkeys=[NEWEST]).access
    assert isinstance(access, Lists)
    assert access.merge_sorted


def test_an_object_that_two_lists_may_have_comes_once() -> None:
    several = planned("subscription", Qual("price", "= any", ("p1", "p2"))).access
    single = planned("subscription", Qual("customer", "= any", ("cus_1", "cus_2"))).access
    assert isinstance(several, Lists)
    assert several.deduplicate
    assert isinstance(single, Lists)
    assert not single.deduplicate


def test_columns_that_objects_do_not_know_are_filled_from_the_qual() -> None:
    access = planned("subscription", Qual("hidden", "= any", ("a", "b"))).access
    assert isinstance(access, Lists)
    assert [fetch.constant_columns for fetch in access.fetches] == [(("hidden", "a"),), (("hidden", "b"),)]


def test_a_product_of_many_values_stays_bounded() -> None:
    quals = [
        Qual("customer", "= any", tuple(f"cus_{i}" for i in range(60))),
        Qual("price", "= any", tuple(f"p_{i}" for i in range(60))),
    ]
    assert len(requests_of(planned("subscription", *quals))) == 60


@pytest.mark.parametrize(
    ("table", "column"), [("transfer_reversal", "transfer"), ("upcoming_invoice", "customer")]
)
def test_a_missing_qual_is_named_with_a_where_that_would_do(table: str, column: str) -> None:
    with pytest.raises(MissingQualError) as caught:
        planned(table)
    assert column in caught.value.message
    assert f"WHERE {column} = '" in (caught.value.hint or "")


def test_only_newest_first_is_sorted_by_stripe() -> None:
    customer = samples.CUSTOMER
    name = SortKey("name")
    assert sortable(customer, [NEWEST]) == [NEWEST]
    assert sortable(customer, [NEWEST, name]) == [NEWEST]
    assert sortable(customer, [SortKey("created", True, False)]) != []
    assert sortable(customer, [SortKey("created")]) == []
    assert sortable(customer, [name, NEWEST]) == []
    assert sortable(samples.REVERSAL, [NEWEST]) == []
    assert sortable(samples.ITEM, [NEWEST]) == []


SEARCHES = [
    ([Qual("name", "=", 'a "b" c')], 'name:"a \\"b\\" c"'),
    ([Qual("metadata", "@>", {"k": "v"})], 'metadata["k"]:"v"'),
    (
        [Qual("name", "=", "x"), Qual("created", ">", at("2024-05-01T00:00Z"))],
        'name:"x" AND created>1714521600',
    ),
]


@pytest.mark.parametrize(("quals", "query"), SEARCHES)
def test_search_where_no_list_filter_fits(quals: list[Qual], query: str) -> None:
    access = planned("customer", *quals, use_search=True).access
    assert isinstance(access, Search)
    assert [dict(fetch.request.params)["query"] for fetch in access.fetches] == [query]
    assert isinstance(planned("customer", *quals).access, Lists)


def test_no_search_where_a_filter_fits_or_nothing_can_be_said() -> None:
    assert isinstance(planned("customer", Qual("email", "=", "x"), use_search=True).access, Lists)
    assert isinstance(
        planned("customer", Qual("created", ">", at("2024-05-01T00:00Z")), use_search=True).access, Lists
    )


def test_plans_are_values() -> None:
    qual = Qual("id", "=", "cus_1")
    assert planned("customer", qual) == planned("customer", qual)
    assert hash(planned("customer", qual)) == hash(planned("customer", qual))
    assert isinstance(planned("customer", qual).access, Retrieve)
    assert isinstance(planned("upcoming_invoice", Qual("customer", "=", "cus_1")).access, Previews)
    assert isinstance(planned("line_item").access, FanOut)


def test_explain_tells_what_is_pushed_and_what_is_left() -> None:
    plan = planned("subscription", Qual("customer", "=", "cus_1"), Qual("status", "=", "mad"))
    assert describe_read(plan) == [
        ("Stripe Request", "GET /v1/subscriptions?customer=cus_1&status=all&limit=100"),
        ("Stripe Pushed", "customer = 'cus_1'"),
        ("Stripe Checked Locally", "status = 'mad'"),
    ]
    many = planned("customer", Qual("id", "= any", tuple(f"cus_{i}" for i in range(9))))
    assert [text for _, text in describe_read(many)][5] == "and 4 more like these"
