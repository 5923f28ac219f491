"""Hints name the tables that a statement is about, whatever their names and values are."""

from __future__ import annotations

from stripe_fdw.catalog import load
from stripe_fdw.fdw.schema.options import MergedOptions
from stripe_fdw.fdw.schema.table_names import UNNAMED, TableNames


def named(schema: str, table: str) -> TableNames:
    """The names of a table of invoices that a host has found."""
    options = MergedOptions({"object": "invoice"})
    options.schema, options.table = schema, table
    return TableNames.of(options)


def test_a_table_has_its_own_name_and_those_beside_it_their_resources() -> None:
    names = named("eu_live", '"Rechnung"')
    assert names.qualified("invoice") == 'eu_live."Rechnung"'
    assert names.qualified("refund") == "eu_live.refund"
    assert names.qualified("call") == "eu_live.call"


def test_no_schema_is_named_where_the_host_says_none() -> None:
    assert TableNames.of({"object": "invoice"}) is UNNAMED
    assert named("", "invoice") is UNNAMED
    assert UNNAMED.qualified("invoice") == "<schema>.invoice"


def test_what_is_put_into_a_hint_is_not_searched_again() -> None:
    names = named('"{id}"', '"stripe_live.refund"')
    hint = "UPDATE stripe_live.invoice SET x = {id}; INSERT INTO stripe_live.refund ({other});"
    assert names.in_hint(hint, {"id": "'stripe_live.charge {id}'"}) == (
        """UPDATE "{id}"."stripe_live.refund" SET x = 'stripe_live.charge {id}';"""
        """ INSERT INTO "{id}".refund ({other});"""
    )


def test_every_table_that_the_hints_of_the_catalog_name_is_one() -> None:
    for resource in load().resources:
        for _, hint in resource.hints:
            replaced = TableNames("eu_live").in_hint(hint)
            assert "stripe_live" not in replaced
            names = [word.partition(" ")[0] for word in replaced.split("eu_live.")[1:]]
            tables = [name.strip(",.") for name in names if not name.startswith("call(")]
            assert set(tables) <= set(load().resource), hint
