"""Whatever the quals: what a plan fetches holds every matching object, once, and in the order promised."""

from __future__ import annotations

import operator
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from stripe_fdw.catalog.model import Resource
from stripe_fdw.fdw.planning.planner import plan_read
from stripe_fdw.fdw.planning.quals import Qual, SortKey, normalise
from support import sample_resources as samples
from support.fake_stripe import FakeStripe, cell, plan_reader

START = 1_700_000_000
OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
NEWEST = SortKey("created", descending=True, nulls_first=True)


def population(table: str) -> list[dict[str, Any]]:
    """240 objects, newest first, several in one second."""
    objects = []
    for i in range(240):
        created = START - i // 3
        base = {"id": f"{samples.ALL[table].id_prefix}{i}", "created": created}
        objects.append(base | EXTRAS[table](i))
    return objects


EXTRAS: dict[str, Callable[[int], dict[str, Any]]] = {
    "customer": lambda i: {
        "email": [None, "a@b.c", "A@b.c", "d@e.f"][i % 4],
        "name": ["x", "y", ""][i % 3],
        "balance": i % 5 - 2,
        "delinquent": [True, False, None][i % 3],
        "metadata": {},
    },
    "subscription": lambda i: {
        "customer": [None, "cus_1", "cus_2", "cus_3"][i % 4],
        "status": ["active", "canceled", "paused"][i % 3],
        "items": {"data": []},
    },
    "price": lambda i: {
        "active": i % 2 == 0,
        "lookup_key": [None, "k1", "k2", "k3"][i % 4],
        "product": ["prod_1", "gold plan"][i % 2],
    },
}
OBJECTS = {table: population(table) for table in EXTRAS}
TEXTS: dict[str, list[str]] = {
    "id": [
        *(f"{prefix}_{number}" for prefix in ("cus", "sub", "price") for number in (1, 50, 170)),
        *("", "a b", "a/b", "..", "nope"),
    ],
    "email": ["a@b.c", "A@B.C", "d@e.f", "", "x"],
    "name": ["x", "y", "", "z"],
    "customer": ["cus_1", "cus_2", "nope", "", "no id"],
    "status": ["active", "canceled", "paused", "all", "mad", ""],
    "lookup_key": ["k1", "k2", "k3", "nope", ""],
    "product": ["prod_1", "gold plan", "", "nope"],
}
TIMES = st.builds(
    lambda seconds, micros: (
        datetime.fromtimestamp(START, UTC) + timedelta(seconds=seconds, microseconds=micros)
    ),
    st.integers(-85, 5),
    st.sampled_from([0, 0, 500_000]),
)


def values(column: str) -> st.SearchStrategy[Any]:
    if column == "created":
        return TIMES
    if column in ("active", "delinquent"):
        return st.booleans()
    if column == "balance":
        return st.integers(-3, 3)
    return st.sampled_from(TEXTS[column])


COLUMNS = {
    "customer": ["id", "created", "email", "name", "balance", "delinquent"],
    "subscription": ["id", "created", "customer", "status"],
    "price": ["id", "created", "active", "lookup_key", "product"],
}


@st.composite
def quals(draw: st.DrawFn, table: str) -> Qual:
    """Mostly conditions that something satisfies: on times, and with real values."""
    column = draw(st.sampled_from([*COLUMNS[table], "created", "created", "id"]))
    kind = draw(st.sampled_from(["one"] * 6 + ["any"] * 3 + ["null"]))
    if kind == "null":
        return Qual(column, draw(st.sampled_from(["is null", "is not null", "is not null"])))
    if kind == "any" or column == "id":
        items = draw(st.lists(st.one_of(values(column), values(column), st.none()), max_size=6))
        return Qual(column, "= any", tuple(items))
    if draw(st.integers(0, 30)) == 0:
        return Qual(column, "=", None)
    names = sorted(OPERATORS) if column != "created" else ["<", "<=", ">", ">=", "="]
    return Qual(column, draw(st.sampled_from(names)), draw(values(column)))


def holds(resource: Resource, qual: Qual, item: dict[str, Any]) -> bool:
    """As Postgres decides it."""
    value = cell(resource, qual.column, item)
    if qual.operator in ("is null", "is not null"):
        return (value is None) == (qual.operator == "is null")
    if value is None:
        return False
    if isinstance(qual.value, tuple):
        return value in [item for item in qual.value if item is not None]
    return qual.value is not None and OPERATORS[qual.operator](value, qual.value)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_every_matching_object_comes_exactly_once(data: st.DataObject) -> None:
    table = data.draw(st.sampled_from(sorted(EXTRAS)), label="table")
    conditions = data.draw(st.lists(quals(table), max_size=3), label="quals")
    ordered = data.draw(st.booleans(), label="ordered")
    limit = data.draw(st.sampled_from([None, None, 1, 7, 150]), label="limit")
    resource = samples.ALL[table]
    plan = plan_read(
        resource,
        normalise(conditions, dict(resource.column)),
        sortkeys=[NEWEST] if ordered else [],
        limit=limit,
        resources=samples.ALL,
    )
    stripe = FakeStripe(samples.ALL, OBJECTS)
    reader = plan_reader(stripe)
    fetched = [item for page in reader.pages(plan) for item in page.objects]
    matching = [item for item in fetched if all(holds(resource, qual, item) for qual in conditions)]
    expected = [item for item in OBJECTS[table] if all(holds(resource, qual, item) for qual in conditions)]
    assert sorted(item["id"] for item in matching) == sorted(item["id"] for item in expected)
    if ordered:
        assert [item["created"] for item in matching] == [item["created"] for item in expected]
