"""The names of servers, and those in the scripts that are run for one."""

from __future__ import annotations

import pytest

from stripe_fdw.database.schemas import Schemas
from stripe_fdw.database.servers import check_names
from stripe_fdw.database.sql_scripts import substitute
from stripe_fdw.errors import OptionError


@pytest.mark.parametrize(
    ("names", "variable", "label", "option"),
    [
        (Schemas(), "STRIPE_API_KEY", "customer", ""),
        (Schemas("stripe", "app"), "STRIPE_API_KEY", "customer", ""),
        (Schemas("acme", "stripe"), "STRIPE_API_KEY", "customer", ""),
        (Schemas("stripe_eu", "eu"), "STRIPE_API_KEY_STRIPE_EU", "stripe_eu.customer", " --server stripe_eu"),
        (Schemas("my-Ä", "eu"), "STRIPE_API_KEY_MY__", "my-Ä.customer", " --server 'my-Ä'"),
    ],
)
def test_all_names_follow_from_that_of_the_server_and_its_schema(
    names: Schemas, variable: str, label: str, option: str
) -> None:
    assert (names.key_variable, names.label("customer"), names.option) == (variable, label, option)
    assert names.all == (names.views, f"{names.views}_live", f"{names.views}_copy")


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ("", "needs no quotes"),
        ('a"b', "needs no quotes"),
        ("a'b", "needs no quotes"),
        ("Stripe", "needs no quotes"),
        ("a b\n", "needs no quotes"),
        ("1a", "needs no quotes"),
        ("é", "needs no quotes"),
        ("pg_stripe", "Postgres keeps names with pg_"),
        ("x" * 59, "would have 64 bytes"),
        ("stripe_sync", "has another use"),
        ("stripe_jobs", "has another use"),
        ("public", "has another use"),
    ],
)
def test_a_name_that_is_bad_for_a_schema_is_refused(schema: str, text: str) -> None:
    with pytest.raises(OptionError, match="cannot be the schema of a server") as caught:
        check_names(Schemas("stripe_eu", schema))
    assert text in str(caught.value.detail)
    assert "\n" not in caught.value.message
    check_names(Schemas("odd \"'; name", "x" * 58))


@pytest.mark.parametrize("server", ["", "x" * 64, "a\nb"])
def test_a_name_that_is_bad_for_a_server_is_refused(server: str) -> None:
    with pytest.raises(OptionError, match="is no name of a server"):
        check_names(Schemas(server, "stripe_eu"))


def test_a_script_takes_variables_as_psql_does() -> None:
    script = """select :"live".call(), :'live', '::text', x::"live" from :"other" """
    assert substitute(script, {"live": "a'b", "other": 'c"d'}) == (
        """select "a'b".call(), 'a''b', '::text', x::"live" from "c""d" """
    )
