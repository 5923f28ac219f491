"""What RETURNING names is in the answer: the last request expands it, or the object is read once more."""

from __future__ import annotations

from typing import Any

import pytest

from stripe_fdw.catalog import load
from stripe_fdw.fdw.writing.plan.expanded_plan import expanded_plan
from stripe_fdw.fdw.writing.plan.planner import plan_insert, plan_update
from stripe_fdw.fdw.writing.plan.row_plan import RowPlan

PRICE = {"id": "price_1", "nickname": "old"}


def update(table: str, old: dict[str, Any], values: dict[str, Any], *answered: str) -> RowPlan:
    resource = load().resource[table]
    return expanded_plan(resource, plan_update(resource, {"id": old["id"], "_raw": old}, values), answered)


def sent(plan: RowPlan) -> list[str]:
    return [str(request) for request in plan.requests]


def test_a_creation() -> None:
    resource = load().resource["customer"]
    plan = plan_insert(resource, {"name": "x"})
    assert expanded_plan(resource, plan, ["id", "name"]) is plan
    expanded = expanded_plan(resource, plan, ["tax_ids", "tax"])
    assert sent(expanded) == ["POST /v1/customers?name=x&expand[0]=tax&expand[1]=tax_ids"]
    assert not expanded.reads_answer


def test_an_update() -> None:
    plan = update("price", PRICE, {"nickname": "new"}, "tiers")
    assert sent(plan) == ["POST /v1/prices/price_1?nickname=new&expand[0]=tiers"]
    assert not plan.reads_answer


def test_an_update_that_changes_nothing_reads_the_object() -> None:
    plan = update("price", PRICE, {"nickname": "old"}, "tiers")
    assert sent(plan) == []
    assert (plan.reads_answer, plan.expanded) == (True, ("tiers",))
    assert not update("price", PRICE, {"nickname": "old"}, "nickname").reads_answer


def test_of_several_requests_the_last_expands() -> None:
    draft = {"id": "in_1", "status": "draft", "description": None}
    plan = update("invoice", draft, {"description": "x", "status": "open"}, "payments")
    assert sent(plan) == [
        "POST /v1/invoices/in_1?description=x",
        "POST /v1/invoices/in_1/finalize?expand[0]=payments",
    ]


def test_an_operation_that_answers_with_another_object() -> None:
    customer = {"id": "cus_1", "discount": {"id": "di_1"}}
    plan = update("customer", customer, {"discount": None}, "tax")
    assert sent(plan) == ["DELETE /v1/customers/cus_1/discount"]
    assert plan.reads_answer


@pytest.mark.parametrize("answered", [["number"], ["number", "id"]])
def test_what_only_a_retrieve_expands_is_read_afterwards(answered: list[str]) -> None:
    resource = load().resource["issuing_card"]
    plan = plan_insert(resource, {"currency": "usd", "type": "virtual"})
    expanded = expanded_plan(resource, plan, answered)
    assert sent(expanded) == sent(plan)
    assert (expanded.reads_answer, expanded.expanded) == (True, ("number",))
