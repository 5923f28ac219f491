"""Columns with other names than in the catalog, which the option column_name tells."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from support.database import Server, column, failing, one, said


@pytest.fixture
def renamed(db: psycopg.Connection, live: Server) -> str:
    """Customers whose columns id, email, name and created have other names, some of them each other's."""
    table = live.table("customer")
    for old, new in {
        "email": "e",
        "name": "email",
        "e": "name",
        "id": "Stripe id",
        "created": "made",
    }.items():
        db.execute(f'alter foreign table {table} rename column "{old}" to "{new}"'.encode())
    for name, known in {"name": "email", "email": "name", "Stripe id": "id", "made": "created"}.items():
        db.execute(
            f"alter foreign table {table} alter \"{name}\" options (add column_name '{known}')".encode()
        )
    return table


def explained(db: psycopg.Connection, query: str) -> str:
    """EXPLAIN's lines."""
    return "\n".join(map(str, column(db, f"explain (costs off) {query}")))


def test_renamed_columns_are_read_and_pushed_down(db: psycopg.Connection, renamed: str) -> None:
    identifier = one(
        db, f"insert into {renamed} (name, email) values ('r@b.c', 'Renamed') returning \"Stripe id\""
    )
    rows = f"select \"Stripe id\", name, email, made is not null, _raw ->> 'email' from {renamed}"
    expected = [(identifier, "r@b.c", "Renamed", True, "r@b.c")]
    for where in (
        f"\"Stripe id\" = '{identifier}'",
        f"\"Stripe id\" in ('{identifier}', 'cus_none')",
        "name = 'r@b.c'",
        "email = 'Renamed' and made > '2001-01-01'",
    ):
        assert db.execute(f"{rows} where {where}".encode()).fetchall() == expected
    assert f"GET /v1/customers/{identifier}" in explained(db, f"{rows} where \"Stripe id\" = '{identifier}'")
    plan = explained(db, f"{rows} where name = 'r@b.c'")
    assert "GET /v1/customers?email=r%40b.c&limit=100" in plan
    assert "Stripe Pushed: email = 'r@b.c'" in plan
    assert "Stripe Checked Locally: name = 'x'" in explained(db, f"{rows} where email = 'x'")
    ordered = f"{rows} order by made desc limit 1"
    assert "Sort" not in explained(db, ordered)
    assert db.execute(ordered.encode()).fetchall() == expected
    joined = f"{rows} where \"Stripe id\" = any(array(select '{identifier}'))"
    assert db.execute(joined.encode()).fetchall() == expected
    db.execute("create temp table wanted (id text); analyze wanted")
    db.execute("insert into wanted values (%s)", (identifier,))
    db.execute("set enable_hashjoin = off; set enable_mergejoin = off; analyze wanted")
    query = f'select c.name from wanted w join {renamed} c on c."Stripe id" = w.id'
    assert column(db, query) == ["r@b.c"]
    # What the session has learned of the table decides how it joins; OFFSET leaves one value at a time.
    one_by_one = f'select name from {renamed} where "Stripe id" = w.id offset 0'
    query = f"select c.name from wanted w cross join lateral ({one_by_one}) c"
    assert column(db, query) == ["r@b.c"]
    assert "GET /v1/customers/" in explained(db, query)


def test_renamed_columns_are_written(
    db: psycopg.Connection, renamed: str, wrote: Callable[[], list[str]]
) -> None:
    wrote()
    made = db.execute(
        f"insert into {renamed} (name, email) values ('w@b.c', 'W')"
        ' returning "Stripe id", name, email'.encode()
    ).fetchone()
    assert made is not None
    assert made[1:] == ("w@b.c", "W")
    changed = f"update {renamed} set email = 'V' where \"Stripe id\" = '{made[0]}' returning name, email"
    assert db.execute(changed.encode()).fetchall() == [("w@b.c", "V")]
    assert db.execute(changed.encode()).fetchall() == [("w@b.c", "V")]
    made_earlier = f"update {renamed} set made = '2001-01-01' where name = 'w@b.c'"
    assert 'column "created" of customer cannot be changed' in said(failing(db, made_earlier))
    db.execute(f"delete from {renamed} where \"Stripe id\" = '{made[0]}'".encode())
    customer = f"/v1/customers/{made[0]}"
    assert wrote() == ["POST /v1/customers", f"POST {customer}", f"DELETE {customer}"]


def test_a_wrong_column_name_is_told(db: psycopg.Connection, live: Server, host: str) -> None:
    table = live.table("product")
    db.execute(f"alter foreign table {table} rename column description to about".encode())
    error = failing(db, f"select about from {table}")
    assert 'column "about" is not there' in said(error)
    assert "column_name" in said(error)
    db.execute(f"alter foreign table {table} alter about options (add column_name 'descrption')".encode())
    assert "Closest: description" in said(failing(db, f"select about from {table}"))
    db.execute(f"alter foreign table {table} alter about options (set column_name 'name')".encode())
    assert 'columns "name" and "about" both stand for Stripe\'s name' in said(
        failing(db, f"select about from {table}")
    ).replace('"about" and "name"', '"name" and "about"')
    if host == "bundled":
        wrong = failing(db, f"alter foreign table {table} alter about options (add name 'x')")
        assert wrong.sqlstate == "HV00D"
        assert "Options of a column: column_name." in said(wrong)
