"""Queries of the search API: what they say, and that they find every object that the quals select."""

# ruff: noqa: RUF001 - letters that look alike

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from stripe_fdw.catalog import load
from stripe_fdw.fdw.planning.quals import Qual, Unknown, normalise
from stripe_fdw.fdw.planning.search_query import MAX_QUERIES, SearchQueries, search_queries
from stripe_simulator.requests.search_query import parse_query

CUSTOMER = load().resource["customer"]
CHARGE = load().resource["charge"]


def inside(key: str, operator: str, value: object) -> Qual:
    return Qual("metadata", operator, value, (key,))


def planned(*quals: Qual) -> SearchQueries | None:
    return search_queries(CUSTOMER, normalise(quals, dict(CUSTOMER.column)))


def queries(*quals: Qual) -> list[str]:
    found = planned(*quals)
    return list(found.queries) if found else []


def finds(query: str, **customer: Any) -> bool:
    """What the simulator's search says of a customer."""
    return parse_query(query, CUSTOMER).matches({"metadata": {}, **customer})


QUERIES: list[tuple[list[Qual], list[str]]] = [
    ([inside("k", "=", "v")], ['metadata["k"]:"v"']),
    ([inside("org id-1_x", "=", 'a "b"')], ['metadata["org id-1_x"]:"a \\"b\\""']),
    ([inside("k", "= any", ("a", None, "b", "a"))], ['metadata["k"]:"a" OR metadata["k"]:"b"']),
    ([inside("k", "=", Unknown("$1"))], ['metadata["k"]:"$1"']),
    ([inside("k", "= any", Unknown("$1"))], ['metadata["k"]:"$1"']),
    ([inside("k", "=", "v"), Qual("name", "=", "x")], ['metadata["k"]:"v" AND name:"x"']),
    (
        [inside("k", "= any", ("a", "b")), Qual("created", ">", "2024-05-01T00:00Z")],
        ['metadata["k"]:"a" AND created>1714521600', 'metadata["k"]:"b" AND created>1714521600'],
    ),
    # One list of values is checked, and none where there is a better condition.
    ([inside("k", "=", "v"), inside("j", "= any", ("a", "b"))], ['metadata["k"]:"v"']),
    (
        [inside("k", "= any", tuple("abc")), inside("j", "= any", tuple("ab"))],
        ['metadata["j"]:"a" OR metadata["j"]:"b"'],
    ),
    ([Qual("name", "~~*", "%Ada_Lovel%")], ['name~"Ada" AND name~"Lovel"']),
    ([Qual("name", "~~*", "%MISSISSIPPI%")], []),
    ([Qual("name", "~~", "%MISSISSIPPI%")], ['name~"MISSISSIPPI"']),
    ([Qual("name", "~~", "a\\%bcd\\\\efg%")], ['name~"bcd" AND name~"efg"']),
    ([Qual("name", "~~", "abcd\\")], []),
    ([Qual("phone", "~~", "%5551234%")], []),  # no evidence that a search finds parts of these
    ([Qual("metadata", "@>", {"k": "v", "a.b": "x", "n": 1})], ['metadata["k"]:"v"']),
]


@pytest.mark.parametrize(("quals", "expected"), QUERIES)
def test_a_query_says_what_the_quals_say(quals: list[Qual], expected: list[str]) -> None:
    assert queries(*quals) == expected


NOT_SEARCHED = [
    *["", " a", "a ", "a  b", "a\tb", "a\nb", "a\\b", "...", "null", "NULL", "x" * 201, "\x7f", "\u2028a"],
]


@pytest.mark.parametrize("value", NOT_SEARCHED)
def test_what_a_search_may_not_find_is_not_searched_for(value: str) -> None:
    assert queries(inside("k", "=", value)) == []
    assert queries(inside("k", "= any", ("a", value))) == []
    assert queries(Qual("name", "=", value)) == []


@pytest.mark.parametrize("key", ["", " k", "k ", "a.b", 'a"b', "a'b", "a\\b", "a[0]", "ключ", "k" * 41])
def test_keys_that_may_be_read_otherwise_are_not_searched_for(key: str) -> None:
    assert queries(inside(key, "=", "v")) == []


def test_values_inside_json_that_are_no_texts_are_left_to_postgres() -> None:
    assert normalise([inside("k", "=", 5), inside("k", "= any", ("a", 5))], dict(CUSTOMER.column)) == ()
    assert normalise([Qual("name", "=", "v", ("k",))], dict(CUSTOMER.column)) == ()
    assert normalise([inside("k", "<", "v")], dict(CUSTOMER.column)) == ()


def test_quals_inside_json_print_as_sql() -> None:
    assert str(inside("it's", "=", "v")) == "metadata ->> 'it''s' = 'v'"
    nested = Qual("payment_method_details", "= any", ("1", "2"), ("card", "last4"))
    assert str(nested) == "payment_method_details -> 'card' ->> 'last4' = ANY ('1', '2')"
    found = search_queries(CHARGE, normalise([nested], dict(CHARGE.column)))
    assert found is not None
    field = "payment_method_details.card.last4"
    assert found.queries == (f'{field}:"1" OR {field}:"2"',)


def test_lists_are_cut_into_queries_and_very_long_ones_left() -> None:
    values = tuple(f"value {number}" for number in range(10 * MAX_QUERIES))
    found = queries(inside("k", "= any", values))
    assert len(found) == MAX_QUERIES
    assert [text for query in found for text in query.split(" OR ")] == [
        f'metadata["k"]:"{value}"' for value in values
    ]
    assert queries(inside("k", "= any", (*values, "one more"))) == []
    assert queries(inside("k", "= any", (*values, "one more")), Qual("name", "=", "x")) == ['name:"x"']


def test_a_query_has_few_clauses_and_no_more_bytes_than_an_address_takes() -> None:
    several = [inside(f"k{number}", "=", "v") for number in range(12)]
    found = planned(*several)
    assert found is not None
    assert found.queries[0].count(" AND ") == 9
    assert found.quals == tuple(several[:10])
    long = [inside(f"k{number}", "=", "ю" * 200) for number in range(3)]
    found = planned(*long)
    assert found is not None
    assert found.queries[0].count(" AND ") == 0
    many = queries(inside("k", "= any", tuple("ю" * 190 + str(number) for number in range(5))))
    assert [query.count(" OR ") for query in many] == [0] * 5


TEXTS = st.text(st.characters(codec="utf-8"), max_size=30) | st.sampled_from(
    ['"', '\\"', "a\\", 'x" OR metadata["k"]:"y', "' AND '", '" -name:"', "null", "%", "]:", "𝒳 \u0000"]
)


@given(TEXTS, TEXTS, st.sampled_from(["k", "a-b c", "K_1"]))
def test_an_object_with_just_this_value_is_found_whatever_it_is(value: str, other: str, key: str) -> None:
    for query in queries(inside(key, "=", value)):
        assert finds(query, metadata={key: value})
        assert finds(query, metadata={key: other}) is (other.casefold() == value.casefold())
        assert not finds(query, metadata={"other": value})
    for query in queries(Qual("name", "=", value)):
        assert finds(query, name=value)


@given(st.lists(TEXTS, max_size=25), TEXTS)
def test_an_object_with_one_of_the_values_is_found_by_one_of_the_queries(
    values: list[str], name: str
) -> None:
    found = queries(inside("k", "= any", tuple(values)), Qual("name", "=", name))
    for value in values if found else []:
        assert any(finds(query, metadata={"k": value}, name=name) for query in found)


@st.composite
def patterns(draw: st.DrawFn) -> tuple[str, str]:
    """A text, and a LIKE pattern that it matches."""
    text = draw(st.text(st.sampled_from("abcdiIİıKkRrstz019 .%_\\\"'é-"), max_size=30))
    pattern, at = "", 0
    while at < len(text):
        end = draw(st.integers(at + 1, len(text)))
        kind = draw(st.sampled_from(["text", "text", "%", "_"]))
        if kind == "text":
            part = text[at:end]
            pattern += part.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        else:
            pattern += kind if kind == "%" else "_" * (end - at)
        at = end
    return text, pattern


@given(patterns(), st.booleans())
def test_an_object_that_matches_a_pattern_is_found(case: tuple[str, str], swapped: bool) -> None:
    text, pattern = case
    assume(text)
    for query in queries(Qual("name", "~~", pattern)):
        assert finds(query, name=text)
    # Whatever a collation says of letter case, that of ASCII but for i is everywhere the same.
    table = str.maketrans("abcdkrstzABCDKRSTZ", "ABCDKRSTZabcdkrstz") | {ord("i"): "İ", ord("I"): "ı"}
    for query in queries(Qual("name", "~~*", pattern)):
        assert finds(query, name=text.translate(table) if swapped else text)


def test_what_is_selective_comes_before_lists_by_states() -> None:
    found = planned(inside("k", "=", "v"))
    assert found is not None
    assert found.selective
    amounts = search_queries(CHARGE, normalise([Qual("amount", ">", 5)], dict(CHARGE.column)))
    assert amounts is not None
    assert not amounts.selective
    currencies = [Qual("amount", ">", 5), Qual("status", "= any", ("failed", "pending"))]
    either = search_queries(CHARGE, normalise(currencies, dict(CHARGE.column)))
    assert either is not None
    assert either.queries == ('status:"failed" AND amount>5', 'status:"pending" AND amount>5')


def test_no_value_is_no_value() -> None:
    assert inside("k", "= any", ()).is_never_true
    assert inside("k", "= any", (None,)).is_never_true
    assert inside("k", "=", None).is_never_true
    assert not inside("k", "= any", ("a", None)).is_never_true
