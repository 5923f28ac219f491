"""Tables of objects that Stripe retrieves and does not list, and the objects that can be none."""

from __future__ import annotations

import pytest

from stripe_fdw.catalog import describe, load
from stripe_fdw.catalog.overlay.unlisted import OBJECTS_WITHOUT_TABLE
from stripe_fdw.copies.copied_columns import copied_resources
from stripe_fdw.copies.install import chosen_resources
from stripe_fdw.database.errors import InstallError

CATALOG = load()
SINGLE = {
    "balance",
    "balance_settings",
    "billing_credit_balance_summary",
    "cash_balance",
    "current_account",
    "entitlements_active_entitlement_summary",
    "tax_association",
    "tax_settings",
    "treasury_financial_account_features",
}
BY_ID = {
    "confirmation_token",
    "financial_connections_session",
    "issuing_settlement",
    "mandate",
    "source",
    "source_mandate_notification",
    "tax_calculation",
    "tax_transaction",
    "token",
}
INSIDE_OTHERS = {"bank_account", "card", "discount"}


def test_the_three_kinds_of_tables_without_a_list() -> None:
    unlisted = {item.name: item for item in CATALOG.resources if not item.is_listed and not item.preview}
    assert {name for name, item in unlisted.items() if item.single} == SINGLE
    assert {name for name, item in unlisted.items() if item.holders} == INSIDE_OTHERS
    by_id = {name for name, item in unlisted.items() if not item.single and not item.holders}
    assert by_id == BY_ID
    assert all(unlisted[name].retrieve and not unlisted[name].list_path for name in BY_ID)


def test_the_account_of_the_key_has_the_columns_of_an_account() -> None:
    own, connected = CATALOG.resource["current_account"], CATALOG.resource["account"]
    assert [item.name for item in own.columns] == [item.name for item in connected.columns]
    assert (own.object, own.retrieve.path if own.retrieve else "") == ("account", "/v1/account")


def test_references_lead_to_objects_known_by_id() -> None:
    assert CATALOG.resource["setup_intent"].column["mandate"].references == ("mandate",)
    assert "setup_intent.mandate" in CATALOG.resource["mandate"].ids_in
    assert "tax_association.calculation" in CATALOG.resource["tax_calculation"].ids_in


def test_what_lies_inside_others_changes_no_column_of_theirs() -> None:
    """A customer's discount stays an object, and a payout's destination an external account."""
    assert CATALOG.resource["customer"].column["discount"].references == ()
    assert CATALOG.resource["payout"].column["destination"].references == ("external_account",)


@pytest.mark.parametrize("name", sorted(SINGLE | BY_ID | INSIDE_OTHERS))
def test_the_description_says_how_it_is_read(name: str) -> None:
    described = describe.table(CATALOG.resource[name])
    assert "list" not in described["requests"]
    assert "retrieve" in described["requests"] or "inside" in described["requests"]
    assert described["freshness"] == "not copied: Stripe has no list of these objects"
    needs_nothing = (
        name in SINGLE and not CATALOG.resource[name].parents and not CATALOG.resource[name].filters
    )
    assert bool(described["required"]) != needs_nothing


def test_no_object_without_a_list_is_copied() -> None:
    copied = {item.name for item in copied_resources(CATALOG)}
    assert not copied & (SINGLE | BY_ID | INSIDE_OTHERS)
    for name in ("mandate", "balance", "discount"):
        with pytest.raises(InstallError, match=f"no copy of {name}: Stripe has no list of these objects"):
            chosen_resources(["customer", name])
    with pytest.raises(InstallError, match="no copy of upcoming_invoice: Stripe computes these objects"):
        chosen_resources(["upcoming_invoice"])


def test_objects_without_a_table_have_a_reason_and_no_operation_that_retrieves_them() -> None:
    tables = {item.object for item in CATALOG.resources}
    assert not tables & OBJECTS_WITHOUT_TABLE.keys()
    assert all(reason for reason in OBJECTS_WITHOUT_TABLE.values())
