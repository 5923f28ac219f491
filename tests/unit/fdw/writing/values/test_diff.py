"""The parameters of a change, merged into the old object as Stripe does, yield the new object."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from stripe_fdw.api.request import Request
from stripe_fdw.catalog.model import Kind, Parameter
from stripe_fdw.fdw.writing.values.diff import difference
from stripe_fdw.fdw.writing.values.nested import OMIT, encode
from stripe_simulator.requests.forms import parse

NAMES = st.sampled_from(["a", "b", "c", "name", "city"])
LEAVES = st.one_of(st.none(), st.integers(-5, 5), st.sampled_from(["x", "y", "z ä&=[]"]), st.booleans())
LISTS = st.lists(st.sampled_from(["x", "y"]), min_size=1, max_size=3)
OBJECTS: st.SearchStrategy[dict[str, Any]] = st.recursive(
    st.dictionaries(NAMES, st.one_of(LEAVES, LISTS), max_size=4),
    lambda below: st.dictionaries(NAMES, st.one_of(LEAVES, LISTS, below), max_size=4),
    max_leaves=8,
)
METADATA = st.dictionaries(NAMES, st.one_of(st.none(), st.sampled_from(["1", "2", "3"])), max_size=5)
UNSETTABLE = Parameter("x", Kind.JSON, unsettable=True)


def as_text(value: Any) -> Any:
    """A value in form encoding, without null or empty parts, which are the same in Stripe."""
    if isinstance(value, dict):
        texts = {key: as_text(item) for key, item in value.items()}
        return {key: item for key, item in texts.items() if item is not None} or None
    if isinstance(value, list):
        return [as_text(item) for item in value] or None
    if isinstance(value, bool):
        return "true" if value else "false"
    return None if value in (None, "") else str(value)


def received(sent: Any) -> Any:
    """The value that Stripe receives for the parameter x."""
    return parse(Request.of("POST", "/", {"x": sent}).query).get("x", {})


def merged(before: Any, sent: Any) -> Any:
    """Merge objects key by key: empty values remove the old one, all others replace it."""
    if not isinstance(sent, dict) or not isinstance(before, dict):
        return sent
    return before | {key: merged(before.get(key), value) for key, value in sent.items()}


@settings(max_examples=400, deadline=None)
@given(old=OBJECTS, new=OBJECTS)
def test_the_old_object_becomes_the_new_one(old: dict[str, Any], new: dict[str, Any]) -> None:
    parameters = difference("x", old, new, UNSETTABLE)
    result = as_text(old) if parameters is OMIT else merged(as_text(old) or {}, received(parameters))
    assert as_text(result) == as_text(new)


@settings(max_examples=200, deadline=None)
@given(value=OBJECTS)
def test_nothing_is_sent_for_what_is_the_same(value: dict[str, Any]) -> None:
    assert difference("x", value, value, UNSETTABLE) is OMIT
    assert difference("x", value, value | {"new": None}, UNSETTABLE) is OMIT


@settings(max_examples=200, deadline=None)
@given(value=OBJECTS)
def test_a_created_object_arrives_as_it_is(value: dict[str, Any]) -> None:
    parameters = encode("x", value)
    assert as_text({} if parameters is OMIT else received(parameters)) == as_text(value)


@settings(max_examples=200, deadline=None)
@given(old=METADATA, new=METADATA)
def test_metadata_is_replaced(old: dict[str, Any], new: dict[str, Any]) -> None:
    before = {key: value for key, value in old.items() if value is not None}
    parameters = difference("metadata", before, new)
    if parameters is OMIT:
        result: Any = before
    else:
        result = {} if parameters == "" else merged(before, parameters)
    assert as_text(result) == as_text(new)
