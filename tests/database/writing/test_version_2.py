"""Writes of objects of version 2 of the API: JSON bodies, null that unsets, operations, idempotency keys."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from stripe_simulator.process import SimulatorProcess
from support.database import failing, one, rows

DESTINATIONS = "stripe_live.v2_core_event_destination"
Sent = Callable[[], list[tuple[str, str, Any]]]


@pytest.fixture(scope="module", autouse=True)
def _restored(simulator: SimulatorProcess) -> Iterator[None]:
    """Leave to others the objects that they expect."""
    yield
    simulator.control("POST", "/reset")


@pytest.fixture
def writes(calm: SimulatorProcess) -> Sent:
    """The requests that wrote since the last call: method, path and body."""

    def since() -> list[tuple[str, str, Any]]:
        log = calm.requests()
        calm.control("DELETE", "/requests")
        return [
            (item["method"], item["path"], json.loads(item["form"][0][0]) if item["form"] else None)
            for item in log
            if item["method"] != "GET"
        ]

    return since


def _new(db: psycopg.Connection, name: str, **more: str) -> str:
    columns = {
        "name": f"'{name}'",
        "type": "'webhook_endpoint'",
        "event_payload": "'thin'",
        "enabled_events": """'["v2.core.account.created"]'""",
        "webhook_endpoint": """'{"url": "https://example.com/new"}'""",
    } | more
    return str(
        one(
            db,
            f"insert into {DESTINATIONS} ({', '.join(columns)}) values ({', '.join(columns.values())})"
            " returning id",
        )
    )


def test_a_row_is_created_with_a_json_body(db: psycopg.Connection, writes: Sent) -> None:
    identifier = _new(db, "new", metadata="""'{"a": "1"}'""")
    [(method, path, body)] = writes()
    assert (method, path) == ("POST", "/v2/core/event_destinations")
    assert body == {
        "name": "new",
        "type": "webhook_endpoint",
        "event_payload": "thin",
        "enabled_events": ["v2.core.account.created"],
        "webhook_endpoint": {"url": "https://example.com/new"},
        "metadata": {"a": "1"},
    }
    found = rows(db, f"select name, metadata, status from {DESTINATIONS} where id = '{identifier}'")
    assert found == [("new", {"a": "1"}, "enabled")]


def test_what_returning_names_is_included(db: psycopg.Connection, writes: Sent, host: str) -> None:
    url = one(
        db,
        f"insert into {DESTINATIONS} (name, type, event_payload, enabled_events, webhook_endpoint)"
        """ values ('r', 'webhook_endpoint', 'thin', '["*"]', '{"url": "https://example.com/r"}')"""
        " returning webhook_endpoint ->> 'url'",
    )
    [(_, _, body)] = writes()
    # Multicorn2 does not tell which columns RETURNING names.
    included = host == "bundled"
    assert url == ("https://example.com/r" if included else None)
    assert body.get("include") == (["webhook_endpoint.url"] if included else None)


def test_only_what_differs_is_sent_and_null_unsets(db: psycopg.Connection, writes: Sent) -> None:
    identifier = _new(db, "old", description="'before'", metadata="""'{"a": "1", "b": "2"}'""")
    writes()
    db.execute(
        f"update {DESTINATIONS} set name = 'renamed', enabled_events = enabled_events,"
        f""" metadata = '{{"b": "3"}}' where id = '{identifier}'""".encode()
    )
    assert writes() == [
        (
            "POST",
            f"/v2/core/event_destinations/{identifier}",
            {"name": "renamed", "metadata": {"a": None, "b": "3"}},
        )
    ]
    assert rows(db, f"select name, metadata from {DESTINATIONS} where id = '{identifier}'") == [
        ("renamed", {"b": "3"})
    ]
    db.execute(f"update {DESTINATIONS} set metadata = null where id = '{identifier}'".encode())
    assert writes()[0][2] == {"metadata": {"b": None}}
    db.execute(f"update {DESTINATIONS} set description = '' where id = '{identifier}'".encode())
    assert writes()[0][2] == {"description": ""}


def test_a_text_is_unset_with_null(db: psycopg.Connection, writes: Sent) -> None:
    account = one(db, "insert into stripe_live.v2_core_account (display_name) values ('May') returning id")
    writes()
    db.execute(f"update stripe_live.v2_core_account set display_name = null where id = '{account}'".encode())
    assert writes() == [("POST", f"/v2/core/accounts/{account}", {"display_name": None})]
    assert one(db, f"select display_name from stripe_live.v2_core_account where id = '{account}'") is None


def test_a_row_is_deleted_with_an_idempotency_key(
    db: psycopg.Connection, writes: Sent, calm: SimulatorProcess
) -> None:
    identifier = _new(db, "gone")
    calm.control("DELETE", "/requests")
    db.execute(f"delete from {DESTINATIONS} where id = '{identifier}'".encode())
    [deletion] = [item for item in calm.requests() if item["method"] == "DELETE"]
    assert deletion["path"] == f"/v2/core/event_destinations/{identifier}"
    assert deletion["idempotency_key"]
    assert rows(db, f"select id from {DESTINATIONS} where id = '{identifier}'") == []


def test_states_are_operations(db: psycopg.Connection, writes: Sent) -> None:
    identifier = _new(db, "state")
    writes()
    for status, operation in (("disabled", "disable"), ("enabled", "enable")):
        db.execute(f"update {DESTINATIONS} set status = '{status}' where id = '{identifier}'".encode())
        [(method, path, _)] = writes()
        assert (method, path) == ("POST", f"/v2/core/event_destinations/{identifier}/{operation}")
        assert one(db, f"select status from {DESTINATIONS} where id = '{identifier}'") == status
    bank = one(db, "select id from stripe_live.v2_core_vault_us_bank_account limit 1")
    table = "stripe_live.v2_core_vault_us_bank_account"
    db.execute(f"update {table} set archived = true where id = '{bank}'".encode())
    assert writes()[0][1] == f"/v2/core/vault/us_bank_accounts/{bank}/archive"
    db.execute(f"update {table} set archived = false where id = '{bank}'".encode())
    assert writes()[0][1] == f"/v2/core/vault/us_bank_accounts/{bank}/unarchive"


def test_an_account_is_closed_with_its_configurations(db: psycopg.Connection, writes: Sent) -> None:
    account = one(db, "insert into stripe_live.v2_core_account (display_name) values ('End') returning id")
    writes()
    db.execute(
        "update stripe_live.v2_core_account set closed = true,"
        f""" _params = '{{"applied_configurations": ["merchant"]}}' where id = '{account}'""".encode()
    )
    assert writes() == [
        ("POST", f"/v2/core/accounts/{account}/close", {"applied_configurations": ["merchant"]})
    ]
    assert one(db, f"select closed from stripe_live.v2_core_account where id = '{account}'") is True


def test_a_child_is_written_inside_its_parent(db: psycopg.Connection, writes: Sent) -> None:
    account = one(db, "insert into stripe_live.v2_core_account (display_name) values ('P') returning id")
    writes()
    person = one(
        db,
        "insert into stripe_live.v2_core_account_person (account, given_name, relationship) values"
        f""" ('{account}', 'Ada', '{{"percent_ownership": 12.5, "owner": true}}') returning id""",
    )
    [(_, path, body)] = writes()
    assert path == f"/v2/core/accounts/{account}/persons"
    # A decimal is sent as text, so that no digit is lost.
    assert body == {"given_name": "Ada", "relationship": {"percent_ownership": "12.5", "owner": True}}
    where = f"where account = '{account}' and id = '{person}'"
    db.execute(f"update stripe_live.v2_core_account_person set surname = 'L' {where}".encode())
    db.execute(f"delete from stripe_live.v2_core_account_person {where}".encode())
    assert [item[:2] for item in writes()] == [
        ("POST", f"/v2/core/accounts/{account}/persons/{person}"),
        ("DELETE", f"/v2/core/accounts/{account}/persons/{person}"),
    ]


def test_an_unknown_field_gets_stripes_error(db: psycopg.Connection) -> None:
    error = failing(
        db,
        "insert into stripe_live.v2_core_account (display_name, _params) values ('x', '{\"nope\": 1}')",
    )
    assert "Unknown field: nope" in str(error)


def test_what_cannot_be_written_is_refused(db: psycopg.Connection, writes: Sent) -> None:
    assert "cannot insert" in str(failing(db, "insert into stripe_live.v2_core_event (type) values ('x')"))
    assert writes() == []


def test_an_event_tells_of_a_write(db: psycopg.Connection) -> None:
    account = one(db, "insert into stripe_live.v2_core_account (display_name) values ('E') returning id")
    assert rows(
        db,
        f"select type, related_object ->> 'url' from stripe_live.v2_core_event where object_id = '{account}'",
    ) == [("v2.core.account.created", f"/v2/core/accounts/{account}")]
