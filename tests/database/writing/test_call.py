"""Every operation of Stripe's can be called, and a call that writes keeps to the rules of writing."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from importlib import resources

import psycopg
import pytest

from support.database import KEY, Server, Servers, failing, in_hints, one, said
from support.hostile_endpoint import Hostile, answer

Sent = Callable[[], list[str]]


@pytest.fixture
def call(db: psycopg.Connection, live: Server) -> str:
    """The function, over the tables of a server that may be written to."""
    script = resources.files("stripe_fdw").joinpath("sql", "live_call.sql").read_text()
    db.execute(script.replace(':"live"', live.name).encode())
    return f"{live.name}.call"


def test_an_object_is_created_changed_and_deleted(db: psycopg.Connection, call: str, sent: Sent) -> None:
    created = one(
        db, f'select {call}(\'post\', \'/v1/customers\', \'{{"name": "Ada", "metadata": {{"a": 1}}}}\')'
    )
    assert isinstance(created, dict)
    assert (created["name"], created["metadata"]) == ("Ada", {"a": "1"})
    path = f"/v1/customers/{created['id']}"
    changed = one(db, f"select {call}('POST', '{path}', '{{\"name\": null}}')")
    assert isinstance(changed, dict)
    assert not changed["name"]
    deleted = one(db, f"select {call}('DELETE', '{path}')")
    assert deleted == {"id": created["id"], "object": "customer", "deleted": True}
    assert sent() == ["POST /v1/customers", f"POST {path}", f"DELETE {path}"]


def test_reading_is_done_by_select_and_writing_by_insert(
    db: psycopg.Connection, live: Server, host: str, call: str, sent: Sent
) -> None:
    table, named = live.table("_call"), in_hints(host, live.name)
    read = f"select response from {table} where method = '%s' and path = '/v1/customers'"
    assert "SELECT can only read" in said(failing(db, read % "POST"))
    assert f"{named}.call('DELETE', ...) does it: by INSERT INTO {named}._call" in said(
        failing(db, read % "DELETE")
    )
    reads = said(failing(db, f"insert into {table} (method, path) values ('GET', '/v1/balance')"))
    assert "only reads: use SELECT" in reads
    assert f"SELECT {named}.call('GET', ...)" in reads
    for incomplete, example in (
        (f"insert into {table} (method) values ('POST')", f"{named}.call('POST', '/v1/customers', '{{}}');"),
        (f"select from {table} where method = 'GET'", f"SELECT {named}.call('GET', '/v1/balance');"),
    ):
        refusal = said(failing(db, incomplete))
        assert "needs its method and its path" in refusal
        assert example in refusal
    for change in (f"update {table} set path = 'x'", f"delete from {table}"):
        error_text = said(failing(db, f"{change} where method = 'GET' and path = '/v1/balance'"))
        assert 'rows of "_call" cannot be updated or deleted' in error_text
        assert f"SELECT {named}.call('POST', ...)" in error_text
    assert one(db, f"select {call}('GET', '/v1/customers', '{{\"limit\": 1}}')->>'object'") == "list"
    assert sent() == []


@pytest.mark.parametrize(
    ("arguments", "expected_texts"),
    [
        ("'POST', '/v1/custmers'", ["no operation POST /v1/custmers", "/v1/customers"]),
        ("'DELETE', '/v1/customers'", ["no operation DELETE"]),
        ("'PUT', '/v1/customers'", ['no operation with method "PUT"', "DELETE, GET, POST"]),
        ("'POST', '/v1/customers?x=1'", ["must not contain parameters"]),
        ("'POST', '/v1/customers', '[]'", ["JSON object"]),
        ("'POST', '/v1/customers', '{\"bogus\": 1}'", ["Received unknown parameter: bogus", "req_"]),
        ("'DELETE', '/v1/customers/cus_none'", ["No such customer"]),
        ("'POST', '/v1/customers', '{}', 'schlüssel'", ["printable ASCII", '"idempotency_key" takes']),
        ("'POST', '/v1/customers', '{\"balance\": 1e2000}'", ["number that is out of range"]),
    ],
)
def test_a_refused_call_is_an_error_that_says_why(
    db: psycopg.Connection, call: str, host: str, arguments: str, expected_texts: list[str]
) -> None:
    error = failing(db, f"select {call}({arguments})")
    error_text = said(error)
    assert all(expected in error_text for expected in expected_texts), error_text
    if host == "bundled":
        assert error.diag.context is None
    else:  # Multicorn2 reports the error itself
        assert re.fullmatch(rf"PL/pgSQL function {call}\(.*\) line \d+ at .*", error.diag.context or "")


@pytest.mark.parametrize(
    "operation", ["'GET', '/v1/customers/cus_none'", "'DELETE', '/v1/customers/cus_none'"]
)
def test_an_error_shows_where_the_user_called_and_not_how_the_function_works(
    db: psycopg.Connection, call: str, host: str, operation: str
) -> None:
    db.execute(
        f"create function pg_temp.mine() returns jsonb language plpgsql as"
        f" $$ begin return {call}({operation}); end $$".encode()
    )
    context = failing(db, "select pg_temp.mine()").diag.context or ""
    lines = [line for line in context.splitlines() if call not in line or "expression" in line]
    assert "mine() line 1 at RETURN" in lines[-1]
    if host == "bundled":
        assert "line" not in context.partition("PL/pgSQL")[0]
        assert context.count("PL/pgSQL function") == 1


def test_null_calls_nothing(db: psycopg.Connection, call: str, sent: Sent) -> None:
    for arguments in ("null, '/v1/customers'", "'POST', null", "'DELETE', null, null, 'k'"):
        assert one(db, f"select {call}({arguments})") is None
    customer = one(db, f"select {call}('POST', '/v1/customers', null)")
    assert isinstance(customer, dict)
    assert sent() == ["POST /v1/customers"]


def test_numbers_keep_their_digits_and_empty_lists_unset(db: psycopg.Connection, call: str) -> None:
    params = (
        '{"preferred_locales": ["de"], "metadata": {"a": 0.00001, "b": 123456789012345678901,'
        ' "c": 0.12345678901234567890, "d": 1.50, "e": 1e30}}'
    )
    customer = one(db, f"select {call}('POST', '/v1/customers', '{params}')")
    assert isinstance(customer, dict)
    assert customer["metadata"] == {
        "a": "0.00001",
        "b": "123456789012345678901",
        "c": "0.12345678901234567890",
        "d": "1.50",
        "e": "1" + 30 * "0",
    }
    path = f"/v1/customers/{customer['id']}"
    changed = one(db, f"select {call}('POST', '{path}', '{{\"preferred_locales\": [], \"metadata\": {{}}}}')")
    assert isinstance(changed, dict)
    assert (changed["preferred_locales"], changed["metadata"]) == ([], {})


def test_a_key_makes_one_object_of_two_calls(db: psycopg.Connection, call: str) -> None:
    def create(key: str, name: str = "once") -> object:
        return one(db, f"select {call}('POST', '/v1/customers', '{{\"name\": \"{name}\"}}', '{key}')->>'id'")

    key = f"order {call}"
    assert create(key) == create(key)
    assert create(key) != create(key + "2")
    error = failing(db, f"select {call}('POST', '/v1/customers', '{{\"name\": \"else\"}}', '{key}')")
    assert "can only be used with the same parameters" in said(error)


def test_a_rollback_warns_of_the_object_that_a_call_made(
    db: psycopg.Connection, call: str, warnings: list[str]
) -> None:
    db.execute("begin")
    customer = one(db, f"select {call}('POST', '/v1/customers')->>'id'")
    db.execute("rollback")
    assert "1 object remains" in warnings[0]
    assert str(customer) in warnings[0]


def test_a_role_may_be_given_reading_without_writing(
    db: psycopg.Connection, live: Server, call: str, sent: Sent
) -> None:
    role = f"reader_{live.name}"
    db.execute(f"create role {role}; grant usage on schema {live.name} to {role}".encode())
    db.execute(f"grant select on {live.table('_call')} to {role}".encode())
    db.execute(f"grant execute on function {call} to {role}".encode())
    db.execute("set log_statement = 'none'")  # for the next one holds a key
    db.execute(f"create user mapping for {role} server {live.name} options (api_key '{KEY}')".encode())
    db.execute("reset log_statement")
    try:
        db.execute(f"set role {role}".encode())
        assert one(db, f"select {call}('GET', '/v1/customers', '{{\"limit\": 1}}')->>'object'") == "list"
        assert "permission denied" in said(failing(db, f"select {call}('POST', '/v1/customers')"))
        assert sent() == []
    finally:
        db.execute("reset role")
        db.execute(f"drop owned by {role} cascade".encode())
        db.execute(f"drop role {role}".encode())


def test_version_2_can_be_called(db: psycopg.Connection, servers: Servers, hostile: Hostile) -> None:
    def behave(connection: socket.socket, line: str) -> None:
        del line  # all requests are alike
        connection.sendall(answer(b'{"id": "acct_1", "object": "v2.core.account"}'))

    stripe = hostile(behave)
    server = servers("_call", mapping={"api_key": KEY}, api_base=stripe.url, timeout=5)
    params = '{"contact_email": "a@b.c", "include": ["identity"], "nested": {"n": 1}}'
    query = (
        f"insert into {server.table('_call')} (method, path, params)"
        f" values ('POST', '/v2/core/accounts', '{params}') returning response->>'id', status, params"
    )
    assert db.execute(query.encode()).fetchone() == ("acct_1", 200, params)
    assert stripe.requests == ["POST /v2/core/accounts"]
