"""Guesses that lead the planner to the cheaper way."""

from __future__ import annotations

import fdw_samples as samples

from stripe_fdw.fdw import estimate
from stripe_fdw.fdw.quals import Qual, Unknown


def test_the_more_is_known_the_fewer_rows_are_expected() -> None:
    every = estimate.rows(samples.SUBSCRIPTION, [])
    status = estimate.rows(samples.SUBSCRIPTION, [Qual("status", "=", "active")])
    customer = estimate.rows(samples.SUBSCRIPTION, [Qual("customer", "=", Unknown())])
    two = estimate.rows(samples.SUBSCRIPTION, [Qual("customer", "= any", ("cus_1", "cus_2"))])
    assert (
        every > status > two > customer > estimate.rows(samples.SUBSCRIPTION, [Qual("id", "=", "sub_1")]) == 1
    )
    assert estimate.rows(samples.SUBSCRIPTION, [Qual("id", "= any", ())]) == 1


def test_nested_loops_may_ask_by_id_by_parent_by_reference_and_by_text() -> None:
    found = [names for names, _ in estimate.path_keys(samples.SUBSCRIPTION)]
    assert found == [("id",), ("customer",), ("hidden",), ("price",)]
    assert [names for names, _ in estimate.path_keys(samples.CUSTOMER)] == [("id",), ("email",)]
    assert [names for names, _ in estimate.path_keys(samples.LINE)] == [("invoice",)]
    assert [names for names, _ in estimate.path_keys(samples.ITEM)] == [("subscription",)]


def test_a_whole_object_is_wide() -> None:
    narrow = estimate.width(samples.CUSTOMER, ["id"])
    assert (
        narrow
        < estimate.width(samples.CUSTOMER, ["id", "metadata"])
        < estimate.width(samples.CUSTOMER, ["_raw"])
    )
    assert estimate.width(samples.CUSTOMER, []) > 0
