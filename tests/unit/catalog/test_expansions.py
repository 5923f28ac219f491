"""The columns that requests have to expand, derived from the SDK and completed by hand."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from stripe_fdw.catalog import load
from stripe_fdw.catalog.model import Column
from stripe_fdw.catalog.overlay.expansions import EXPANSIONS, SECRETS
from stripe_fdw.catalog.reference_pages import pages
from unit.catalog.test_describe import APP

CATALOG = load()
EXPANDED = [
    (resource.name, column) for resource in CATALOG.resources for column in resource.columns if column.expand
]


def of(table: str, name: str) -> Column:
    return CATALOG.resource[table].column[name]


@pytest.mark.parametrize(
    ("table", "names"),
    [
        ("charge", {"refunds"}),
        ("checkout_session", {"line_items"}),
        ("coupon", {"applies_to", "currency_options"}),
        (
            "customer",
            {"cash_balance", "invoice_credit_balance", "sources", "subscriptions", "tax", "tax_ids"},
        ),
        ("invoice", {"confirmation_secret", "payments"}),
        ("issuing_card", {"cvc", "number"}),
        ("payment_link", {"line_items"}),
        ("plan", {"tiers"}),
        ("price", {"currency_options", "tiers"}),
        ("quote", {"line_items"}),
        ("subscription", set()),
        ("payment_intent", set()),
    ],
)
def test_what_has_to_be_expanded(table: str, names: set[str]) -> None:
    assert {column.name for column in CATALOG.resource[table].columns if column.expand} == names


def test_what_the_sdk_says_itself_needs_no_entry_by_hand() -> None:
    derived = {(table, column.name) for table, column in EXPANDED} - EXPANSIONS.keys()
    assert derived == {
        ("checkout_session", "line_items"),
        ("invoice", "payments"),
        ("issuing_card", "cvc"),
        ("issuing_card", "number"),
        ("payment_link", "line_items"),
        ("quote", "line_items"),
        ("treasury_transaction", "entries"),
    }


def test_what_lists_do_not_expand() -> None:
    assert {(table, column.name) for table, column in EXPANDED if not column.expanded_in_lists} == {
        ("issuing_card", "cvc"),
        ("issuing_card", "number"),
        ("treasury_transaction", "entries"),
        ("v2_core_account", "configuration"),
        ("v2_core_account", "defaults"),
        ("v2_core_account", "future_requirements"),
        ("v2_core_account", "identity"),
        ("v2_core_account", "requirements"),
    }


def test_secrets_are_marked() -> None:
    assert {(table, column.name) for table, column in EXPANDED if column.is_secret} == SECRETS
    assert not any(
        column.is_secret and not column.expand
        for resource in CATALOG.resources
        for column in resource.columns
    )


@pytest.mark.parametrize(("table", "column"), EXPANDED, ids=lambda item: getattr(item, "name", item))
def test_expansions_are_no_deeper_than_stripe_allows(table: str, column: Column) -> None:
    for path in column.expand.split(","):
        assert len(["data", *path.split(".")]) <= 4
        assert path.split(".")[0] == column.path[0]
    assert column.nullable
    assert table != "upcoming_invoice"  # a preview is computed, and has no such fields


def test_part_of_a_column_may_have_to_be_expanded() -> None:
    assert of("shipping_rate", "fixed_amount").expand == "fixed_amount.currency_options"


def test_descriptions_show_it() -> None:
    result = CliRunner().invoke(APP, ["issuing_card", "--json"])
    columns = {item["column"]: item for item in json.loads(result.output)["columns"]}
    assert columns["number"]["expand"] == "number"
    assert columns["number"]["expand_limits"] == ["by id", "by name"]
    assert columns["id"]["expand"] == ""
    printed = CliRunner().invoke(APP, ["price"], env={"COLUMNS": "200"}).output
    assert "with expand[]=tiers" in printed
    reference = "\n".join(pages(CATALOG).values())
    assert "with `expand[]=tiers`" in reference
    assert "with `expand[]=cvc`, only of one object by its id and where a query names the column" in reference
