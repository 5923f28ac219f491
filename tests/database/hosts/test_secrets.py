"""A key that stands in a statement that fails is in nothing that the server says or logs."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

KEY = "sk_live_51TheKeyThatMustNotBeSeen000"
OTHER = "no-key-by-its-looks-but-a-secret"

STATEMENTS = {
    "an unknown option": "create user mapping for current_user server hostile options (colour '{key}')",
    "an error that tells": "create user mapping for current_user server hostile options (tell '', k '{key}')",
    "an exception that tells": (
        "create user mapping for current_user server hostile options (tell 'value', key '{key}')"
    ),
    "an exit that tells": (
        "create user mapping for current_user server hostile options (tell 'keyboard', key ' {key}')"
    ),
    "ALTER": "alter user mapping for current_user server hostile options (add colour '{key}')",
    "a server": "create server coloured foreign data wrapper stripe_fdw options (colour '{key}')",
    "ALTER SERVER": "alter server hostile options (add colour '{key}')",
    "a table": "create foreign table coloured (id text) server hostile options (colour '{key}')",
    "a block": (
        "do $$ begin create user mapping for current_user server hostile options (colour '{key}'); end $$"
    ),
    "EXECUTE": (
        "do $$ begin execute format('create user mapping for current_user server hostile options "
        "(tell %L, key %L)', 'it', '{key}'); end $$"
    ),
}


@pytest.mark.parametrize("key", [KEY, OTHER])
@pytest.mark.parametrize("case", STATEMENTS)
def test_the_log_has_no_statement_with_a_key(
    case: str, key: str, db: psycopg.Connection, new_log: Callable[[], str]
) -> None:
    db.execute("drop user mapping if exists for current_user server hostile")
    if case == "ALTER":
        db.execute("create user mapping for current_user server hostile")
    new_log()
    with pytest.raises(psycopg.Error) as caught:
        db.execute(STATEMENTS[case].format(key=key).encode())
    diag = caught.value.diag
    error_text = (
        f"{caught.value} {diag.message_detail} {diag.message_hint} {diag.context} {diag.internal_query}"
    )
    assert key not in error_text
    log = new_log()
    assert "ERROR" in log
    assert key not in log
    db.execute("drop user mapping if exists for current_user server hostile")


def test_a_caught_error_hides_the_key_and_later_errors_keep_their_context(
    db: psycopg.Connection, new_log: Callable[[], str]
) -> None:
    new_log()
    db.execute(
        "do $$ declare context text; begin "
        f"create user mapping for current_user server hostile options (colour '{KEY}'); "
        "exception when others then get stacked diagnostics context = pg_exception_context; "
        "raise warning '% %', sqlerrm, context; end $$"
    )
    with pytest.raises(psycopg.Error, match="division") as caught:
        db.execute("do $$ begin perform 1 / 0; end $$")
    assert "PL/pgSQL function inline_code_block" in str(caught.value)
    log = new_log()
    assert "has no option colour" in log
    assert KEY not in log


def test_other_statements_are_logged(db: psycopg.Connection, new_log: Callable[[], str]) -> None:
    new_log()
    for statement in ("select no_column from t", "select 1 / n from t"):
        with pytest.raises(psycopg.Error):
            db.execute(statement.encode())
    log = new_log()
    assert "STATEMENT:  select no_column from t" in log
    assert "STATEMENT:  select 1 / n from t" in log


@pytest.mark.parametrize("kind", ["secret", "our secret"])
def test_an_exception_shows_no_key(
    kind: str, db: psycopg.Connection, new_log: Callable[[], str], table: Callable[..., str]
) -> None:
    new_log()
    for point, sql in {
        "init": "select * from {}",
        "next_batch": "select * from {}",
        "describe": "explain select * from {}",
        "insert": "insert into {} (text) values ('a')",
    }.items():
        with pytest.raises(psycopg.Error) as caught:
            db.execute(sql.format(table(**{"fail": point, "with": kind})).encode())
        diag = caught.value.diag
        assert "sk_live_****" in str(diag.message_primary)
        assert "sk_live_5" not in f"{caught.value} {diag.message_detail} {diag.message_hint} {diag.context}"
    assert "sk_live_5" not in new_log()
