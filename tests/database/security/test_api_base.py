"""Keys are sent to Stripe or to this machine, unless a superuser names another host."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from support.attacks import Acting
from support.database import failing, not_under_multicorn2, one, said

FOREIGN = "https://stripe.evil.example"
DENIED = "permission denied to send the requests of a server to another host than Stripe's"


@pytest.fixture
def owned(db: psycopg.Connection, host: str, mallory: Acting) -> Iterator[str]:
    """A server that belongs to a role without other rights, for which others have mappings."""
    not_under_multicorn2(host, "no validator checks options, and a role with USAGE on a server runs any code")
    db.execute("create server owned foreign data wrapper stripe_fdw options (timeout '5')")
    db.execute(
        "alter server owned owner to mallory; grant usage on foreign data wrapper stripe_fdw to mallory"
    )
    yield "owned"
    db.execute("drop server owned cascade")


def options(db: psycopg.Connection) -> object:
    return one(db, "select srvoptions from pg_foreign_server where srvname = 'owned'")


@pytest.mark.parametrize(
    "address",
    [
        FOREIGN,
        "https://api.stripe.com.evil.example",
        "https://api.stripe.com:444",
        "https://files.stripe.com",
        "https://10.0.0.1",
        "https://0.0.0.0",
        "https://[::]",
    ],
)
def test_a_servers_owner_cannot_send_its_keys_elsewhere(
    db: psycopg.Connection, owned: str, mallory: Acting, address: str
) -> None:
    with mallory():
        for statement in (
            f"alter server {owned} options (add api_base '{address}')",
            f"create server other foreign data wrapper stripe_fdw options (api_base '{address}')",
        ):
            error = failing(db, statement)
            assert error.sqlstate == "42501"
            assert DENIED in said(error)
    assert options(db) == ["timeout=5"]


@pytest.mark.parametrize(
    "address",
    ["https://api.stripe.com", "https://API.stripe.com:443/", "http://127.0.0.1:1", "http://[::1]:1"],
)
def test_a_servers_owner_may_name_stripe_and_this_machine(
    db: psycopg.Connection, owned: str, mallory: Acting, address: str
) -> None:
    with mallory():
        db.execute(f"alter server {owned} options (add api_base '{address}')".encode())
        db.execute(f"alter server {owned} options (set timeout '6')".encode())


def test_where_a_superuser_named_a_host_the_owner_can_only_drop_it(
    db: psycopg.Connection, owned: str, mallory: Acting
) -> None:
    db.execute(f"alter server {owned} options (add api_base '{FOREIGN}')".encode())
    with mallory():
        for change in ("set timeout '6'", "set api_base 'https://other.example'", "add use_search 'on'"):
            error = failing(db, f"alter server {owned} options ({change})")
            assert DENIED in said(error)
            assert "others may drop it" in said(error)
        assert options(db) == ["timeout=5", f"api_base={FOREIGN}"]
        db.execute(f"alter server {owned} options (drop api_base, set timeout '6')".encode())
    assert options(db) == ["timeout=6"]


def test_tables_and_mappings_cannot_send_a_key_elsewhere(
    db: psycopg.Connection, owned: str, mallory: Acting
) -> None:
    with mallory():
        for statement in (
            f"create foreign table pg_temp.away (id text) server {owned} options (api_base '{FOREIGN}')",
            f"create user mapping for user server {owned} options (api_key 'x', api_base '{FOREIGN}')",
        ):
            assert "option api_base belongs in the server" in said(failing(db, statement))
