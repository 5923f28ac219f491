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
    assert "set status = canceled: DELETE /v1/subscriptions/" in printed
    assert "fresh by: events" in printed
    assert "customer.subscription.updated" in printed


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
