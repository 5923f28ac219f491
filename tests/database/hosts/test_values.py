"""Values that a column cannot take are errors naming column, table and Python type; others arrive exactly."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

import support

TYPES = (
    "text", "varchar(5)", "char(3)", "bigint", "integer", "smallint", "boolean", "numeric", "numeric(10,2)",
    "double precision", "real", "timestamptz", "timestamp", "date", "time", "jsonb", "json", "uuid", "bytea",
    "text[]", "int8range", "inet", "interval", "xml", "oid", "point",
    "hostile_domain", "hostile_enum", "hostile_row",
)  # fmt: skip
# The SQLSTATEs that a wrong value may raise: every error must be one of these.
FITTING = {
    "HV004",  # fdw_invalid_data_type: a Python type that cannot become the column's
    "22015",  # interval_field_overflow
    "22021",  # character_not_in_repertoire: NUL, surrogates, invalid UTF-8
    "22003",  # numeric_value_out_of_range
    "22007",  # invalid_datetime_format
    "22008",  # datetime_field_overflow
    "22009",  # invalid_time_zone_displacement_value
    "22P02",  # invalid_text_representation
    "22P03",
    "22P05",  # untranslatable_character: \u0000 in JSON
    "22001",  # string_data_right_truncation
    "22032",  # invalid_json_text
    "22023",
    "22000",
    "22030",
    "2200N",  # invalid_xml_content
    "54000",  # program_limit_exceeded
    "54001",  # statement_too_complex: JSON nested too deep
    "23514",  # check_violation: of a domain
    "0A000",  # a column type that has no input
}


def values() -> list[str]:
    """The names of hostile_tables.py's VALUES, read as text since that file runs in a backend only."""
    text = (support.DIRECTORY / "hostile_tables.py").read_text()
    block = text[text.index("VALUES: dict") : text.index("ROWS: dict")]
    return [line.split('"')[1] for line in block.splitlines() if line.startswith('    "')]


@pytest.fixture(scope="module")
def typed(shared_db: psycopg.Connection) -> psycopg.Connection:
    db = shared_db
    db.execute("drop domain if exists hostile_domain cascade")
    db.execute("drop type if exists hostile_enum, hostile_row cascade")
    db.execute("create domain hostile_domain as bigint check (value > 17)")
    db.execute("create type hostile_enum as enum ('text', 'other')")
    db.execute("create type hostile_row as (a int, b text)")
    return db


@pytest.mark.parametrize("type_name", TYPES)
def test_every_value_in_a_column_of(
    type_name: str, typed: psycopg.Connection, shared_table: Callable[..., str]
) -> None:
    outcomes = {}
    for value in values():
        name = shared_table(f"the_column {type_name}", values=value)
        try:
            row = typed.execute(f"select the_column::text from {name} limit 1").fetchone()
            assert row is not None
            outcomes[value] = str(row[0])[:40]
        except psycopg.Error as caught:
            error = caught
        else:
            continue
        assert error.sqlstate in FITTING, (value, error.sqlstate, str(error)[:300])
        error_text = f"{error.diag.message_primary} {error.diag.context}"
        assert "the_column" in error_text, value
        assert name in error_text, value
        outcomes[value] = str(error.sqlstate)
    for value in ("object", "type", "set", "ellipsis"):
        assert outcomes[value] == "HV004"
    assert typed.execute("select count(*) from t").fetchone() == (3,)


@pytest.mark.parametrize(
    ("type_name", "value", "expected"),
    [
        ("text", "text", "text"),
        ("text", "empty", ""),
        ("text", "int", "HV004"),
        ("text", "true", "HV004"),
        ("text", "nul", "22021"),
        ("text", "surrogate", "22021"),
        ("varchar(5)", "number text", "17"),
        ("varchar(5)", "long text", "22001"),
        ("bigint", "int", "42"),
        ("bigint", "true", "HV004"),
        ("bigint", "float", "HV004"),
        ("bigint", "text", "HV004"),
        ("bigint", "int8 least", "-9223372036854775808"),
        ("bigint", "int8 out", "22003"),
        ("bigint", "huge", "22003"),
        ("integer", "int4 out", "22003"),
        ("smallint", "int2 out", "22003"),
        ("boolean", "true", "true"),
        ("boolean", "zero", "HV004"),
        ("numeric", "decimal", "12.50"),
        ("numeric", "decimal nan", "NaN"),
        ("numeric", "decimal snan", "22P02"),
        ("numeric", "decimal infinity", "Infinity"),
        ("numeric", "decimal huge", "22003"),
        ("numeric", "int8 out", "9223372036854775808"),
        ("numeric", "float", "1.5"),
        ("numeric", "number text", "17"),
        ("numeric(10,2)", "decimal", "12.50"),
        ("numeric(10,2)", "huge", "22003"),
        ("double precision", "nan", "NaN"),
        ("double precision", "minus infinity", "-Infinity"),
        ("double precision", "huge", "22003"),
        ("real", "float4 out", "22003"),
        ("timestamptz", "zero", "1970-01-01 00:00:00+00"),
        ("timestamptz", "int8 least", "22008"),
        ("timestamptz", "huge", "22008"),
        ("timestamptz", "infinity", "infinity"),
        ("timestamptz", "minus infinity", "-infinity"),
        ("timestamptz", "nan", "22008"),
        ("timestamptz", "infinite", "infinity"),
        ("timestamptz", "float", "1970-01-01 00:00:01.5+00"),
        ("timestamptz", "aware", "2024-05-01 00:00:00+00"),
        ("timestamptz", "naive", "HV004"),
        ("timestamptz", "first", "0001-01-01 00:00:00+00"),
        ("timestamptz", "last", "9999-12-31 23:59:59.999999+00"),
        ("timestamptz", "date", "HV004"),
        ("timestamptz(0)", "float", "1970-01-01 00:00:01+00"),
        ("timestamptz(0)", "last", "10000-01-01 00:00:00+00"),
        ("timestamptz(6)", "last", "9999-12-31 23:59:59.999999+00"),
        ("timestamptz(0)", "infinite", "infinity"),
        ("date", "date", "2024-05-01"),
        ("date", "aware", "HV004"),
        ("date", "infinite", "infinity"),
        ("jsonb", "dict", '{"a": [1, null, true]}'),
        ("jsonb", "list", "[1, 2]"),
        ("jsonb", "true", "true"),
        ("jsonb", "text", "22P02"),
        ("jsonb", "number text", "17"),
        ("jsonb", "json half", "22P02"),
        ("jsonb", "json bytes half", "22P02"),
        ("jsonb", "json nul", "22P05"),
        ("jsonb", "json deep", "54001"),
        ("jsonb", "bytes", "22021"),
        ("jsonb", "bytes nul", "22021"),
        ("jsonb", "nan", "22032"),
        ("jsonb", "dict of objects", "22032"),
        ("jsonb", "dict of surrogates", "22032"),
        ("hostile_domain", "int", "42"),
        ("hostile_domain", "zero", "23514"),
        ("hostile_enum", "text", "text"),
        ("hostile_enum", "empty", "22P02"),
    ],
)
def test_value(
    type_name: str, value: str, expected: str, typed: psycopg.Connection, shared_table: Callable[..., str]
) -> None:
    name = shared_table(f"the_column {type_name}", values=value)
    typed.execute("set timezone to 'UTC'")
    try:
        row = typed.execute(f"select the_column::text from {name} limit 1").fetchone()
        outcome = row and row[0]
    except psycopg.Error as error:
        outcome = error.sqlstate
    assert outcome == expected


def test_the_error_names_everything(shared_db: psycopg.Connection, shared_table: Callable[..., str]) -> None:
    name = shared_table("a text, b timestamptz", values="set")
    with pytest.raises(psycopg.Error) as caught:
        shared_db.execute(f"select b from {name}")
    assert caught.value.diag.message_primary == (
        f'column "b" of foreign table "{name}" is timestamp with time zone, which a Python set cannot become'
    )


@pytest.mark.parametrize(
    ("rows_like", "message"),
    [
        ("short", "has 1 values, but 2 columns were asked for"),
        ("long", "has 3 values, but 2 columns were asked for"),
        ("empty", "has 0 values, but 2 columns were asked for"),
        ("list", "is a Python list, not a tuple"),
        ("none", "is a Python NoneType, not a tuple"),
        ("dict", "is a Python dict, not a tuple"),
        ("text", "is a Python str, not a tuple"),
    ],
)
def test_rows_of_a_wrong_form(
    rows_like: str, message: str, shared_db: psycopg.Connection, shared_table: Callable[..., str]
) -> None:
    name = shared_table("a text, b text", rows_like=rows_like)
    with pytest.raises(psycopg.Error, match=message) as caught:
        shared_db.execute(f"select a, b from {name}")
    assert caught.value.sqlstate in ("HV004", "HV021")
    assert name in str(caught.value)


@pytest.mark.parametrize("batch_like", ["none", "int", "generator", "text", "dict"])
def test_batches_of_a_wrong_form(
    batch_like: str, shared_db: psycopg.Connection, shared_table: Callable[..., str]
) -> None:
    with pytest.raises(psycopg.Error, match="not a list of rows"):
        shared_db.execute(f"select id from {shared_table(batch_like=batch_like)}")


def test_a_row_of_10_mb_values(shared_db: psycopg.Connection, shared_table: Callable[..., str]) -> None:
    name = shared_table("a text, b text", rows_like="huge", rows=8)
    assert shared_db.execute(f"select sum(length(a) + length(b)) from {name}").fetchone() == (160_000_000,)


@pytest.mark.parametrize(
    "size",
    [
        "(-1, 8, 1)",
        "(float('nan'), 8, 1)",
        "(float('inf'), 8, 1)",
        "('a', 8, 1)",
        "None",
        "(1, 8)",
        "(1, 8, -1)",
    ],
)
def test_estimates_of_a_wrong_form(
    size: str, shared_db: psycopg.Connection, shared_table: Callable[..., str]
) -> None:
    with pytest.raises(psycopg.Error, match=r"size\(\)|width\(\)"):
        shared_db.execute(f"select id from {shared_table(size=size)}")


@pytest.mark.parametrize("size", ["(10**300, 10**9, 10**300)", "(0, 0, 0)", "(True + 1, 3, 1)"])
def test_estimates_beyond_reason(
    size: str, shared_db: psycopg.Connection, shared_table: Callable[..., str]
) -> None:
    assert len(shared_db.execute(f"select id from {shared_table(size=size)} order by 1").fetchall()) == 3


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("paths", "[1]"),
        ("paths", "[(('id',), 'x')]"),
        ("paths", "[((1,), 1)]"),
        ("paths", "7"),
        ("sorts", "[1, 2, 3]"),
        ("sorts", "keys + keys"),
        ("sorts", "None"),
        ("lines", "[('a',)]"),
        ("lines", "[(1, 2)]"),
        ("lines", "'ab'"),
    ],
)
def test_answers_of_a_wrong_form(
    option: str, text: str, shared_db: psycopg.Connection, shared_table: Callable[..., str]
) -> None:
    with pytest.raises(psycopg.Error) as caught:
        shared_db.execute(f"explain select id from {shared_table(**{option: text})} order by created")
    assert caught.value.sqlstate == "HV000"


def test_unknown_columns_in_path_keys_are_passed_over(
    shared_db: psycopg.Connection, shared_table: Callable[..., str]
) -> None:
    name = shared_table(paths="[(('nowhere', 'id'), 1), ((), 1), (('id', 'id'), 1)]")
    assert shared_db.execute(f"select count(*) from {name} join t using (id)").fetchone() == (3,)
