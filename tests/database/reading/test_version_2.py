"""Version 2 of the API: lists whose pages name the next one, times that are texts, fields to be included."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from stripe_fdw.catalog import Resource, load
from support.database import column, failing, one, rows

Requests = Callable[[], list[str]]
TABLES = [item for item in load().resources if item.is_version_2]


# -- pages ---------------------------------------------------------------------------------------------------


def test_a_list_is_read_page_by_page(db: psycopg.Connection, requests: Requests) -> None:
    found = rows(db, "select id, created, name from stripe_live.v2_core_event_destination")
    assert len(found) == len({identifier for identifier, _, _ in found}) == 45
    first, *following = requests()
    assert first == "GET /v2/core/event_destinations?limit=20"
    assert len(following) == 2
    for request in following:
        assert request.startswith("GET /v2/core/event_destinations?page=page_")
        assert request.endswith("&limit=20")


def test_a_limit_reads_no_more_pages_than_it_needs(db: psycopg.Connection, requests: Requests) -> None:
    assert len(column(db, "select id from stripe_live.v2_core_event_destination limit 3")) == 3
    assert requests() == ["GET /v2/core/event_destinations?limit=20"]


@pytest.mark.parametrize("resource", TABLES, ids=lambda item: item.name)
def test_every_table_has_its_rows_by_list_and_by_id(
    db: psycopg.Connection, requests: Requests, resource: Resource
) -> None:
    names = ", ".join(f'"{item.name}"' for item in resource.columns if not item.expand and item.path)
    found = rows(db, f"select {names}, _raw from stripe_live.{resource.name}")
    assert len(found) >= 40
    assert all(raw["object"] == resource.object for *_, raw in found)
    identifier, *_, raw = found[-1]
    assert raw["id"] == identifier
    requests()
    conditions = "".join(f" and {item.column} = '{raw[item.column]}'" for item in resource.parents)
    by_id = f"select {names} from stripe_live.{resource.name} where id = '{identifier}'{conditions}"
    assert rows(db, by_id) == [found[-1][:-1]]
    [request] = requests()
    assert request.endswith(f"/{identifier}")
    missing = by_id.replace(f"id = '{identifier}'", "id = 'x_missing'")
    assert rows(db, missing) == []


def test_lists_that_hide_rows_are_read_whole(db: psycopg.Connection, requests: Requests) -> None:
    closed = column(db, "select closed from stripe_live.v2_core_account")
    assert set(closed) == {True, False}
    first = [request for request in requests() if "page=" not in request]
    assert sorted(first) == ["GET /v2/core/accounts?closed=true&limit=20", "GET /v2/core/accounts?limit=20"]
    states = column(db, "select distinct status from stripe_live.v2_money_management_financial_account")
    assert set(states) == {"closed", "open", "pending"}


# -- conditions ----------------------------------------------------------------------------------------------


def test_times_are_compared_to_the_millisecond(db: psycopg.Connection, requests: Requests) -> None:
    table = "stripe_live.v2_core_event"
    times = sorted(column(db, f"select created from {table}"))
    assert any(time.microsecond for time in times)
    requests()
    middle = times[20]
    for condition, expected in (
        (f"created >= '{middle}'", times[20:]),
        (f"created > '{middle}'", times[21:]),
        (f"created < '{middle}'", times[:20]),
        (f"created <= '{middle}'", times[:21]),
        (f"created = '{middle}'", [middle]),
        (f"created between '{times[3]}' and '{times[5]}'", times[3:6]),
    ):
        assert sorted(column(db, f"select created from {table} where {condition}")) == expected, condition
    # Multicorn2 passes conditions in any form that Postgres folds; what is asked for must be narrowed.
    assert all("created[" in request or "page=" in request for request in requests())


def test_a_range_is_sent_as_rfc_3339(db: psycopg.Connection, requests: Requests) -> None:
    column(db, "select id from stripe_live.v2_core_event where created >= '2026-11-01T00:00:00Z'")
    assert requests()[0] == "GET /v2/core/events?created[gte]=2026-11-01T00:00:00Z&limit=20"


@pytest.mark.parametrize(
    ("table", "condition", "sent"),
    [
        ("v2_core_event", "type = 'v2.core.account.created'", "types[0]=v2.core.account.created"),
        (
            "v2_core_event",
            "type in ('v2.core.account.created', 'v2.core.account.updated')",
            "types[0]=v2.core.account.created&types[1]=v2.core.account.updated",
        ),
        ("v2_core_account", "closed", "closed=true"),
        ("v2_core_account", "not closed", "closed=false"),
        ("v2_core_account", "applied_configuration = 'merchant'", "applied_configurations[0]=merchant"),
        ("v2_core_vault_us_bank_account", "verification_status = 'verified'", "verification_status=verified"),
        ("v2_money_management_financial_account", "status = 'closed'", "statuses[0]=closed"),
        ("v2_money_management_outbound_payment", "status = 'posted'", "status[0]=posted"),
        (
            "v2_money_management_payout_method",
            "usage_status_payments = 'invalid'",
            "usage_status[payments][0]=invalid",
        ),
    ],
)
def test_conditions_become_parameters(
    db: psycopg.Connection, requests: Requests, table: str, condition: str, sent: str
) -> None:
    found = column(db, f"select id from stripe_live.{table} where {condition}")
    assert found
    asked = requests()
    assert all(sent in request or "page=" in request for request in asked), asked
    # The same by Postgres alone: a condition that no request expresses.
    hidden = condition.replace("applied_configuration = 'merchant'", "applied_configurations ? 'merchant'")
    every = rows(db, f"select id, ({hidden}) is true from stripe_live.{table}")
    assert sorted(found) == sorted(identifier for identifier, holds in every if holds)


def test_the_object_of_events_and_the_flow_of_transactions(
    db: psycopg.Connection, requests: Requests
) -> None:
    about = one(db, "select object_id from stripe_live.v2_core_event limit 1")
    requests()
    found = rows(db, f"select object_id, type from stripe_live.v2_core_event where object_id = '{about}'")
    assert {identifier for identifier, _ in found} == {about}
    assert requests() == [f"GET /v2/core/events?object_id={about}&limit=20"]
    flow = one(
        db, "select flow ->> 'outbound_payment' from stripe_live.v2_money_management_transaction limit 1"
    )
    requests()
    query = f"select flow_id, flow from stripe_live.v2_money_management_transaction where flow_id = '{flow}'"
    [(shown, value)] = rows(db, query)
    assert shown == value["outbound_payment"] == flow
    assert requests() == [f"GET /v2/money_management/transactions?flow={flow}&limit=20"]


def test_children_are_read_by_parent_and_for_all_parents(db: psycopg.Connection, requests: Requests) -> None:
    account = one(db, "select id from stripe_live.v2_core_account limit 1")
    requests()
    query = "select account, given_name from stripe_live.v2_core_account_person"
    assert {parent for parent, _ in rows(db, f"{query} where account = '{account}'")} == {account}
    assert requests() == [f"GET /v2/core/accounts/{account}/persons?limit=20"]
    assert len(rows(db, query)) == 90
    asked = requests()
    assert len([request for request in asked if "/persons?" in request]) == 45
    joined = rows(
        db,
        "select a.id, p.id from stripe_live.v2_core_account a"
        " join stripe_live.v2_core_account_person p on p.account = a.id where a.closed",
    )
    assert len(joined) == 8


def test_rows_are_sorted_by_postgres(db: psycopg.Connection) -> None:
    times = column(db, "select created from stripe_live.v2_core_event order by created desc limit 7")
    assert times == sorted(times, reverse=True)
    assert times == sorted(column(db, "select created from stripe_live.v2_core_event"), reverse=True)[:7]


# -- what has to be included ---------------------------------------------------------------------------------


def test_what_is_named_is_included_in_a_list(db: psycopg.Connection, requests: Requests) -> None:
    table = "stripe_live.v2_core_event_destination"
    assert all(url for url in column(db, f"select webhook_endpoint ->> 'url' from {table}"))
    first = requests()[0]
    assert first == "GET /v2/core/event_destinations?limit=20&include[0]=webhook_endpoint.url"
    assert not any("include" in request for request in (column(db, f"select id from {table}"), requests())[1])


def test_an_account_by_id_has_what_a_list_does_not_show(db: psycopg.Connection, requests: Requests) -> None:
    query = "select id, identity, configuration from stripe_live.v2_core_account where not closed"
    identifier, identity, configuration = rows(db, f"{query} limit 1")[0]
    assert (identity, configuration) == (None, None)
    assert not any("include" in request for request in requests())
    [(_, identity, configuration)] = rows(db, f"{query} and id = '{identifier}'")
    assert identity["country"] == "us"
    assert {"customer", "merchant", "recipient"} == configuration.keys()
    [request] = requests()
    for number, path in enumerate(
        ["configuration.customer", "configuration.merchant", "configuration.recipient", "identity"]
    ):
        assert f"include[{number}]={path}" in request


# -- errors --------------------------------------------------------------------------------------------------


def test_an_error_of_stripe_arrives_with_its_code(
    db: psycopg.Connection, requests: Requests, simulator: Any
) -> None:
    fault = {
        "kind": "status",
        "path": "/v2/core/events",
        "status": 400,
        "code": "invalid_fields",
        "message": "Bad field.",
    }
    simulator.control("POST", "/faults", fault)
    error = failing(db, "select id from stripe_live.v2_core_event")
    assert "Bad field." in str(error)
    assert "invalid_fields" in str(error.diag.message_detail or error)


def test_a_parent_that_does_not_exist_has_no_rows(db: psycopg.Connection, requests: Requests) -> None:
    query = "select id from stripe_live.v2_core_account_person where account = 'acct_none'"
    assert rows(db, query) == []
    assert rows(db, f"{query} and id = 'person_none'") == []
    assert requests() == [
        "GET /v2/core/accounts/acct_none/persons?limit=20",
        "GET /v2/core/accounts/acct_none/persons/person_none",
    ]


def test_amounts_are_objects_as_stripe_has_them(db: psycopg.Connection) -> None:
    amount = one(db, "select amount from stripe_live.v2_money_management_outbound_payment limit 1")
    assert amount.keys() == {"value", "currency"}
    total = one(
        db,
        "select sum((amount ->> 'value')::numeric) from stripe_live.v2_money_management_outbound_payment"
        " where amount ->> 'currency' = 'usd'",
    )
    assert total > 0


def test_explain_shows_the_requests(db: psycopg.Connection, host: str) -> None:
    query = "explain select * from stripe_live.v2_core_event where created >= '2026-11-01' and type = 'x'"
    plan = "\n".join(column(db, query))
    assert "GET /v2/core/events?types[0]=x&created[gte]=" in plan
