"""Each role reads with its own key, on each host, also after another role has read the table."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from stripe_simulator.process import SimulatorProcess
from support.database import Servers, count, failing, not_under_multicorn2, said

GOOD = "sk_test_51TheGoodKeyOfTheRoles000"
WRONG = "sk_test_51TheWrongKeyOfTheRoles00"


@pytest.fixture
def roles(db: psycopg.Connection, host: str, servers: Servers) -> Iterator[list[str]]:
    """Three roles, the last without a mapping of its own."""
    names = [f"{host}_reader_{number}" for number in range(3)]
    for name in names:
        db.execute(f"create role {name}".encode())
    yield names
    db.execute("reset role")
    for name in names:
        db.execute(f"drop owned by {name} cascade; drop role {name}".encode())


def _map(db: psycopg.Connection, server: str, keys: dict[str, str]) -> None:
    """Make user mappings, in statements that are not logged."""
    db.execute("set log_statement = 'none'")
    for role, key in keys.items():
        db.execute(f"create user mapping for {role} server {server} options (api_key '{key}')".encode())
    db.execute("reset log_statement")


def test_a_key_is_used_for_its_role_alone(
    db: psycopg.Connection, calm: SimulatorProcess, servers: Servers, roles: list[str]
) -> None:
    calm.control("POST", "/keys", {"wrong": [WRONG]})
    db.prepare_threshold = None  # or psycopg drops prepared statements after each DROP
    server = servers("customer", api_base=calm.url)
    table = server.table("customer")
    db.execute(f"grant usage on schema {server.name} to public; grant select on {table} to public".encode())
    good, wrong, unmapped = roles
    _map(db, server.name, {good: GOOD, wrong: WRONG})
    db.execute("set plan_cache_mode = force_generic_plan")
    queries = [
        f"select count(*) from {table}",
        f"select count(*) from {table} where id in ('cus_1', 'cus_2')",
    ]
    for position, query in enumerate(queries):
        db.execute(f"prepare q{position} as {query}".encode())
    for _ in range(2):
        for role in (good, wrong, unmapped, wrong, good, unmapped):
            db.execute(f"set role {role}".encode())
            for query in (*queries, "execute q0", "execute q1"):
                if role == good:
                    assert count(db, query) >= 0
                elif role == wrong:
                    assert "Invalid API Key" in said(failing(db, query))
                else:
                    assert "user mapping" in said(failing(db, query))
    db.execute("reset role")
    db.execute(f"drop user mapping for {good} server {server.name}".encode())
    db.execute(f"set role {good}".encode())
    for query in (*queries, "execute q0", "execute q1"):
        assert "user mapping" in said(failing(db, query))
    db.execute("reset role")


def test_a_view_reads_with_the_key_of_its_owner(
    db: psycopg.Connection, calm: SimulatorProcess, servers: Servers, roles: list[str], host: str
) -> None:
    calm.control("POST", "/keys", {"wrong": [WRONG]})
    server = servers("customer", api_base=calm.url)
    table = server.table("customer")
    owner, asker, _ = roles
    db.execute(
        f"grant usage, create on schema {server.name} to public; grant select on {table} to public".encode()
    )
    _map(db, server.name, {owner: GOOD, asker: WRONG})
    db.execute(f"set role {owner}".encode())
    db.execute(f"create view {server.name}.seen as select count(*) from {table}".encode())
    db.execute(
        f"create function {server.name}.definer() returns bigint language sql security definer as "
        f"'select count(*) from {table}'".encode()
    )
    db.execute(f"grant select on {server.name}.seen to public; reset role; set role {asker}".encode())
    for _ in range(2):
        assert count(db, f"select {server.name}.definer()") > 200
        if host == "bundled":
            assert count(db, f"select * from {server.name}.seen") > 200
        else:  # MULTICORN2: views use the caller's mapping
            assert "Invalid API Key" in said(failing(db, f"select * from {server.name}.seen"))
        assert "Invalid API Key" in said(failing(db, f"select count(*) from {table}"))
    db.execute("reset role")


def test_the_error_names_the_role_whose_mapping_is_missing(
    db: psycopg.Connection, calm: SimulatorProcess, servers: Servers, roles: list[str], host: str
) -> None:
    not_under_multicorn2(host, "a wrapper is not told the role and the server")
    server = servers("customer", api_base=calm.url).name
    owner, _, asker = roles
    table = f"{server}.customer"
    db.execute(
        f"""
        grant usage, create on schema {server} to public; grant select, update on {table} to public;
        set role {owner};
        create view {server}.seen as select id, email from {table};
        create materialized view {server}.kept as select id from {table} with no data;
        create function {server}.definer() returns bigint language sql security definer
            as 'select count(*) from {table}';
        grant select, update on {server}.seen to public;
        reset role
        """.encode()
    )
    refresh = f"refresh materialized view {server}.kept"
    for role, query, named in [
        (asker, f"select * from {table}", asker),
        (asker, f"update {table} set email = 'a@b.c' where id = 'cus_1'", asker),
        (asker, f"select * from {server}.seen", owner),
        (asker, f"update {server}.seen set email = 'a@b.c'", owner),
        (asker, f"select {server}.definer()", owner),
        (owner, refresh, owner),
        ("postgres", refresh, owner),
    ]:
        db.execute(f"set role {role}".encode())
        error = failing(db, query)
        assert error.sqlstate == "28000"
        assert f'role "{named}" has no user mapping on server "{server}"' in said(error)
        assert f'CREATE USER MAPPING FOR "{named}" SERVER "{server}" OPTIONS' in said(error)
        db.execute("reset role")
    # What the hint says is what Postgres asks for.
    create = f"create user mapping for current_user server {server} options (api_key 'sk_test_of_the_asker')"
    grant = f'GRANT USAGE ON FOREIGN SERVER "{server}" TO "{asker}";'
    db.execute(f"set role {asker}".encode())
    assert grant in said(failing(db, f"select * from {table}"))
    assert failing(db, create).sqlstate == "42501"
    db.execute("reset role")
    db.execute(grant.encode())
    db.execute(f"set role {asker}".encode())
    assert "GRANT USAGE" not in said(failing(db, f"select * from {table}"))
    db.execute(create.encode())
    assert count(db, f"select count(*) from {table}") >= 0
    db.execute("reset role")
    db.execute(f"alter role {owner} rename to renamed_{owner}".encode())
    assert f'"renamed_{owner}" has no' in said(failing(db, refresh))
    db.execute(f"alter role renamed_{owner} rename to {owner}".encode())
