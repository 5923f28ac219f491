"""IMPORT FOREIGN SCHEMA gives the catalog's tables, and names what it does not know."""

from __future__ import annotations

import pytest

from stripe_fdw.catalog import load
from stripe_fdw.errors import OptionError, TableError
from stripe_fdw.fdw.backend.standalone import PlainColumn
from stripe_fdw.fdw.schema.columns import check_columns, comparable_columns
from stripe_fdw.fdw.schema.import_schema import FUNCTION_TABLES, create_statement, imported_tables


def names(schema: str, *restriction: object) -> list[str]:
    return [table.name for table in imported_tables(schema, {}, *(restriction or (None, [])))]  # type: ignore[arg-type]


def test_everything() -> None:
    assert names("stripe") == [*(resource.name for resource in load().resources), *FUNCTION_TABLES]


def test_an_area_has_its_own_tables_and_no_machinery() -> None:
    in_areas = [name for area in load().areas for name in names(area)]
    assert sorted(in_areas) == sorted(resource.name for resource in load().resources)


def test_limit_to_and_except() -> None:
    assert names("stripe", "limit to", ["customer", "invoice", "customer"]) == ["customer", "invoice"]
    assert set(names("core")) - set(names("core", "except", ["customer"])) == {"customer"}


def test_unknown_schemas_tables_and_options_are_named() -> None:
    with pytest.raises(TableError, match='"strip"') as caught:
        names("strip")
    assert "billing" in (caught.value.detail or "")
    with pytest.raises(TableError, match='"custmer"') as caught:
        names("stripe", "limit to", ["custmer"])
    assert "customer" in (caught.value.detail or "")
    with pytest.raises(OptionError, match='"fast"'):
        imported_tables("stripe", {"fast": "1"}, None, [])


def test_a_statement_quotes_what_it_names() -> None:
    (table,) = imported_tables("stripe", {}, "limit to", ["customer"])
    text = create_statement(table, 'my "server"')
    assert text.startswith('CREATE FOREIGN TABLE "customer" (\n  "id" text NOT NULL,')
    assert '"created" timestamp with time zone' in text
    assert '"_raw" jsonb' in text
    assert text.endswith("""SERVER "my ""server\""" OPTIONS ("object" 'customer')""")


def test_every_imported_table_passes_its_own_checks_and_pushes_all_its_filters() -> None:
    for table in imported_tables("stripe", {}, None, []):
        resource = load().resource.get(table.name)
        if resource is not None:
            definitions = [PlainColumn(name, type_name) for name, type_name in table.columns]
            check_columns(resource, definitions)
            assert set(comparable_columns(resource, definitions)) >= {
                item.column for item in resource.filters
            }
