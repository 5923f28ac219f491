"""Functions of this package, and those that its documentation shows, run no other role's code."""

from __future__ import annotations

import re
from collections.abc import Callable

import psycopg
import pytest

from stripe_fdw.copies.install import install_copies
from stripe_fdw.database.schemas import Schemas
from stripe_simulator.process import SimulatorProcess
from support.attacks import NOTES_ITS_ROLE, Acting
from support.database import column, copy, failing, not_under_multicorn2, one, refused, said
from support.doc_pages import PAGES, ROOT, blocks

OURS = """
    from pg_proc
    join pg_namespace on pg_namespace.oid = pronamespace
   where nspname in ('stripe_sync', 'stripe_live', 'here_copy', 'here')
         and proname not like 'multicorn%'
      or pg_proc.oid in (select objid from pg_depend join pg_extension e on e.oid = refobjid
                  where classid = 'pg_proc'::regclass and deptype = 'e' and extname = 'stripe_fdw')"""
NAMES = {
    "bundled": {
        "call",
        "invalidate",
        "require_server",
        "remove_server",
        "stripe_fdw_handler",
        "stripe_fdw_validator",
    },
    "multicorn2": {"call", "invalidate", "require_server", "remove_server", "guard_table"},
}
SAFE_PATH = "set search_path = pg_catalog, pg_temp"
DOCUMENTED = [
    pytest.param(block.text, name, id=f"{path.stem}-{name}")
    for path in [*PAGES, *ROOT.glob("*.md")]
    for block in blocks(path)
    for name in re.findall(r"create (?:or replace )?function ([\w.]+)", block.text)
]


def test_every_function_has_a_safe_path_and_no_rights_for_all(db: psycopg.Connection, host: str) -> None:
    assert {*column(db, f"select proname {OURS}")} == NAMES[host]
    assert unsafe(db) == set()
    with db.transaction(force_rollback=True):
        list(install_copies(db, Schemas("here", "here"), ["customer", "invoice"]))
        assert {"_apply_customer", "refuse_write"} <= {*column(db, f"select proname {OURS}")}
        assert unsafe(db) == set()
        db.execute("alter function stripe_live.call reset search_path")
        db.execute("alter function stripe_sync.invalidate security definer")
        db.execute("grant execute on function stripe_sync.refuse_write to public")
        assert unsafe(db) == {"call", "invalidate", "refuse_write"}


def unsafe(db: psycopg.Connection) -> set[object]:
    """Functions of ours that resolve other roles' objects, or that other roles can call."""
    for_all = "exists (select from aclexplode(coalesce(proacl, acldefault('f', proowner))) where grantee = 0)"
    path = "proconfig[1] is distinct from 'search_path=pg_catalog, pg_temp'"
    query = f"select proname, {path} or (prosecdef and proname <> 'wait') or {for_all} {OURS}"
    return {name for name, is_unsafe in db.execute(query.encode()) if is_unsafe}


@pytest.mark.parametrize(("text", "name"), DOCUMENTED)
def test_a_documented_function_is_a_safe_example(text: str, name: str) -> None:
    statement = text.split(f"function {name}", 1)[1].split("$$", 1)[0]
    assert SAFE_PATH in " ".join(statement.split())
    assert f"revoke execute on function {name} from public;" in text
    assert "security definer" not in statement or name == "sign_up"


def test_functions_are_documented() -> None:
    assert {"customer_key", "org_changed", "sign_up"} <= {str(case.values[1]) for case in DOCUMENTED}


def test_functions_cannot_be_called_without_execute(
    db: psycopg.Connection, mallory: Acting, host: str
) -> None:
    db.execute("grant usage on schema stripe_live, stripe_sync to mallory")
    db.execute("grant insert, select on stripe_live._call, stripe_live._invalidation to mallory")
    calls = ["stripe_live.call('GET', '/v1/balance')", "stripe_sync.invalidate('customer')"]
    if host == "bundled":
        schema = one(
            db, "select pronamespace::regnamespace from pg_proc where proname = 'stripe_fdw_validator'"
        )
        db.execute(f"grant usage on schema {schema} to mallory".encode())
        calls += [f"{schema}.stripe_fdw_validator('{{}}', 0)", f"{schema}.stripe_fdw_handler()"]
    with mallory():
        for call in calls:
            assert "permission denied for function" in said(failing(db, f"select {call}"))


def test_temporary_relations_of_a_caller_are_not_taken_for_the_catalogs(
    db: psycopg.Connection, mallory: Acting, host: str, ran_as: Callable[[], str]
) -> None:
    db.execute("grant usage on schema stripe_live, stripe_sync to mallory")
    db.execute("grant insert on stripe_live._invalidation to mallory")
    db.execute("grant execute on function stripe_sync.invalidate to mallory")
    db.execute("grant select on stripe_sync.server to mallory")
    with mallory():
        db.execute(f"create function pg_temp.pwn() returns oid {NOTES_ITS_ROLE} return 0; end $$")
        db.execute(
            "create temporary view pg_stat_progress_copy as"
            " select pg_temp.pwn() as relid, pg_backend_pid() as pid"
        )
        db.execute(
            "create temporary view pg_attribute as select pg_temp.pwn() as attrelid, true as attisdropped"
        )
        db.execute("create temporary table _invalidation (resource text, id text)")
        db.execute("select stripe_sync.invalidate('customer')")
        if host == "multicorn2":  # as its trigger function does
            assert "not possible" in said(refused(lambda: copy(db, "stripe_live._invalidation (id)", "a\n")))
        assert ran_as() == ""
        db.execute("select * from pg_temp.pg_stat_progress_copy")
        assert ran_as() == "mallory"
        db.execute("drop view pg_temp.pg_stat_progress_copy, pg_temp.pg_attribute")


def test_functions_and_operators_that_match_better_are_not_called(
    db: psycopg.Connection, mallory: Acting, calm: SimulatorProcess, ran_as: Callable[[], str]
) -> None:
    db.execute("create schema evil; grant create, usage on schema evil to mallory")
    with mallory():
        db.execute(f"create function evil.upper(text) returns text {NOTES_ITS_ROLE} return 'GET'; end $$")
        db.execute(
            f"create function evil.same(text, text) returns boolean {NOTES_ITS_ROLE} return true; end $$;"
            "create operator evil.= (leftarg = text, rightarg = text, function = evil.same)"
        )
    try:
        db.execute("set search_path = evil, pg_catalog, stripe_live, stripe_sync")
        db.execute("select stripe_live.call('GET', '/v1/balance'), stripe_sync.invalidate('customer')")
        assert ran_as() == ""
        db.execute("select upper('get') = 'GET'")
        assert ran_as() == "postgres"
    finally:
        db.execute("reset search_path; drop schema evil cascade")


def test_a_documented_view_shows_no_row_that_it_leaves_out(
    db: psycopg.Connection, mallory: Acting, host: str
) -> None:
    not_under_multicorn2(host, "a view reads as its caller")
    definition = next(
        statement
        for path in PAGES
        for block in blocks(path)
        for statement in block.text.split(";")
        if "create view own_customers" in statement
    )
    definition = definition.replace("metadata ->> 'team' = 'support'", "email like 'a%'")
    db.execute(f"{definition}; grant select on own_customers to mallory".encode())
    try:
        with mallory():
            db.execute(
                "create function pg_temp.seen(email text) returns boolean language plpgsql cost 0.0001 as $$"
                " begin if email not like 'a%' then raise 'saw another row'; end if; return true; end $$"
            )
            db.execute("select * from own_customers where pg_temp.seen(email)")
        db.execute("alter view own_customers set (security_barrier = false)")
        with mallory():
            error = failing(db, "select * from own_customers where pg_temp.seen(email)")
            assert "saw another row" in said(error)
            db.execute("drop function pg_temp.seen")
    finally:
        db.execute("drop view own_customers")
