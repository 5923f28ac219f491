"""Keys that are wrong, missing or may not do it: one clear error, at once, and nothing that looks empty."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from stripe_simulator.process import SimulatorProcess
from support.database import PLAIN, Servers, count, failing, one, refused, said
from support.hostile_endpoint import Hostile, HostileEndpoint, answer

Requests = Callable[[], list[str]]
WRONG = "sk_test_51WrongKeyOfTheDatabaseTests0000"
RESTRICTED = "rk_test_51RestrictedKeyOfTheTests00000"

QUERIES = {
    "a list": "select count(*) from {customer}",
    "an id": "select * from {customer} where id = 'cus_1'",
    "several ids": "select * from {customer} where id = any('{{cus_1,cus_2}}')",
    "a filter": "select * from {customer} where email = 'a@b.c'",
    "a join": "select count(*) from (values ('cus_1')) v (i) join {customer} c on c.id = v.i",
}


@pytest.mark.parametrize("query", QUERIES)
def test_a_wrong_key_is_refused_once_and_for_every_way_to_ask(
    db: psycopg.Connection,
    calm: SimulatorProcess,
    servers: Servers,
    requests: Requests,
    host: str,
    query: str,
) -> None:
    calm.control("POST", "/keys", {"wrong": [WRONG]})
    server = servers("customer", mapping={"api_key": WRONG}, api_base=calm.url)
    requests()
    error = failing(db, QUERIES[query].format(customer=server.table("customer")))
    text = said(error)
    assert "Invalid API Key provided" in text
    assert "answered 401" in text
    assert "request req_" not in text  # Stripe gives no id to a request whose key it refuses
    assert "Check the key in the user mapping" in text
    assert WRONG not in text
    assert error.sqlstate == ("28000" if host == "bundled" else PLAIN)
    assert len(requests()) <= 2  # one for each id; never again, since that cannot help


def test_a_restricted_key_without_the_permission_is_told_which(
    db: psycopg.Connection, calm: SimulatorProcess, servers: Servers, requests: Requests, host: str
) -> None:
    calm.control("POST", "/keys", {"restricted": {RESTRICTED: ["customer_read"]}})
    server = servers("customer", "invoice", mapping={"api_key": RESTRICTED}, api_base=calm.url)
    assert count(db, f"select count(*) from {server.table('customer')}") > 200
    requests()
    for where in ("", " where id = 'in_1'", " where customer = 'cus_1'"):
        error = failing(db, f"select * from {server.table('invoice')}{where}")
        text = said(error)
        assert "does not have the required permissions" in text
        assert "invoice_read" in text
        assert "answered 403" in text
        assert "request req_" in text
        assert RESTRICTED not in text
        assert error.sqlstate == ("42501" if host == "bundled" else PLAIN)
    assert len(requests()) == 3


def test_a_permission_that_is_missing_for_the_lists_inside_is_no_empty_answer(
    db: psycopg.Connection, calm: SimulatorProcess, servers: Servers
) -> None:
    calm.control("POST", "/keys", {"restricted": {RESTRICTED: ["customer_read"]}})
    server = servers("customer_balance_transaction", mapping={"api_key": RESTRICTED}, api_base=calm.url)
    text = said(failing(db, f"select count(*) from {server.table('customer_balance_transaction')}"))
    assert "required permissions" in text


def test_an_account_that_the_key_cannot_reach(
    db: psycopg.Connection, calm: SimulatorProcess, servers: Servers, host: str
) -> None:
    mapping = {"api_key": "sk_test_51ElsewhereOfTheTests"}
    server = servers("customer", mapping=mapping, api_base=calm.url, stripe_account="acct_1DoesNotExist")
    error = failing(db, f"select count(*) from {server.table('customer')}")
    assert "does not have access to account 'acct_1DoesNotExist'" in said(error)
    assert "code account_invalid" in said(error)
    assert error.sqlstate == ("42501" if host == "bundled" else PLAIN)


def test_a_product_that_the_account_does_not_use_has_an_sqlstate_of_its_own(
    db: psycopg.Connection, calm: SimulatorProcess, servers: Servers, host: str
) -> None:
    message = "Your account is not set up to use Issuing. Please visit the dashboard."
    calm.control("POST", "/faults", {"kind": "status", "status": 400, "message": message, "count": None})
    server = servers("issuing_card", mapping={"api_key": "sk_test_1"}, api_base=calm.url)
    for where in ("", " where cardholder = 'ich_1'", " limit 1"):
        error = failing(db, f"select id from {server.table('issuing_card')}{where}")
        assert message in said(error)
        assert error.sqlstate == ("ST001" if host == "bundled" else PLAIN)


@pytest.fixture
def unasked(hostile: Hostile) -> Iterator[HostileEndpoint]:
    """A server of this test alone, which no request may reach."""
    server = hostile(lambda connection, line: connection.sendall(answer(b"{}")))
    yield server
    assert server.requests == []


def test_without_a_mapping_nothing_is_asked(
    db: psycopg.Connection, servers: Servers, unasked: HostileEndpoint, host: str
) -> None:
    server = servers("customer", api_base=unasked.url)
    for where in ("", " where id = 'cus_1'", " limit 1"):
        error = failing(db, f"select * from {server.table('customer')}{where}")
        assert "no API key" in said(error) or "user mapping" in said(error)
        assert "CREATE USER MAPPING" in said(error)
        assert error.sqlstate == ("28000" if host == "bundled" else PLAIN) or error.sqlstate == "42704"


KEYS = {
    "two": ({"api_key": "sk_test_1", "api_key_env": "X"}, ["exactly one of"]),
    "none": ({"api_key": ""}, ["api_key"]),
    "a line end inside": ({"api_key": "sk_test_51\nInjected: header"}, ["characters that no key has"]),
    "a space inside": ({"api_key": "sk_test_51 and more"}, ["characters that no key has"]),
    "a letter of no key": ({"api_key": "sk_test_51ä"}, ["characters that no key has"]),
    "a file that is not there": (
        {"api_key_file": "/nonexistent/key"},
        ["/nonexistent/key", "cannot be read"],
    ),
    "a folder": ({"api_key_file": "/"}, ["api_key_file /"]),
    "a relative path": ({"api_key_file": "key"}, ["absolute path"]),
    "a variable that is not set": ({"api_key_env": "NOT_SET_HERE"}, ["NOT_SET_HERE", "holds no API key"]),
}


@pytest.mark.parametrize("case", KEYS)
def test_invalid_keys_are_refused_before_any_request(
    db: psycopg.Connection, servers: Servers, unasked: HostileEndpoint, case: str, host: str
) -> None:
    mapping, fragments = KEYS[case]

    def use() -> None:
        server = servers("customer", mapping=mapping, api_base=unasked.url)
        db.execute(f"select count(*) from {server.table('customer')}".encode())

    text = said(refused(use))
    assert all(fragment in text for fragment in fragments), text
    assert "sk_test_51" not in text
    if "is not there" in case or "not set" in case:  # Multicorn does not say whose mapping it is
        role = one(db, "select current_user")
        assert (f'the user mapping of role "{role}" on server "' in text) == (host == "bundled")


@pytest.mark.parametrize(
    ("content", "mode", "fragments"),
    [
        ("sk_test_51KeyInAFile00000000", 0o600, []),
        ("  sk_test_51KeyInAFile00000000\n", 0o600, []),
        ("sk_test_51KeyInAFile00000000", 0o644, ["0644", "chmod 600"]),
        ("", 0o600, ["is empty"]),
        ("x" * 100_000, 0o600, ["too large"]),
    ],
)
def test_a_key_in_a_file(
    db: psycopg.Connection,
    calm: SimulatorProcess,
    servers: Servers,
    tmp_path: Path,
    content: str,
    mode: int,
    fragments: list[str],
) -> None:
    path = tmp_path / "key"
    path.write_text(content)
    path.chmod(mode)
    server = servers("customer", mapping={"api_key_file": str(path)}, api_base=calm.url)
    query = f"select count(*) from {server.table('customer')}"
    if not fragments:
        assert count(db, query) > 200
    else:
        text = said(failing(db, query))
        assert all(fragment in text for fragment in fragments), text
        assert "sk_test" not in text


def test_a_key_is_read_anew_when_the_mapping_changes(
    db: psycopg.Connection, calm: SimulatorProcess, servers: Servers, tmp_path: Path
) -> None:
    calm.control("POST", "/keys", {"wrong": [WRONG]})
    path = tmp_path / "key"
    path.write_text(WRONG)
    path.chmod(0o600)
    server = servers("customer", mapping={"api_key_file": str(path)}, api_base=calm.url)
    query = f"select count(*) from {server.table('customer')}"
    assert "Invalid API Key" in said(failing(db, query))
    other = tmp_path / "other"
    other.write_text("sk_test_51TheRightKeyOfTheTests")
    other.chmod(0o600)
    other.replace(path)
    assert count(db, query) > 200
