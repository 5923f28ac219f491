"""The choice between a request for each of many values and one list."""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

import pytest
from msgspec.structs import replace

from stripe_fdw.catalog.model import Filter, Resource
from stripe_fdw.fdw.planning.choice import choose_read
from stripe_fdw.fdw.planning.explain import describe_read
from stripe_fdw.fdw.planning.plan import Lists, ListThenRetrieve, ReadPlan, Retrieve
from stripe_fdw.fdw.planning.quals import Qual
from stripe_fdw.fdw.planning.statistics import AllRows, TableStatistics, statistics_account
from support import sample_resources as samples

Choose = Callable[..., ReadPlan]


def ids(count: int) -> Qual:
    return Qual("id", "= any", tuple(f"cus_{number}" for number in range(count)))


@pytest.fixture
def choose() -> Choose:
    """Plan a read of an account where a table has a number of rows."""
    account = statistics_account({"api_key": uuid4().hex})

    def choose(resource: Resource, *quals: Qual, rows: int = 2000, limit: int | None = None) -> ReadPlan:
        statistics = TableStatistics(account, resource)
        statistics.record(AllRows(), rows, None)
        return choose_read(resource, quals, statistics, limit=limit, resources={resource.name: resource})

    return choose


def test_ids_are_retrieved_as_long_as_that_takes_fewer_requests_than_the_list(choose: Choose) -> None:
    assert isinstance(choose(samples.CUSTOMER, ids(20)).access, Retrieve)
    assert isinstance(choose(samples.CUSTOMER, ids(500), rows=60_000).access, Retrieve)
    assert isinstance(choose(samples.CUSTOMER, ids(8), rows=10).access, Retrieve)
    plan = choose(samples.CUSTOMER, ids(500))
    assert isinstance(plan.access, ListThenRetrieve)
    assert len(plan.access.listed.fetches) == 1
    assert len(plan.access.retrieved.fetches) == 500
    assert plan.checked == (ids(500),)


def test_a_narrower_list_is_read_for_fewer_ids(choose: Choose) -> None:
    emails = Qual("email", "=", "a@b.c")
    plan = choose(samples.CUSTOMER, ids(20), emails)
    assert isinstance(plan.access, ListThenRetrieve)
    assert plan.pushed == (emails,)


def test_a_limit_ends_the_requests_by_id(choose: Choose) -> None:
    assert isinstance(choose(samples.CUSTOMER, ids(500), limit=3).access, Retrieve)
    assert isinstance(choose(samples.CUSTOMER, ids(500), limit=300).access, ListThenRetrieve)


def test_explain_shows_both_kinds_of_requests(choose: Choose) -> None:
    lines = describe_read(choose(samples.CUSTOMER, ids(500)))
    assert lines[:2] == [
        ("Stripe Request", "GET /v1/customers?limit=100"),
        ("Stripe Request", "GET /v1/customers/{customer} for those of the 500 ids that are not listed"),
    ]


def test_a_filter_is_left_out_where_it_would_make_more_requests(choose: Choose) -> None:
    customers = Qual("customer", "= any", tuple(f"cus_{number}" for number in range(300)))
    plan = choose(samples.SUBSCRIPTION, customers)
    assert isinstance(plan.access, Lists)
    assert len(plan.access.fetches) == 1
    assert plan.checked == (customers,)


@pytest.mark.parametrize(
    "filter_", [Filter("customer", "customer", reveals=True), Filter("customer", "customer", required=True)]
)
def test_a_filter_without_which_the_list_hides_objects_is_kept(choose: Choose, filter_: Filter) -> None:
    resource = replace(samples.SUBSCRIPTION, filters=(filter_,))
    plan = choose(resource, Qual("customer", "= any", tuple(f"cus_{number}" for number in range(300))))
    assert isinstance(plan.access, Lists)
    assert len(plan.access.fetches) == 300


def test_a_filter_that_gives_rows_its_value_is_kept(choose: Choose) -> None:
    plan = choose(samples.SUBSCRIPTION, Qual("hidden", "= any", tuple(f"h{number}" for number in range(300))))
    assert isinstance(plan.access, Lists)
    assert len(plan.access.fetches) == 300
