"""Texts and lists of any length, from roles or from Stripe, keep no backend busy and fill no error."""

from __future__ import annotations

import json

import psycopg
import pytest

from support.database import Server, Servers, failing, said
from support.hostile_endpoint import Hostile, answer
from support.waiting import hang_guard

KEY = "sk_test_51KeyOfTheSecurityTests0000"
LONG = 1_000_000  # characters
TEXTS = {"client secrets": "in_" * (LONG // 3), "keys": "sk_" * (LONG // 3), "one word": "a" * LONG}


@pytest.fixture
def db(pooled: psycopg.Connection) -> psycopg.Connection:
    """A session that an earlier test of this file may have used."""
    return pooled


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("option", ["api_base", "timeout", "stripe_account", "no_such_option"])
def test_a_long_option_is_refused_at_once(
    db: psycopg.Connection, servers: Servers, host: str, option: str, text: str
) -> None:
    if host == "multicorn2":
        pytest.skip("Multicorn2 checks no options before they are used")
    with hang_guard(10), pytest.raises(psycopg.Error) as caught:
        servers(**{option: TEXTS[text]})
    assert option in said(caught.value)
    assert len(said(caught.value)) < 2000


def test_a_long_name_of_an_option_is_refused_at_once(db: psycopg.Connection, host: str) -> None:
    if host == "multicorn2":
        pytest.skip("Multicorn2 checks no options before they are used")
    options = "array[repeat('in_', 300000) || '=1']"
    query = f"select stripe_sync.stripe_fdw_validator({options}, 'pg_foreign_server'::regclass)"
    with hang_guard(10):
        error = failing(db, query)
    assert "there is no option" in said(error)
    assert len(said(error)) < 2000


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("field", ["message", "code", "param", "type"])
def test_a_long_error_of_stripe_is_shortened(
    db: psycopg.Connection,
    servers: Servers,
    hostile: Hostile,
    text: str,
    field: str,
) -> None:
    error = {"type": "invalid_request_error", "code": "email_invalid", "message": "No.", "param": "email"}
    body = json.dumps({"error": {**error, field: TEXTS[text]}}).encode()
    stripe = hostile(lambda connection, line: connection.sendall(answer(body, "400 Bad Request")))
    server = servers("customer", mapping={"api_key": KEY}, api_base=stripe.url)
    with hang_guard(10):
        refused = failing(db, f"select * from {server.table('customer')} where id = 'cus_1'")
    assert len(said(refused)) < 10_000


def test_a_long_value_that_is_written_is_shortened_in_its_error(db: psycopg.Connection, live: Server) -> None:
    query = f"insert into {live.table('customer')} (balance, address) values (1, repeat('in_', 300000))"
    with hang_guard(10):
        refused = failing(db, query)
    assert len(said(refused)) < 10_000


def test_a_very_long_list_of_values_keeps_no_backend_busy(db: psycopg.Connection, host: str) -> None:
    """A million values, once constant, once known when the query runs: planned at once, or refused."""
    values = "array(select 'none_' || n from generate_series(1, 1000000) n)"
    with hang_guard(20):
        error = failing(db, f"select id from stripe_live.customer where id = any ({values})")
        assert error.sqlstate == ("54000" if host == "bundled" else "XX000")
        assert "lists 1,000,000 values, and at most 20,000 can be asked for" in said(error)
        assert "JOIN unnest" in said(error)
        found = "select count(*) from stripe_live.coupon where name = any (%s) or duration = any (%s)"
        many = [f"none_{n}" for n in range(20_001)]
        assert db.execute(found, (many, [*many, "once"])).fetchone() != (0,)


def test_a_very_long_text_is_not_written(db: psycopg.Connection, host: str) -> None:
    text = f"repeat('x', {17 * 2**20})"
    with hang_guard(20):
        error = failing(db, f"insert into stripe_live.customer (name) values ({text})")
    assert error.sqlstate == ("54000" if host == "bundled" else "XX000")
    assert '"name" has 17,825,792 characters, and at most 16,777,216 are sent' in said(error)
    assert len(said(error)) < 2000


def test_a_very_long_path_is_not_called(db: psycopg.Connection) -> None:
    with hang_guard(20):
        error = failing(db, "select stripe_live.call('POST', '/v1/customers/' || repeat('%41', 10000000))")
    assert "has 30,000,014 characters, and at most 8,192 are sent" in said(error)
    assert len(said(error)) < 2000
