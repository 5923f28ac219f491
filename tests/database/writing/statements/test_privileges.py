"""Privileges to write, and the key of each write: refusals come from Postgres, before any request."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg
import pytest

from stripe_simulator.process import SimulatorProcess
from support.database import KEY, Server, column, count, failing, one, said

DENIED = "42501"
OTHER_KEY = "sk_test_51TheKeyOfAnotherRole000"


@pytest.fixture
def role(db: psycopg.Connection, live: Server, host: str) -> Iterator[str]:
    """A role that may use the schema, has a mapping of its own, and no privileges on tables."""
    name = f"{host}_writer"
    db.execute(f"create role {name}; grant usage on schema {live.name} to {name}".encode())
    _map(db, live, name, KEY)
    yield name
    db.execute("rollback; reset role")
    db.execute(f"drop owned by {name} cascade; drop role {name}".encode())


def _map(db: psycopg.Connection, live: Server, role: str, key: str) -> None:
    """Make a user mapping, in a statement that is not logged."""
    db.execute("set log_statement = 'none'")
    db.execute(f"create user mapping for {role} server {live.name} options (api_key '{key}')".encode())
    db.execute("reset log_statement")


@pytest.fixture
def set_role(db: psycopg.Connection) -> Callable[[str], object]:
    """Set the role of the session."""
    return lambda role: db.execute(f"set role {role}".encode())


def test_a_role_that_may_select_writes_nothing(
    db: psycopg.Connection,
    customer: str,
    role: str,
    set_role: Callable[[str], object],
    stripe: SimulatorProcess,
) -> None:
    db.execute(f"grant select on {customer} to {role}".encode())
    set_role(role)
    assert count(db, f"select count(*) from {customer}") == 3
    stripe.control("DELETE", "/requests")
    for query in (
        f"insert into {customer} (email) values ('a@b.c')",
        f"insert into {customer} (email) values ('a@b.c') returning id",
        f"update {customer} set name = 'N'",
        f"update {customer} set name = 'N' where id = 'cus_1'",
        f"delete from {customer}",
        f"with new as (insert into {customer} (email) values ('a@b.c')) select 1",
        f"do $$ begin delete from {customer}; end $$",
        f"select * from {customer} for update",
        f"explain analyze update {customer} set name = 'N'",
    ):
        assert failing(db, query).sqlstate == DENIED
    assert stripe.requests() == []


def test_writing_on_one_table_is_granted(
    db: psycopg.Connection,
    live: Server,
    role: str,
    set_role: Callable[[str], object],
    wrote: Callable[[], list[str]],
) -> None:
    customer, coupon = live.table("customer"), live.table("coupon")
    db.execute(f"grant select on {customer}, {coupon} to {role}".encode())
    db.execute(f"grant insert, update on {customer} to {role}".encode())
    set_role(role)
    customer_id = one(db, f"insert into {customer} (email) values ('a@b.c') returning id")
    db.execute(f"update {customer} set name = 'N' where id = '{customer_id}'".encode())
    assert wrote() == ["POST /v1/customers", f"POST /v1/customers/{customer_id}"]
    for query in (
        f"delete from {customer} where id = '{customer_id}'",
        f"insert into {coupon} (percent_off, duration) values (10, 'once')",
        f"update {coupon} set name = 'N'",
        f"delete from {coupon}",
    ):
        assert failing(db, query).sqlstate == DENIED
    assert wrote() == []


def test_columns_are_granted(
    db: psycopg.Connection,
    customer: str,
    role: str,
    set_role: Callable[[str], object],
    wrote: Callable[[], list[str]],
) -> None:
    identifier = one(db, f"select id from {customer} limit 1")
    db.execute(
        f"grant select (id), update (metadata), insert (email, _idempotency_key)"
        f" on {customer} to {role}".encode()
    )
    set_role(role)
    db.execute(f"update {customer} set metadata = '{{\"k\": \"v\"}}' where id = '{identifier}'".encode())
    customer_id = one(
        db, f"insert into {customer} (email, _idempotency_key) values ('a@b.c', 'one') returning id"
    )
    assert wrote() == [f"POST /v1/customers/{identifier}", "POST /v1/customers"]
    for query in (
        f"update {customer} set name = 'N' where id = '{identifier}'",
        f"update {customer} set metadata = '{{}}', name = 'N' where id = '{identifier}'",
        f"update {customer} set metadata = '{{}}' where email = 'a@b.c'",
        f"update {customer} set metadata = '{{}}' where id = '{identifier}' returning email",
        f"insert into {customer} (name) values ('N')",
        f"insert into {customer} (email, _params) values ('b@b.c', '{{\"name\": \"N\"}}')",
        f"insert into {customer} (email) values ('b@b.c') returning email",
        f"insert into {customer} values ('x')",
        f"select email from {customer} where id = '{customer_id}'",
    ):
        assert failing(db, query).sqlstate == DENIED
    assert wrote() == []


def test_without_a_mapping_nothing_is_written(
    db: psycopg.Connection,
    live: Server,
    role: str,
    set_role: Callable[[str], object],
    wrote: Callable[[], list[str]],
) -> None:
    customer = live.table("customer")
    db.execute(f"grant all on {customer} to {role}".encode())
    db.execute(f"drop user mapping for {role} server {live.name}".encode())
    set_role(role)
    for query in (f"insert into {customer} (email) values ('a@b.c')", f"delete from {customer}"):
        assert "user mapping" in said(failing(db, query))
    db.execute("reset role")
    _map(db, live, "public", KEY)
    set_role(role)
    db.execute(f"insert into {customer} (email) values ('a@b.c')".encode())
    assert wrote() == ["POST /v1/customers"]


def test_a_function_of_its_definer_writes_with_the_definers_key(
    db: psycopg.Connection,
    live: Server,
    role: str,
    set_role: Callable[[str], object],
    stripe: SimulatorProcess,
    wrote: Callable[[], list[str]],
) -> None:
    stripe.control("POST", "/keys", {"wrong": [OTHER_KEY]})
    db.execute(f"drop user mapping for {role} server {live.name}".encode())
    _map(db, live, role, OTHER_KEY)
    customer = live.table("customer")
    db.execute(
        f"""create function {live.name}.sign_up(address text) returns text language sql security definer
            set search_path = pg_catalog, pg_temp as
            $$ insert into {customer} (email) values (address) returning id $$;
        create function {live.name}.forget(identifier text) returns void language plpgsql security definer
            set search_path = pg_catalog, pg_temp as
            $$ begin delete from {customer} where id = identifier; end $$""".encode()
    )
    set_role(role)
    customer_id = one(db, f"select {live.name}.sign_up('a@b.c')")
    db.execute(f"select {live.name}.forget('{customer_id}')".encode())
    assert wrote() == ["POST /v1/customers", f"DELETE /v1/customers/{customer_id}"]
    assert failing(db, f"insert into {customer} (email) values ('a@b.c')").sqlstate == DENIED
    stripe.control("DELETE", "/keys")


def test_a_view_writes_with_its_owners_key(
    db: psycopg.Connection,
    live: Server,
    role: str,
    host: str,
    set_role: Callable[[str], object],
    stripe: SimulatorProcess,
    wrote: Callable[[], list[str]],
) -> None:
    db.execute(f"drop user mapping for {role} server {live.name}".encode())
    customer, view = live.table("customer"), live.table("people")
    db.execute(
        f"create view {view} as select id, email, name from {customer};"
        f"grant select, insert, update, delete on {view} to {role}".encode()
    )
    set_role(role)
    if host == "multicorn2":  # views use the caller's mapping there
        assert "user mapping" in said(failing(db, f"insert into {view} (email) values ('a@b.c')"))
        assert wrote() == []
        return
    customer_id = one(db, f"insert into {view} (email) values ('a@b.c') returning id")
    db.execute(f"update {view} set name = 'N' where id = '{customer_id}'".encode())
    db.execute(f"delete from {view} where id = '{customer_id}'".encode())
    assert wrote() == [
        "POST /v1/customers",
        f"POST /v1/customers/{customer_id}",
        f"DELETE /v1/customers/{customer_id}",
    ]
    assert failing(db, f"select * from {customer}").sqlstate == DENIED
    db.execute("reset role")
    if db.info.server_version >= 150000:
        db.execute(f"alter view {view} set (security_invoker = on)".encode())
        set_role(role)
        for query in (f"insert into {view} (email) values ('a@b.c')", f"delete from {view}"):
            assert failing(db, query).sqlstate == DENIED
        assert wrote() == []


def test_stripes_own_permissions_hold_too(
    db: psycopg.Connection, customer: str, stripe: SimulatorProcess, host: str
) -> None:
    stripe.control("POST", "/faults", {"kind": "status", "status": 403, "method": "POST", "count": None})
    error = failing(db, f"insert into {customer} (email) values ('a@b.c')")
    assert error.sqlstate == (DENIED if host == "bundled" else "XX000")
    assert KEY not in said(error)


def test_the_key_is_hidden_from_other_roles(
    db: psycopg.Connection, live: Server, role: str, set_role: Callable[[str], object]
) -> None:
    customer = live.table("customer")
    db.execute(f"grant all on {customer} to {role}".encode())
    set_role(role)
    options = (
        f"select umoptions from pg_user_mappings where srvname = '{live.name}' and umoptions is not null"
    )
    assert column(db, options) == []
    assert failing(db, "select * from pg_user_mapping").sqlstate == DENIED
    for query in (
        f"explain (verbose) insert into {customer} (email) values ('a@b.c')",
        f"explain (analyze, verbose) update {customer} set name = 'N' where id = 'cus_no'",
        f"explain (verbose) delete from {customer}",
    ):
        assert KEY not in "\n".join(map(str, column(db, query)))
    assert KEY not in said(
        failing(db, f"insert into {customer} (email, _params) values ('a', '{{\"no\": 1}}')")
    )


def test_call_reads_with_select_and_writes_with_insert(
    db: psycopg.Connection, calm: SimulatorProcess, host: str, set_role: Callable[[str], object]
) -> None:
    name = f"{host}_caller"
    db.execute(f"create role {name}; grant usage on schema stripe_live to {name}".encode())
    call = "stripe_live.call(text, text, jsonb, text)"
    db.execute(
        f"grant select on stripe_live._call to {name}; grant execute on function {call} to {name}".encode()
    )
    db.execute("set log_statement = 'none'")
    db.execute(f"create user mapping for {name} server stripe options (api_key '{KEY}')".encode())
    db.execute("reset log_statement")
    post = "select stripe_live.call('POST', '/v1/customers/cus_missing', '{\"name\": \"N\"}')"
    try:
        set_role(name)
        assert one(db, "select stripe_live.call('GET', '/v1/balance') ->> 'object'") == "balance"
        calm.control("DELETE", "/requests")
        assert failing(db, post).sqlstate == DENIED
        assert (
            failing(db, "select stripe_live.call('DELETE', '/v1/customers/cus_missing')").sqlstate == DENIED
        )
        assert calm.requests() == []
        db.execute("reset role")
        db.execute(f"grant insert on stripe_live._call to {name}".encode())
        set_role(name)
        assert "No such customer" in said(failing(db, post))
        assert len(calm.requests()) == 1
    finally:
        db.execute("reset role")
        db.execute(f"drop owned by {name} cascade; drop role {name}".encode())
