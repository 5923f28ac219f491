"""The state of one backend: what two servers share in it, and what they do not."""

from __future__ import annotations

from typing import Any

import pytest

from stripe_fdw.api.client import Client
from stripe_fdw.catalog import load
from stripe_fdw.fdw.backend.standalone import PlainColumn, StandaloneHost
from stripe_fdw.fdw.planning.quals import Qual
from stripe_fdw.fdw.session import Session
from stripe_fdw.fdw.tables.factory import open_table
from stripe_fdw.redaction import Secret
from support.fake_stripe import FakeStripe

COLUMNS = {"id": PlainColumn("id"), "email": PlainColumn("email")}
FIRST = {"object": "customer", "api_key": "sk_test_51FirstAccountOfTheTest", "cache_ttl": "60"}
SECOND = {"object": "customer", "api_key": "sk_test_51SecondAccountOfTheTest", "cache_ttl": "60"}


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Session:
    """A session whose servers are two accounts that know a customer of the same id."""
    stripes = {
        options["api_key"]: FakeStripe(
            load().resource, {"customer": [{"id": "cus_1", "email": email}]}, key=options["api_key"]
        )
        for options, email in ((FIRST, "first@example.com"), (SECOND, "second@example.com"))
    }
    monkeypatch.setattr(Session, "client", lambda _session, _server, key: stripes[key.reveal()])
    return Session(StandaloneHost())


def read(session: Session, options: dict[str, str]) -> list[tuple[Any, ...]]:
    table = open_table(session, options, COLUMNS)
    session.begin_statement()
    try:
        return table.open_scan([Qual("id", "=", "cus_1")], ["id", "email"], [], None, False).next_batch()
    finally:
        session.end_statement()


def test_two_servers_in_one_session_get_no_answer_of_each_other(session: Session) -> None:
    for _ in range(2):  # the second time from the cache
        assert read(session, FIRST) == [("cus_1", "first@example.com")]
        assert read(session, SECOND) == [("cus_1", "second@example.com")]


def test_two_sessions_share_no_state() -> None:
    first, second = Session(StandaloneHost()), Session(StandaloneHost())
    for name in ("clients", "response_cache", "affected_scans", "writes"):
        assert getattr(first, name) is not getattr(second, name)


def test_a_client_is_kept_for_its_server_and_key() -> None:
    session = Session(StandaloneHost())
    first, second = (open_table(session, options, COLUMNS) for options in (FIRST, SECOND))
    clients: list[Client] = [
        session.client(table._server, Secret(options["api_key"]))  # type: ignore[attr-defined]
        for table, options in ((first, FIRST), (second, SECOND), (first, FIRST))
    ]
    assert clients[0] is clients[2]
    assert clients[0] is not clients[1]
