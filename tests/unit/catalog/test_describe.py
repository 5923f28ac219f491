"""What ``stripe-fdw catalog`` prints."""

from __future__ import annotations

import json

import pytest
import typer
from typer.testing import CliRunner

from stripe_fdw.catalog import describe, load
from stripe_fdw.cli.catalog import catalog
from stripe_fdw.errors import TableError

APP = typer.Typer()
APP.command()(catalog)


def run(*arguments: str) -> str:
    result = CliRunner().invoke(APP, list(arguments), env={"COLUMNS": "200"}, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_all_tables_are_listed_with_their_sum() -> None:
    printed = run()
    assert all(resource.name in printed for resource in load().resources)
    assert f"{len(load().resources)} tables" in printed
    assert load().api_version in printed


def test_the_tables_of_one_area() -> None:
    tables = json.loads(run("--area", "issuing", "--json"))
    assert {item["area"] for item in tables} == {"issuing"}
    assert "issuing_card" in {item["table"] for item in tables}


def test_an_unknown_area_names_the_areas() -> None:
    result = CliRunner().invoke(APP, ["--area", "billling"])
    assert result.exit_code == 2
    assert "billing" in result.output


def test_one_table_shows_types_pushdown_writing_states_and_freshness() -> None:
    printed = run("subscription")
    lines = {line.split()[0]: line for line in printed.splitlines() if line.strip()}
    assert "timestamp with time zone" in lines["created"]
    assert "=, = ANY, range" in lines["created"]
    assert "insert" in lines["customer"]
    assert "id of customer" in lines["customer"]
    assert "from items.data.price.id" in lines["price"]
    assert "listed with: status=all" in printed
    assert "fresh by: events" in printed
    assert "customer.subscription.updated" in printed


def test_one_table_shows_how_it_is_written() -> None:
    printed = run("subscription")
    lines = {line.split()[0]: line for line in printed.splitlines() if line.strip()}
    assert "insert needs: customer or customer_account; items or plan or price" in printed
    assert "insert; update; NULL" in lines["metadata"]
    assert "operation" in lines["status"]
    assert "past_due, trialing, unpaid, paused: DELETE /v1/subscriptions/" in printed
    assert "set status = 'active' from paused: POST /v1/subscriptions/{subscription}/resume" in printed
    assert (
        "set status = 'active' from trialing: POST /v1/subscriptions/{subscription} trial_end=now" in printed
    )
    assert "from items.data.price.id; sent as items[0][price]" in lines["price"]
    with_params = next(line for line in printed.splitlines() if line.startswith("with _params:"))
    assert "proration_behavior" in with_params
    assert "with stripe_live.call: DELETE /v1/subscriptions/{subscription}/discount" in printed


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ("promotion_code.promotion", ["insert"]),  # or coupon
        ("promotion_code.coupon", ["insert"]),
        ("promotion_code.active", ["insert", "update"]),
        ("product.name", ["insert, required", "update"]),
        ("customer_balance_transaction.customer", ["insert, required"]),  # stands in the URL
        ("customer_balance_transaction.description", ["insert", "update"]),
        ("customer.metadata", ["insert", "update", "NULL"]),
        ("customer.id", []),
        ("invoice.status", ["operation"]),
        ("payment_method.customer", ["insert", "operation"]),
        ("person.relationship_owner", ["insert", "update"]),
    ],
)
def test_the_writes_of_a_column_are_described(column: str, expected: list[str]) -> None:
    table, name = column.split(".")
    described = describe.table(load().resource[table])
    assert next(item["write"] for item in described["columns"] if item["column"] == name) == expected


@pytest.mark.parametrize(
    ("table", "needed"),
    [
        ("customer", []),
        ("promotion_code", [["promotion", "coupon"]]),
        ("external_account", [["account"], ["_params[external_account]"]]),
        ("line_item", []),  # has no creation of its own
        ("invoice", [["customer", "customer_account", "from_invoice"]]),
    ],
)
def test_the_values_that_an_insert_needs_are_described(table: str, needed: list[list[str]]) -> None:
    assert describe.table(load().resource[table])["insert_needs"] == needed


def test_states_are_told_as_sql_says_them() -> None:
    review = describe.table(load().resource["review"])["states"]
    assert review == [
        {
            "column": "open",
            "value": "false",
            "set": "open = false",
            "sources": ["true"],
            "needs": {},
            "operation": "POST /v1/reviews/{review}/approve",
            "sends": "",
            "parameters": {},
        }
    ]
    methods = describe.table(load().resource["payment_method"])["states"]
    assert [item["set"] for item in methods] == [
        "customer = NULL",
        "customer = …",
        "customer_account = NULL",
        "customer_account = …",
    ]


def test_operations_without_a_column_are_reached_with_call() -> None:
    described = describe.table(load().resource["invoice"])
    assert "POST /v1/invoices/{invoice}/attach_payment" in described["operations"]
    assert "POST /v1/invoices/{invoice}/pay" not in described["operations"]


def test_one_table_as_json() -> None:
    described = json.loads(run("checkout.session", "--json"))
    assert described["table"] == "checkout_session"
    columns = {item["column"]: item for item in described["columns"]}
    assert columns["customer"]["references"] == ["customer"]
    assert columns["status"]["values"] == ["complete", "expired", "open"]
    assert described["requests"]["list"] == "GET /v1/checkout/sessions"


@pytest.mark.parametrize("name", ["upcoming_invoice", "tax_id", "apps_secret", "billing_meter_event_summary"])
def test_odd_tables_can_be_shown(name: str) -> None:
    assert name in run(name)


def test_required_parameters_are_marked() -> None:
    price = describe.table(load().resource["price"])
    columns = {item["column"]: item["write"] for item in price["columns"]}
    assert columns["currency"] == ["insert, required"]
    assert price["further_lists"] == [{"active": "false"}]


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("subscrption", "subscription"), ("customers", "customer"), ("invoice_line_item", "line_item")],
)
def test_an_unknown_table_names_the_closest(wrong: str, right: str) -> None:
    with pytest.raises(TableError) as caught:
        describe.find(load(), wrong)
    assert wrong in caught.value.message
    assert right in str(caught.value.hint)


def test_nothing_near_sends_to_the_list() -> None:
    with pytest.raises(TableError, match="stripe-fdw catalog"):
        describe.find(load(), "zzzzzz")


def test_paths_show_no_name_that_only_the_sdk_has() -> None:
    catalog = load()
    paths = [operation.path for operation in catalog.operations]
    paths += [operation.path for item in catalog.resources for operation in item.operations]
    assert "/v1/subscriptions/{subscription}" in paths
    assert not [path for path in paths if "exposed" in path]
