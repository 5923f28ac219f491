"""Plans of tables without a list: one request, a request for each id, or the objects that hold the rows."""

from __future__ import annotations

import pytest

from stripe_fdw.catalog import load
from stripe_fdw.errors import MissingQualError
from stripe_fdw.fdw.planning.choice import choose_read
from stripe_fdw.fdw.planning.estimates import estimate_scan, path_keys
from stripe_fdw.fdw.planning.plan import EmptyResult, FanOut, Held, ReadPlan, Retrieve
from stripe_fdw.fdw.planning.planner import plan_read
from stripe_fdw.fdw.planning.quals import ANY, EQUAL, Qual
from stripe_fdw.fdw.planning.statistics import TableStatistics

RESOURCES = load().resource


def planned(table: str, *quals: Qual) -> ReadPlan:
    return plan_read(RESOURCES[table], quals, resources=RESOURCES)


def asked(plan: ReadPlan) -> list[str]:
    assert isinstance(plan.access, Retrieve | Held | FanOut)
    return [str(fetch.request) for fetch in plan.access.fetches]


@pytest.mark.parametrize("quals", [(), (Qual("livemode", EQUAL, value=True),), (Qual("object", EQUAL, "x"),)])
def test_a_singleton_is_one_request_whatever_is_asked(quals: tuple[Qual, ...]) -> None:
    plan = planned("balance", *quals)
    assert asked(plan) == ["GET /v1/balance"]
    assert plan.pushed == ()
    assert plan.checked == quals


def test_an_only_object_of_a_parent_is_one_request_for_each() -> None:
    plan = planned("cash_balance", Qual("customer", ANY, ("cus_1", "cus_2")))
    assert isinstance(plan.access, Retrieve)
    assert asked(plan) == [f"GET /v1/customers/{name}/cash_balance" for name in ("cus_1", "cus_2")]
    assert [fetch.constant_columns for fetch in plan.access.fetches] == [
        (("customer", name),) for name in ("cus_1", "cus_2")
    ]
    fan_out = planned("cash_balance").access
    assert isinstance(fan_out, FanOut)
    assert fan_out.parents.resource == "customer"


def test_either_of_two_columns_may_name_the_customer() -> None:
    sent = "filter[type]=applicability_scope&filter[applicability_scope][price_type]=metered"
    by_name = {"customer": "cus_1", "customer_account": "acct_1"}
    for column, value in by_name.items():
        [request] = asked(planned("billing_credit_balance_summary", Qual(column, EQUAL, value)))
        assert request == f"GET /v1/billing/credit_balance_summary?{column}={value}&{sent}"


def test_ids_are_retrieved_however_many_there_are() -> None:
    ids = tuple(f"mandate_{number}" for number in range(500))
    mandate = RESOURCES["mandate"]
    quals = [Qual("id", ANY, ids)]
    chosen = choose_read(mandate, quals, TableStatistics("unlisted", mandate), resources=RESOURCES)
    assert isinstance(chosen.access, Retrieve)
    assert len(chosen.access.fetches) == 500


def test_ids_that_fit_no_path_are_no_object_s() -> None:
    assert isinstance(planned("mandate", Qual("id", EQUAL, "..")).access, EmptyResult)
    assert asked(planned("mandate", Qual("id", ANY, ("..", "mandate_1")))) == ["GET /v1/mandates/mandate_1"]


def test_a_notification_needs_its_source_as_well() -> None:
    identifier, source = Qual("id", EQUAL, "srcmn_1"), Qual("source", EQUAL, "src_1")
    assert asked(planned("source_mandate_notification", identifier, source)) == [
        "GET /v1/sources/src_1/mandate_notifications/srcmn_1"
    ]
    for quals in ((), (identifier,), (source,)):
        with pytest.raises(MissingQualError, match="condition on source and id") as caught:
            planned("source_mandate_notification", *quals)
        assert caught.value.hint == "For example: SELECT ... WHERE source = 'src_...' AND id = 'srcmn_...'"


def test_what_lies_inside_others_is_read_from_the_column_that_says_most() -> None:
    by_customer, by_subscription = Qual("customer", EQUAL, "cus_1"), Qual("subscription", EQUAL, "sub_1")
    one_subscription = ["GET /v1/subscriptions/sub_1?expand[0]=discounts"]
    assert [
        text.replace("%5B", "[").replace("%5D", "]") for text in asked(planned("discount", by_subscription))
    ] == (one_subscription)
    plan = planned("discount", by_customer, by_subscription)
    assert plan.pushed == (by_subscription,)
    assert plan.checked == (by_customer,)
    assert len(asked(planned("discount", by_customer))) == 2
    assert asked(planned("card", Qual("account", EQUAL, "acct_1"))) == [
        "GET /v1/accounts/acct_1/external_accounts?object=card&limit=100"
    ]


def test_what_lies_inside_others_is_in_none_that_cannot_exist() -> None:
    assert isinstance(planned("card", Qual("customer", EQUAL, "a/b")).access, EmptyResult)
    with pytest.raises(MissingQualError, match="condition on subscription or customer"):
        planned("discount", Qual("id", EQUAL, "di_1"))


def test_a_join_asks_by_what_the_table_needs() -> None:
    def keys(table: str) -> dict[tuple[str, ...], float]:
        return dict(path_keys(RESOURCES[table], TableStatistics("unlisted", RESOURCES[table])))

    assert keys("balance") == {}
    assert keys("mandate") == {("id",): 1.0}
    assert keys("cash_balance") == {("customer",): 1.0}
    assert keys("source_mandate_notification") == {("source", "id"): 1.0}
    assert keys("discount").keys() == {("subscription",), ("customer",)}
    assert keys("billing_credit_balance_summary").keys() == {("customer",), ("customer_account",)}


def test_estimates_are_of_as_many_objects_as_requests() -> None:
    for plan in (planned("balance"), planned("mandate", Qual("id", ANY, ("mandate_1", "mandate_2")))):
        statistics = TableStatistics("unlisted", RESOURCES[plan.resource])
        estimate = estimate_scan(plan, plan.pushed, statistics, RESOURCES)
        assert estimate.fetched == estimate.requests == len(asked(plan))


def test_a_table_without_a_list_is_not_estimated_as_one() -> None:
    """No plan of a join may scan it as a whole."""
    statistics = TableStatistics("unlisted", RESOURCES["mandate"])
    assert estimate_scan(None, (), statistics, RESOURCES).requests > 1e12
