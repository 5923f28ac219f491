"""Requests expand what the query names, and nothing else."""

from __future__ import annotations

import pytest

from stripe_fdw.api.expand import with_expansions, without_expansions
from stripe_fdw.api.request import Request
from stripe_fdw.catalog import load
from stripe_fdw.fdw.planning.choice import choose_read
from stripe_fdw.fdw.planning.expansions import WHOLE_ROW, columns_named, remove_expanded
from stripe_fdw.fdw.planning.explain import describe_read
from stripe_fdw.fdw.planning.plan import ListThenRetrieve, ReadPlan, Retrieve
from stripe_fdw.fdw.planning.planner import plan_read
from stripe_fdw.fdw.planning.quals import Qual, normalise
from stripe_fdw.fdw.planning.statistics import AllRows, TableStatistics


def planned(table: str, named: list[str], *quals: Qual, use_search: bool = False) -> ReadPlan:
    resource = load().resource[table]
    return plan_read(
        resource,
        normalise(quals, dict(resource.column)),
        named=named,
        use_search=use_search,
        resources=load().resource,
    )


def lines(plan: ReadPlan) -> dict[str, list[str]]:
    shown: dict[str, list[str]] = {}
    for label, text in describe_read(plan, verbose=True):
        shown.setdefault(label, []).append(text)
    return shown


@pytest.mark.parametrize(
    ("named", "expanded"),
    [
        ([], None),
        (["id", "nickname"], None),
        (["id", "tiers"], "tiers"),
        (["tiers", "currency_options"], "currency_options, tiers"),
    ],
)
def test_only_named_columns_are_expanded(named: list[str], expanded: str | None) -> None:
    shown = lines(planned("price", named, Qual("id", "=", "price_1")))
    assert shown.get("Stripe Expand") == (None if expanded is None else [expanded])


def test_each_kind_of_request() -> None:
    assert lines(planned("price", ["tiers"], Qual("id", "= any", ("price_1", "price_2")))) == {
        "Stripe Request": [
            "GET /v1/prices/price_1?expand[0]=tiers",
            "GET /v1/prices/price_2?expand[0]=tiers",
        ],
        "Stripe Pushed": ["id = ANY ('price_1', 'price_2')"],
        "Stripe Expand": ["tiers"],
    }
    assert lines(planned("price", ["tiers", "currency_options"]))["Stripe Request"] == [
        "GET /v1/prices?active=true&limit=100&expand[0]=data.currency_options&expand[1]=data.tiers",
        "GET /v1/prices?active=false&limit=100&expand[0]=data.currency_options&expand[1]=data.tiers",
    ]
    search = planned("price", ["tiers"], Qual("currency", "=", "eur"), use_search=True)
    assert lines(search)["Stripe Request"][0].endswith("&limit=100&expand[0]=data.tiers")
    inside = lines(
        planned("tax_calculation_line_item", ["tax_breakdown"], Qual("calculation", "=", "taxcalc_1"))
    )
    assert inside["Stripe Request"][0].endswith("/line_items?limit=100&expand[0]=data.tax_breakdown")


def test_parents_of_a_list_are_read_without_expansions() -> None:
    shown = lines(planned("treasury_transaction_entry", ["flow_details"]))
    assert shown["Stripe Expand"] == ["flow_details"]
    assert [text.count("expand") for text in shown["Stripe Request"]] == [1, 0]


def test_part_of_a_column() -> None:
    plan = planned("shipping_rate", ["fixed_amount"], Qual("id", "=", "shr_1"))
    assert lines(plan)["Stripe Request"] == [
        "GET /v1/shipping_rates/shr_1?expand[0]=fixed_amount.currency_options"
    ]


def test_what_lists_do_not_expand_is_left_out_of_them_and_shown() -> None:
    shown = lines(planned("issuing_card", ["number", "id"]))
    assert shown["Stripe Request"] == ["GET /v1/issuing/cards?limit=100"]
    assert shown["Stripe Not Expanded"] == ["number: only of one object by its id"]
    assert "Stripe Expand" not in shown
    retrieved = lines(planned("issuing_card", ["number"], Qual("id", "=", "ic_1")))
    assert retrieved["Stripe Request"] == ["GET /v1/issuing/cards/ic_1?expand[0]=number"]
    assert "Stripe Not Expanded" not in retrieved


def test_no_request_expands_nothing() -> None:
    assert "Stripe Expand" not in lines(planned("price", ["tiers"], Qual("id", "=", "")))
    preview = planned("upcoming_invoice", ["payments"], Qual("customer", "=", "cus_1"))
    assert "expand" not in str(lines(preview))


def test_a_whole_row_names_all_columns_of_the_table_but_secret_ones() -> None:
    card = load().resource["issuing_card"]
    assert columns_named(card, [WHOLE_ROW], ["id", "number", "brand"]) == {"id", "brand"}
    assert columns_named(card, [WHOLE_ROW, "number"], ["id", "number", "cvc"]) == {"id", "number"}
    assert columns_named(card, ["cvc"], ["id", "number", "cvc"]) == {"cvc"}


def test_expansions_of_a_request_can_be_told_apart() -> None:
    request = Request.of("GET", "/v1/prices", {"limit": 3})
    expanded = with_expansions(request, ["a", "b"], in_list=True)
    assert str(expanded) == "GET /v1/prices?limit=3&expand[0]=data.a&expand[1]=data.b"
    assert without_expansions(expanded) == (request, frozenset({"a", "b"}))
    assert without_expansions(request) == (request, frozenset())
    assert with_expansions(request, []) is request


def test_what_a_user_expands_by_hand_stays() -> None:
    request = Request.of("POST", "/v1/prices", {"expand": ["product", "tiers"]})
    assert str(with_expansions(request, ["currency_options", "tiers"])) == (
        "POST /v1/prices?expand[0]=product&expand[1]=tiers&expand[2]=currency_options"
    )


def test_what_is_not_asked_for_is_removed() -> None:
    item = {"id": "x", "tiers": [], "amount": {"usd": 1, "options": 2}, "gone": None}
    assert remove_expanded(item, ["tiers", "amount.options", "gone.below", "none"]) == {
        "id": "x", "amount": {"usd": 1}, "gone": None,
    }  # fmt: skip
    assert item["amount"] == {"usd": 1, "options": 2}


def test_many_objects_are_retrieved_one_by_one_where_no_list_expands_what_is_needed() -> None:
    resource = load().resource["issuing_card"]
    quals = normalise([Qual("id", "= any", tuple(f"ic_{n}" for n in range(60)))], dict(resource.column))
    statistics = TableStatistics("an account with cards", resource)
    statistics.record(AllRows(), 200, None)

    def access(*named: str) -> object:
        return choose_read(resource, quals, statistics, named=named, resources=load().resource).access

    assert isinstance(access("id"), ListThenRetrieve)
    assert isinstance(access("id", "number"), Retrieve)
