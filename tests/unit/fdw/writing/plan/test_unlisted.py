"""Plans of writes to objects that no list has: without an id, or inside another object."""

from __future__ import annotations

import pytest

from stripe_fdw.catalog import load
from stripe_fdw.errors import ColumnError, StripeFdwError
from stripe_fdw.fdw.writing.plan.explain import PlannedChange, describe_write
from stripe_fdw.fdw.writing.plan.planner import plan_delete, plan_update

RESOURCES = load().resource


def test_a_singleton_is_updated_without_an_id() -> None:
    old = {"_raw": {"object": "tax.settings", "head_office": None}}
    office = {"address": {"country": "DE"}}
    plan = plan_update(RESOURCES["tax_settings"], old, {"head_office": office})
    [request] = plan.requests
    assert request.request.path == "/v1/tax/settings"
    assert plan.object_id is None
    assert plan.retrieve is not None
    assert plan.retrieve.path == "/v1/tax/settings"


def test_the_only_object_of_a_parent_needs_its_id() -> None:
    features = RESOURCES["treasury_financial_account_features"]
    old = {"_raw": {"object": features.object, "deposit_insurance": {"requested": True}}}
    change = {"deposit_insurance": {"requested": False}}
    [request] = plan_update(features, {**old, "financial_account": "fa_1"}, change).requests
    assert request.request.path == "/v1/treasury/financial_accounts/fa_1/features"
    with pytest.raises(ColumnError, match='"financial_account" is not known'):
        plan_update(features, old, change)


def test_a_customer_s_own_discount_is_deleted_from_the_customer() -> None:
    old = {"id": "di_1", "customer": "cus_1", "subscription": None}
    plan = plan_delete(RESOURCES["discount"], old)
    [request] = plan.requests
    assert str(request.request) == "DELETE /v1/customers/cus_1/discount"
    assert not request.answers_object


def test_a_subscription_s_discount_is_not_deleted_with_others() -> None:
    old = {"id": "di_1", "customer": "cus_1", "subscription": "sub_1"}
    with pytest.raises(StripeFdwError, match="cannot delete discount di_1"):
        plan_delete(RESOURCES["discount"], old)


def test_explain_names_the_operations_of_what_no_list_has() -> None:
    def written(table: str, command: str, *columns: str) -> list[tuple[str, str]]:
        return describe_write(RESOURCES[table], PlannedChange(command, columns))

    assert written("discount", "DELETE") == [("Stripe Write", "DELETE /v1/customers/{customer}/discount")]
    assert written("tax_settings", "UPDATE", "head_office") == [("Stripe Write", "POST /v1/tax/settings")]
    assert written("token", "INSERT") == [("Stripe Write", "POST /v1/tokens")]
