"""Which operation a change of a column is, and what an impossible one says."""

from __future__ import annotations

from typing import Any

import pytest

from stripe_fdw.catalog import load
from stripe_fdw.catalog.model import ANY, Column, Kind, Operation, Resource, Transition
from stripe_fdw.fdw.states import impossible, literal, possible, reachable, state, transition

OPERATIONS = {
    name: Operation(name, "POST", f"/v1/things/{{id}}/{name}") for name in ("open", "shut", "link", "send")
}
THING = Resource(
    name="thing",
    object="thing",
    area="core",
    list_path="/v1/things",
    columns=(Column("id", Kind.TEXT, ("id",)), Column("status", Kind.TEXT, ("status",))),
    transitions=(
        Transition("status", "open", OPERATIONS["open"], ("new", "shut")),
        Transition("status", "open", OPERATIONS["send"], ("lost",)),
        Transition("status", "shut", OPERATIONS["shut"]),
        Transition("owner", None, OPERATIONS["shut"]),
        Transition("owner", ANY, OPERATIONS["link"], sends="owner"),
        Transition("live", "false", OPERATIONS["shut"], ("true",)),
    ),
)


@pytest.mark.parametrize(
    ("column", "old", "new", "operation"),
    [
        ("status", "new", "open", "open"),
        ("status", "lost", "open", "send"),
        ("status", "other", "open", None),
        ("status", None, "open", None),
        ("status", "new", "shut", "shut"),
        ("status", None, "shut", "shut"),
        ("status", "new", "wrong", None),
        ("status", "new", None, None),
        ("owner", "cus_1", None, "shut"),
        ("owner", None, "cus_1", "link"),
        ("owner", {"id": "cus_1"}, "cus_2", "link"),
        ("live", True, False, "shut"),
        ("live", False, True, None),
        ("other", "a", "b", None),
    ],
)
def test_the_first_that_fits_is_taken(column: str, old: Any, new: Any, operation: str | None) -> None:
    found = transition(THING, column, old, new)
    assert (found.operation.name if found else None) == operation


def test_states_are_texts() -> None:
    values: list[Any] = [True, False, None, "open", 5, {"id": "cus_1"}]
    assert list(map(state, values)) == ["true", "false", None, "open", "5", "cus_1"]


def test_states_as_sql_writes_them() -> None:
    values = [None, "true", "open", "o'pen"]
    assert list(map(literal, values)) == ["NULL", "true", "'open'", "'o''pen'"]


@pytest.mark.parametrize(
    ("column", "old", "expected"),
    [
        ("status", "new", ["'open'", "'shut'"]),
        ("status", "lost", ["'open'", "'shut'"]),
        ("status", "shut", ["'open'"]),
        ("status", "gone", ["'shut'"]),
        ("owner", "cus_1", ["NULL"]),
        ("other", "x", []),
    ],
)
def test_what_a_state_can_become(column: str, old: str, expected: list[str]) -> None:
    assert possible(THING, column, old) == expected


def test_what_can_be_reached_at_all() -> None:
    assert reachable(THING, "status") == ["'open'", "'shut'"]


def test_an_impossible_change_names_the_possible_ones() -> None:
    error = impossible(THING, "th_1", "status", "gone", "open")
    assert str(error) == (
        "\"status\" of thing th_1 cannot go from 'gone' to 'open'\n"
        "DETAIL: From 'gone' it can become 'shut'. 'open' can be reached from 'lost', 'new', 'shut'."
    )
    assert error.sqlstate == "55000"


def test_what_was_probably_meant_is_hinted_at_and_nothing_else() -> None:
    invoice = load().resource["invoice"]
    meant = impossible(invoice, "in_1", "status", "open", "voided")
    assert meant.hint == "UPDATE stripe_live.invoice SET status = 'void' WHERE id = 'in_1';"
    assert impossible(invoice, "in_1", "status", "open", "draft").hint is None


def test_a_state_that_nothing_leads_on_from() -> None:
    error = impossible(load().resource["invoice"], "in_1", "status", "void", "draft")
    assert error.detail == "Nothing leads on from 'void'."
    assert error.hint is None


@pytest.mark.parametrize(
    "resource", [item for item in load().resources if item.transitions], ids=lambda item: item.name
)
def test_every_state_change_of_the_catalog_is_found_from_where_it_starts(resource: Resource) -> None:
    for item in resource.transitions:
        new = "x_new" if item.value == ANY else item.value
        for source in item.sources or ("x_old",):
            found = transition(resource, item.column, source, new)
            assert found is not None
            assert (found.column, found.value) in {(item.column, item.value), (item.column, ANY)}
