"""Estimates that lead Postgres to the cheaper plan, and the statistics that scans add to them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from msgspec.structs import replace

from stripe_fdw.catalog.model import Resource
from stripe_fdw.errors import MissingQualError
from stripe_fdw.fdw.planning import estimates
from stripe_fdw.fdw.planning.estimates import ScanEstimate
from stripe_fdw.fdw.planning.planner import plan_read
from stripe_fdw.fdw.planning.quals import Qual, Unknown
from stripe_fdw.fdw.planning.statistics import TableStatistics, statistics_account
from stripe_fdw.fdw.reading.observation import observe
from stripe_fdw.fdw.reading.page import ObjectPage
from support import sample_resources as samples

RESOURCES = {
    item.name: item
    for item in (samples.CUSTOMER, samples.SUBSCRIPTION, samples.ITEM, samples.LINE, samples.INVOICE)
}
STATUS = Qual("status", "=", "active")
OF_CUSTOMER = Qual("customer", "=", Unknown())
DAY = 86_400


@pytest.fixture
def account() -> str:
    """An account without statistics."""
    return statistics_account({"api_key": uuid4().hex})


def size(account: str, resource: Resource, *quals: Qual) -> ScanEstimate:
    try:
        plan = plan_read(resource, quals, resources=RESOURCES)
    except MissingQualError:
        plan = None
    return estimates.estimate_scan(
        plan, quals, TableStatistics(account, resource), {**RESOURCES, resource.name: resource}
    )


def rows(account: str, resource: Resource, *quals: Qual) -> float:
    return size(account, resource, *quals).rows


def since(days: float) -> Qual:
    return Qual("created", ">", datetime.now(UTC) - timedelta(days=days))


def scan(account: str, resource: Resource, quals: Sequence[Qual], objects: list[dict[str, Any]]) -> None:
    """A scan that is read to its end."""
    plan = plan_read(resource, quals, resources=RESOURCES)
    pages = [ObjectPage(objects[start : start + 100], {}) for start in range(0, len(objects), 100)]
    assert list(observe(pages, plan, TableStatistics(account, resource))) == pages


def objects(count: int, *, days: float = 100) -> list[dict[str, Any]]:
    now = int(time.time())
    return [{"id": f"sub_{n}", "created": now - int(n * days * DAY / count)} for n in range(count)]


def test_the_more_conditions_the_fewer_rows_are_expected(account: str) -> None:
    every = rows(account, samples.SUBSCRIPTION)
    status = rows(account, samples.SUBSCRIPTION, STATUS)
    two_customers = rows(account, samples.SUBSCRIPTION, Qual("customer", "= any", ("cus_1", "cus_2")))
    one_customer = rows(account, samples.SUBSCRIPTION, OF_CUSTOMER)
    assert (
        every
        > status
        > two_customers
        > one_customer
        > rows(account, samples.SUBSCRIPTION, Qual("id", "=", "sub_1"))
        == 1
    )
    assert rows(account, samples.SUBSCRIPTION, Qual("id", "= any", ())) == 1


def test_a_few_days_are_a_small_part_of_an_account_s_age(account: str) -> None:
    every = rows(account, samples.CUSTOMER)
    assert rows(account, samples.CUSTOMER, since(1)) < every / 3000
    # As the outer side of a nested loop, a month costs less than the pages of a list of unknown length.
    assert rows(account, samples.CUSTOMER, since(30)) < size(account, samples.SUBSCRIPTION).requests
    assert rows(account, samples.CUSTOMER, since(36_500)) == every
    assert rows(account, samples.CUSTOMER, Qual("created", ">", Unknown())) < every / 10


def test_other_times_are_not_taken_for_ages(account: str) -> None:
    every = rows(account, samples.SUBSCRIPTION)
    ends = Qual("current_period_end", ">", datetime.now(UTC))
    assert rows(account, samples.SUBSCRIPTION, ends) == pytest.approx(every / 3)
    assert rows(account, samples.CUSTOMER, Qual("balance", "<", 0)) == pytest.approx(every / 3)


def test_requests_are_what_a_plan_takes(account: str) -> None:
    every = size(account, samples.SUBSCRIPTION)
    assert every.requests == every.rows / 100
    assert size(account, samples.SUBSCRIPTION, OF_CUSTOMER).requests == 1
    two_customers = Qual("customer", "= any", ("cus_1", "cus_2"))
    assert size(account, samples.SUBSCRIPTION, two_customers).requests == 2
    ids = Qual("id", "= any", ("sub_1", "sub_2", "sub_3"))
    assert size(account, samples.SUBSCRIPTION, ids) == ScanEstimate(3, 3, 3)
    assert size(account, samples.SUBSCRIPTION, Qual("id", "=", None)).requests == 0
    local = size(account, samples.CUSTOMER, Qual("name", "=", "Ada"))
    assert local.rows < 100
    assert local.requests == size(account, samples.CUSTOMER).requests


def test_a_scan_without_a_required_qual_is_expensive(account: str) -> None:
    assert size(account, samples.REVERSAL).requests > 1e6


def test_lists_inside_objects_cost_a_request_each_unless_the_parents_hold_them(account: str) -> None:
    assert size(account, samples.LINE).requests > rows(account, samples.INVOICE) / 2


def test_tables_of_products_are_estimated_to_be_small(account: str) -> None:
    price = replace(samples.SUBSCRIPTION, area="products")
    assert rows(account, price) == estimates.DEFAULT_PRODUCT_ROWS
    assert size(account, price).requests == estimates.DEFAULT_PRODUCT_ROWS / 100


def test_a_full_scan_teaches_how_many_there_are(account: str) -> None:
    scan(account, samples.SUBSCRIPTION, [], objects(450, days=100))
    assert size(account, samples.SUBSCRIPTION) == ScanEstimate(450, 450, 4.5)
    assert rows(account, samples.SUBSCRIPTION, since(10)) == pytest.approx(45, rel=0.1)
    assert rows(statistics_account({"api_key": "other"}), samples.SUBSCRIPTION) == estimates.DEFAULT_ROWS
    scan(account, samples.SUBSCRIPTION, [], [])
    assert rows(account, samples.SUBSCRIPTION) == 1


def test_a_scan_that_is_not_read_to_its_end_teaches_nothing(account: str) -> None:
    plan = plan_read(samples.SUBSCRIPTION, [], resources=RESOURCES)
    statistics = TableStatistics(account, samples.SUBSCRIPTION)
    pages = observe([ObjectPage(objects(3), {}), ObjectPage(objects(3), {})], plan, statistics)
    next(pages)
    pages.close()  # type: ignore[attr-defined]
    assert statistics.rows() is None


def test_conditions_that_postgres_checks_change_nothing_of_an_observation(account: str) -> None:
    scan(account, samples.CUSTOMER, [Qual("name", "=", "Ada")], objects(30))
    assert rows(account, samples.CUSTOMER) == 30


def test_scans_by_a_reference_teach_the_average(account: str) -> None:
    scan(account, samples.SUBSCRIPTION, [Qual("customer", "=", "cus_1")], objects(2))
    scan(account, samples.SUBSCRIPTION, [Qual("customer", "= any", ("cus_2", "cus_3", "cus_4"))], objects(2))
    assert rows(account, samples.SUBSCRIPTION, OF_CUSTOMER) == 1
    three = Qual("customer", "= any", ("cus_7", "cus_8", "cus_9"))
    assert rows(account, samples.SUBSCRIPTION, three) == 3
    assert (("customer",), 1.0) in estimates.path_keys(
        samples.SUBSCRIPTION, TableStatistics(account, samples.SUBSCRIPTION)
    )


def test_a_full_scan_teaches_how_many_rows_share_a_value(account: str) -> None:
    scan(
        account,
        samples.SUBSCRIPTION,
        [],
        [{**item, "customer": f"cus_{n // 3}"} for n, item in enumerate(objects(450))],
    )
    assert rows(account, samples.SUBSCRIPTION, OF_CUSTOMER) == 3
    many = [{**item, "customer": f"cus_{n}"} for n, item in enumerate(objects(5_100))]
    scan(account, samples.SUBSCRIPTION, [], many)
    assert rows(account, samples.SUBSCRIPTION, OF_CUSTOMER) == 3  # too many to count


def test_many_values_at_once_teach_their_average(account: str) -> None:
    scan(account, samples.SUBSCRIPTION, [Qual("customer", "=", "cus_1")], objects(50))
    values = tuple(f"cus_{n}" for n in range(300))
    scan(account, samples.SUBSCRIPTION, [Qual("customer", "= any", values)], objects(600))
    assert rows(account, samples.SUBSCRIPTION, OF_CUSTOMER) == 2


def test_scans_by_a_state_teach_of_that_state(account: str) -> None:
    before = rows(account, samples.SUBSCRIPTION, Qual("status", "=", "canceled"))
    scan(account, samples.SUBSCRIPTION, [STATUS], objects(7))
    assert rows(account, samples.SUBSCRIPTION, STATUS) == 7
    assert rows(account, samples.SUBSCRIPTION, Qual("status", "=", "canceled")) == before


def test_scans_of_the_last_days_teach_how_fast_objects_come(account: str) -> None:
    scan(account, samples.CUSTOMER, [since(10)], objects(500, days=10))
    assert rows(account, samples.CUSTOMER, since(1)) == pytest.approx(50, rel=0.1)
    # Of long ago they say nothing.
    before = rows(account, samples.CUSTOMER, since(20))
    old = datetime(2020, 1, 1, tzinfo=UTC)
    scan(account, samples.CUSTOMER, [Qual("created", "<", old), Qual("created", ">", old)], [])
    assert rows(account, samples.CUSTOMER, since(20)) == pytest.approx(before, rel=0.01)


def test_nested_loops_may_ask_by_id_by_parent_by_reference_and_by_text(account: str) -> None:
    def names(resource: Resource) -> list[tuple[str, ...]]:
        return [names for names, _ in estimates.path_keys(resource, TableStatistics(account, resource))]

    assert names(samples.SUBSCRIPTION) == [("id",), ("customer",), ("price",)]
    assert names(samples.CUSTOMER) == [("id",), ("email",)]
    assert names(samples.LINE) == [("invoice",)]
    assert names(samples.ITEM) == [("subscription",)]


def test_a_whole_object_is_wide() -> None:
    narrow = estimates.estimate_row_width(samples.CUSTOMER, ["id"])
    assert (
        narrow
        < estimates.estimate_row_width(samples.CUSTOMER, ["id", "metadata"])
        < estimates.estimate_row_width(samples.CUSTOMER, ["_raw"])
    )
    assert estimates.estimate_row_width(samples.CUSTOMER, []) > 0
