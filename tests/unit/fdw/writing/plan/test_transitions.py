"""Changes of state columns map to operations; impossible changes are errors."""

from __future__ import annotations

from typing import Any

import pytest

from stripe_fdw.catalog import load
from stripe_fdw.catalog.model import ANY_VALUE, Column, Kind, Operation, Resource, Transition
from stripe_fdw.fdw.schema.table_names import TableNames
from stripe_fdw.fdw.writing.plan.transitions import (
    find_transition,
    reachable_states,
    state_literal,
    state_text,
    target_states,
    transition_error,
)
from support.cases import each

LIVE = TableNames("stripe_live")
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
        Transition("owner", ANY_VALUE, OPERATIONS["link"], value_parameter="owner"),
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
    transition = find_transition(THING, column, old, new)
    assert (transition.operation.name if transition else None) == operation


def test_states_are_texts() -> None:
    values: list[Any] = [True, False, None, "open", 5, {"id": "cus_1"}]
    assert list(map(state_text, values)) == ["true", "false", None, "open", "5", "cus_1"]


def test_states_as_sql_writes_them() -> None:
    values = [None, "true", "open", "o'pen"]
    assert list(map(state_literal, values)) == ["NULL", "true", "'open'", "'o''pen'"]


@pytest.mark.parametrize(
    ("column", "old", "expected"),
    [
        ("status", "new", ["open", "shut"]),
        ("status", "lost", ["open", "shut"]),
        ("status", "shut", ["open"]),
        ("status", "gone", ["shut"]),
        ("owner", "cus_1", [None]),
        ("other", "x", []),
    ],
)
def test_the_states_that_can_be_reached_from_one(column: str, old: str, expected: list[str | None]) -> None:
    assert reachable_states(THING, column, old) == expected


def test_the_states_that_can_be_reached_from_any() -> None:
    assert target_states(THING, "status") == ["open", "shut"]


def test_an_impossible_change_names_the_possible_ones() -> None:
    error = transition_error(THING, LIVE, "th_1", "status", "gone", "open")
    assert str(error) == (
        "\"status\" of thing th_1 cannot go from 'gone' to 'open'\n"
        "DETAIL: From 'gone' it can become 'shut'. 'open' can be reached from 'lost', 'new', 'shut'."
    )
    assert error.sqlstate == "55000"


def test_a_similar_state_is_hinted_at_only_where_it_can_be_reached() -> None:
    invoice = load().resource["invoice"]
    meant = transition_error(invoice, LIVE, "in_1", "status", "open", "viod")
    assert meant.hint == "UPDATE stripe_live.invoice SET status = 'void' WHERE id = 'in_1';"
    assert transition_error(invoice, LIVE, "in_1", "status", "open", "draft").hint is None


def test_a_state_that_nothing_leads_on_from() -> None:
    error = transition_error(load().resource["invoice"], LIVE, "in_1", "status", "void", "draft")
    assert error.detail == "No change from 'void' is possible."
    assert error.hint is None


CHANGING = each(
    "resource", [item for item in load().resources if item.transitions], ids=lambda item: item.name
)
STATES = {
    value
    for resource in load().resources
    for item in resource.transitions
    for value in (item.value, *item.sources, *resource.column[item.column].values)
    if value not in (None, ANY_VALUE)
}
"""The states of all tables."""


@CHANGING
def test_no_hint_names_an_operation_for_a_word_that_is_a_state(resource: Resource) -> None:
    for column in {item.column for item in resource.transitions}:
        for old in (None, *resource.column[column].values, "x_other"):
            for wanted in {*STATES, "captured", "closed", "payed", "authorized", "finalized", "ended"}:
                hint = str(transition_error(resource, LIVE, "x_1", column, old, wanted).hint)
                assert f"UPDATE stripe_live.{resource.name} " not in hint, (old, wanted, hint)


def test_values_other_than_text_are_shown_as_json() -> None:
    customer = load().resource["customer"]
    error = transition_error(customer, LIVE, "cus_1", "discount", None, {"coupon": "X", "n": [True, None]})
    assert """from NULL to '{"coupon":"X","n":[true,null]}'""" in error.message
    assert "UPDATE stripe_live.subscription SET discounts" in str(error.hint)


@CHANGING
def test_a_value_with_one_wrong_letter_is_hinted_at_with_its_statement(resource: Resource) -> None:
    for item in resource.transitions:
        if item.value in (None, ANY_VALUE, "true", "false"):
            continue
        word, fields = str(item.value), {name: values[0] for name, values in item.conditions}
        for typo in (word[1:], word[:-1], "x" + word, word[:2] + "x" + word[3:], word[1::-1] + word[2:]):
            old = item.sources[0] if item.sources else "x_old"
            error = transition_error(resource, LIVE, "x_1", item.column, old, typo, fields)
            expected = f"SET {item.column} = '{word}' WHERE id = 'x_1';"
            assert str(error.hint).endswith(expected), (typo, error.hint)


INTENT = load().resource["payment_intent"]


@pytest.mark.parametrize(
    ("capture_method", "reached"),
    [
        ("manual", {"requires_capture", "canceled"}),
        ("automatic", {"succeeded", "processing", "canceled"}),
        ("automatic_async", {"succeeded", "processing", "canceled"}),
        (None, {"canceled"}),
    ],
)
def test_whether_a_payment_is_taken_or_held_is_asked_before(
    capture_method: str | None, reached: set[str]
) -> None:
    fields = {"capture_method": capture_method}
    assert set(reachable_states(INTENT, "status", "requires_confirmation", fields)) == reached
    for value in INTENT.column["status"].values:
        transition = find_transition(INTENT, "status", "requires_confirmation", value, fields)
        assert (transition is not None) == (value in reached)


def test_columns_that_a_transition_needs_are_named() -> None:
    fields = {"capture_method": "automatic_async"}
    error = transition_error(
        INTENT, LIVE, "pi_1", "status", "requires_confirmation", "requires_capture", fields
    )
    assert error.sqlstate == "55000"
    assert "'requires_capture' needs capture_method = 'manual'; it is 'automatic_async'." in str(error.detail)
    assert error.hint == "Set capture_method = 'manual' in the same UPDATE."


def test_a_held_payment_hints_at_how_to_take_it() -> None:
    fields = {"capture_method": "manual"}
    error = transition_error(INTENT, LIVE, "pi_1", "status", "requires_confirmation", "succeeded", fields)
    assert error.hint is None
    assert "it can become 'canceled', 'requires_capture'." in str(error.detail)
    assert "'succeeded' can be reached from 'requires_capture'." in str(error.detail)


@CHANGING
def test_every_state_change_of_the_catalog_is_found_from_where_it_starts(resource: Resource) -> None:
    for item in resource.transitions:
        new = "x_new" if item.value == ANY_VALUE else item.value
        for source in item.sources or ("x_old",):
            fields = {name: values[0] for name, values in item.conditions}
            transition = find_transition(resource, item.column, source, new, fields)
            assert transition is not None
            assert (transition.column, transition.value) in {
                (item.column, item.value),
                (item.column, ANY_VALUE),
            }
