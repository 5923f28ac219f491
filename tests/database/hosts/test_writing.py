"""INSERT, UPDATE and DELETE reach the table as the statement says, and RETURNING gives its answer."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import psycopg
import pytest

Table = Callable[..., str]


@pytest.fixture
def db(pooled: psycopg.Connection) -> psycopg.Connection:
    """A session that an earlier test of this file may have used, whose calls are forgotten."""
    pooled.execute("select call, what from calls")
    return pooled


def calls(db: psycopg.Connection, *names: str) -> list[tuple[str, Any]]:
    """Calls of the tables since the last look, with their arguments."""
    rows = db.execute("select call, what from calls").fetchall()
    scope = {"datetime": dt, "Decimal": Decimal}
    return [
        (call, eval(f"({arguments},)" if arguments else "()", scope))
        for call, arguments in rows
        if not names or call in names
    ]


@pytest.fixture
def name(db: psycopg.Connection, table: Table) -> str:
    return table()


def test_insert_sends_only_what_is_named(db: psycopg.Connection, name: str) -> None:
    db.execute(
        f"insert into {name} (text, n, flag, amount, created, day, data, ratio) values "
        "('a', 1, true, 2.50, '2024-05-01 09:00+09', '2024-05-01', '{\"a\": [1]}', null)"
    )
    assert calls(db, "insert") == [
        (
            "insert",
            (
                {
                    "n": 1,
                    "flag": True,
                    "amount": Decimal("2.50"),
                    "created": dt.datetime(2024, 5, 1, tzinfo=dt.UTC),
                    "day": dt.date(2024, 5, 1),
                    "data": {"a": [1]},
                    "text": "a",
                    "ratio": None,
                },
                "unseen",
            ),
        )
    ]


def test_defaults_and_triggers_fill_columns(db: psycopg.Connection, name: str) -> None:
    db.execute(f"alter foreign table {name} alter column text set default 'standard'")
    db.execute(f"insert into {name} (n) values (1)")
    assert calls(db, "insert") == [("insert", ({"n": 1, "text": "standard"}, "unseen"))]
    db.execute(
        "create or replace function fill() returns trigger language plpgsql as "
        "$$ begin new.small := 7; return new; end $$"
    )
    db.execute(f"create trigger fill before insert or update on {name} for each row execute function fill()")
    db.execute(f"insert into {name} (n) values (1)")
    assert calls(db, "insert") == [("insert", ({"n": 1, "text": "standard", "small": 7}, "unseen"))]
    db.execute(f"update {name} set n = 9 where id = 'id0'")
    assert calls(db, "update") == [("update", ({"id": "id0"}, {"n": 9, "small": 7}, "unseen"))]


def test_columns_that_a_before_trigger_changes_are_sent(db: psycopg.Connection, name: str) -> None:
    db.execute(
        "create or replace function change() returns trigger language plpgsql as "
        "$$ begin new.text := null; new.data := '{\"a\": 1}'; new.flag := old.flag; return new; end $$"
    )
    db.execute(f"create trigger change before update on {name} for each row execute function change()")
    db.execute(f"update {name} set n = 9 where id = 'id0'")
    assert calls(db, "update") == [
        ("update", ({"id": "id0"}, {"n": 9, "data": {"a": 1}, "text": None}, "unseen"))
    ]


def test_insert_returning(db: psycopg.Connection, name: str) -> None:
    rows = db.execute(
        f"insert into {name} (n, text) values (1, 'a'), (2, 'b') returning id, n, text"
    ).fetchall()
    assert rows == [("new_1", 1, "a"), ("new_2", 2, "b")]


def test_a_statement_tells_when_it_has_written(db: psycopg.Connection, name: str) -> None:
    db.execute(f"insert into {name} (n) select generate_series(1, 2)")
    with db.cursor() as cursor, cursor.copy(f"copy {name} (n) from stdin") as copy:
        for number in range(2):
            copy.write_row((number,))
    statement_calls = ["insert", "insert", "end_modify", "pre_commit", "commit"]
    assert [call for call, _ in calls(db)] == [*statement_calls, *statement_calls]


def test_after_triggers_see_the_answer(db: psycopg.Connection, name: str) -> None:
    db.execute("create temp table seen (id text, n bigint)")
    db.execute(
        "create or replace function note() returns trigger language plpgsql as "
        "$$ begin insert into seen values (new.id, new.n); return null; end $$"
    )
    db.execute(f"create trigger note after insert on {name} for each row execute function note()")
    db.execute(f"insert into {name} (n) values (1), (2)")
    assert db.execute("select * from seen").fetchall() == [("new_1", 1), ("new_2", 2)]


def test_update_sends_the_id_and_what_is_set(db: psycopg.Connection, name: str) -> None:
    rows = db.execute(
        f"update {name} set n = n + 10, data = null where n > 0 returning id, n, text, data, small"
    ).fetchall()
    assert rows == [("id1", 11, "answered", None, 1), ("id2", 12, "answered", None, 2)]
    assert calls(db, "update") == [
        ("update", ({"id": "id1"}, {"n": 11, "data": None})),
        ("update", ({"id": "id2"}, {"n": 12, "data": None})),
    ]


def test_update_of_the_id_uses_the_old_one(db: psycopg.Connection, name: str) -> None:
    db.execute(f"update {name} set id = 'other' where id = 'id1'")
    assert calls(db, "update") == [("update", ({"id": "id1"}, {"id": "other"}, "unseen"))]


def test_update_from_a_join(db: psycopg.Connection, name: str) -> None:
    db.execute("create temp table source as select 'id1' as id, 'joined' as text")
    db.execute(f"update {name} x set text = s.text from source s where s.id = x.id")
    assert calls(db, "update") == [("update", ({"id": "id1"}, {"text": "joined"}, "unseen"))]


def test_delete(db: psycopg.Connection, name: str) -> None:
    rows = db.execute(f"delete from {name} where n > 0 returning id, n").fetchall()
    assert rows == [("id1", 1), ("id2", 2)]
    assert calls(db, "delete") == [("delete", ({"id": "id1"},)), ("delete", ({"id": "id2"},))]
    db.execute(f"delete from {name} where n = 1")
    assert calls(db, "delete") == [("delete", ({"id": "id1"}, "unseen"))]


def test_several_columns_identify_a_row(db: psycopg.Connection, table: Table) -> None:
    name = table(identity="('data', 'id', 'amount', 'n')")
    old = {"data": {"number": 1}, "id": "id1", "amount": Decimal(1), "n": 1}
    db.execute(f"update {name} set n = n + 5, id = 'x' where n = 1")
    db.execute(f"delete from {name} where n = 1 returning text")
    assert calls(db, "update", "delete") == [
        ("update", (old, {"n": 6, "id": "x"}, "unseen")),
        ("delete", (old,)),
    ]


def test_through_a_view(db: psycopg.Connection, name: str) -> None:
    db.execute(f"create or replace view over as select id, n, text from {name} where n > 0 with check option")
    db.execute("update over set text = 'x'")
    assert len(calls(db, "update")) == 2
    assert db.execute("insert into over (n) values (5) returning id").fetchone() == ("new_5",)
    with pytest.raises(psycopg.errors.WithCheckOptionViolation):
        db.execute("insert into over (n) values (-1)")
    db.execute("drop view over")


def test_dropped_columns_are_passed_over(db: psycopg.Connection, table: Table) -> None:
    name = table("gone text, id text, n bigint, also_gone text, text text")
    db.execute(f"alter foreign table {name} drop column gone, drop column also_gone")
    assert db.execute(f"insert into {name} values ('a', 1, 'b') returning *").fetchall() == [
        ("new_1", 1, "b")
    ]
    assert db.execute(f"update {name} set n = 3 where id = 'id0' returning *").fetchall() == [
        ("id0", 3, "answered")
    ]
    assert len(db.execute(f"delete from {name} returning *").fetchall()) == 3


def test_prepared_statements(db: psycopg.Connection, name: str) -> None:
    db.execute("set plan_cache_mode = force_generic_plan")
    db.execute(f"prepare ins(bigint, text) as insert into {name} (n, text) values ($1, $2) returning id")
    assert [db.execute(f"execute ins({n}, 'a')").fetchone() for n in range(3)] == [
        ("new_0",),
        ("new_1",),
        ("new_2",),
    ]
    db.execute(f"prepare upd(text, bigint) as update {name} set n = $2 where id = $1 returning n")
    assert db.execute("execute upd('id1', 77)").fetchall() == [(77,)]


def test_transactions_are_told(db: psycopg.Connection, name: str) -> None:
    calls(db)
    with db.transaction():
        db.execute(f"insert into {name} (n) values (1)")
        with pytest.raises(psycopg.errors.DivisionByZero), db.transaction():
            db.execute("select 1 / 0")
        with db.transaction():
            db.execute(f"insert into {name} (n) values (2)")
    assert [call for call, _ in calls(db)] == [
        "insert", "end_modify",
        "sub_rollback", "sub_commit",  # ROLLBACK TO, then RELEASE
        "insert", "end_modify", "sub_commit", "pre_commit", "commit",
    ]  # fmt: skip
    db.execute("select 1")
    assert calls(db) == []


def test_writing_transactions_cannot_be_prepared(db: psycopg.Connection, name: str) -> None:
    db.execute("begin")
    db.execute(f"insert into {name} (n) values (1)")
    with pytest.raises(psycopg.errors.FeatureNotSupported, match="cannot be prepared"):
        db.execute("prepare transaction 'p'")
    db.execute("rollback")
    db.execute("begin")
    db.execute("select * from t")
    db.execute("prepare transaction 'reading'")
    db.execute("commit prepared 'reading'")


@pytest.mark.parametrize(
    "answer", ["5", "[]", "'x'", "{'n': 'x'}", "{'n': 2**70}", "{'text': '\\0'}", "{'data': object()}"]
)
def test_answers_of_a_wrong_form(answer: str, db: psycopg.Connection, table: Table) -> None:
    name = table(answer=answer)
    for sql in (f"insert into {name} (n) values (1) returning *", f"update {name} set n = 1 returning *"):
        with pytest.raises(psycopg.Error) as caught:
            db.execute(sql)
        assert caught.value.sqlstate in ("HV000", "HV004", "22003", "22021", "22032")
    assert db.execute("select count(*) from t").fetchone() == (3,)


def test_no_answer_and_unknown_columns_leave_the_row(db: psycopg.Connection, table: Table) -> None:
    for answer in ("None", "{}", "{'nowhere': 1, 5: 6}"):
        name = table(answer=answer)
        assert db.execute(f"insert into {name} (n) values (1) returning id, n").fetchone() == (None, 1)


@pytest.mark.parametrize("identity", ["5", "'id'", "[1]", "None", "('id', None)"])
def test_row_identities_of_a_wrong_form(identity: str, db: psycopg.Connection, table: Table) -> None:
    name = table(identity=identity)
    with pytest.raises(psycopg.Error, match="did not return column names"):
        db.execute(f"delete from {name}")


def test_a_table_whose_rows_have_no_identity(db: psycopg.Connection, table: Table) -> None:
    name = table(identity="()")
    for sql in (f"delete from {name}", f"update {name} set n = 1"):
        with pytest.raises(psycopg.errors.FeatureNotSupported, match="cannot be updated or deleted"):
            db.execute(sql)


@pytest.mark.parametrize("column", ["nowhere", "", "ctid"])
def test_without_a_row_id(column: str, db: psycopg.Connection, table: Table) -> None:
    name = table(identity=f"('id', '{column}')")
    db.execute(f"insert into {name} (n) values (1)")
    with pytest.raises(psycopg.Error, match="cannot be changed without its column") as caught:
        db.execute(f"delete from {name}")
    assert caught.value.sqlstate == "HV005"


def test_large_values_survive_returning(db: psycopg.Connection, name: str) -> None:
    text = "x" * 500_000
    row = db.execute(f"insert into {name} (text, n) values (%s, 1) returning text, id", (text,)).fetchone()
    assert row == (text, "new_1")


def test_explain(db: psycopg.Connection, name: str) -> None:
    plan = "\n".join(r[0] for r in db.execute(f"explain (verbose) update {name} set n = 1, text = 'a'"))
    assert "Stripe Columns: n, text" in plan
    assert "Command: UPDATE n, text" in plan
    assert calls(db, "update", "insert") == []


# ---- IMPORT FOREIGN SCHEMA and options


def test_import(db: psycopg.Connection) -> None:
    db.execute("drop schema if exists imported cascade; create schema imported")
    db.execute("import foreign schema stripe limit to (one) from server hostile into imported")
    tables = db.execute(
        "select relname from pg_class where relnamespace = 'imported'::regnamespace"
    ).fetchall()
    assert tables == [("one",)]
    db.execute("import foreign schema stripe except (one) from server hostile into imported")
    assert len(db.execute("select * from imported.two").fetchall()) == 3
    assert calls(db, "import") == [
        ("import", (("stripe", "limit to", ["one"]),)),
        ("import", (("stripe", "except", ["one"]),)),
    ]


@pytest.mark.parametrize(
    ("give", "message"),
    [
        ("[1]", "not SQL text"),
        ("5", "not iterable"),
        ("['select 1']", "incorrect statement type"),
        ("['create foreign table']", "syntax error"),
        ("['drop table calls']", "incorrect statement type"),
        ("['']", ""),
        ("['create foreign table \\ud800 (a text) server hostile']", "encode"),
        ("['a\\0b']", "not SQL text"),
        ("['create foreign table zero (a nonsense) server hostile']", "does not exist"),
    ],
)
def test_import_of_nonsense(give: str, message: str, db: psycopg.Connection) -> None:
    db.execute("drop schema if exists imported cascade; create schema imported")
    sql = f"import foreign schema stripe from server hostile into imported options (give $o${give}$o$)"
    sql = (
        sql.replace("$o$", "'")
        if "'" not in give
        else sql.replace(f"$o${give}$o$", "'" + give.replace("'", "''") + "'")
    )
    if not message:
        db.execute(sql)
        return
    with pytest.raises(psycopg.Error, match=message):
        db.execute(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "alter foreign data wrapper stripe_fdw options (colour 'red')",
        "create server other foreign data wrapper stripe_fdw options (colour 'red')",
        "create user mapping for public server hostile options (colour 'red')",
        "create foreign table other (id text) server hostile options (colour 'red')",
        "create foreign table other (id text options (colour 'red')) server hostile",
        "alter foreign table t options (add colour 'red')",
    ],
)
def test_options_are_checked(sql: str, db: psycopg.Connection) -> None:
    with pytest.raises(psycopg.Error, match="has no option colour") as caught:
        db.execute(sql)
    assert caught.value.sqlstate == "HV00D"
    assert caught.value.diag.message_hint == "Valid options: object, rows."
