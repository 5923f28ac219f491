"""Numbers of JSON keep their digits."""

from __future__ import annotations

from decimal import Decimal

import pytest

from stripe_fdw import exact_json


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("-7", -7),
        ("1.50", Decimal("1.50")),
        ("12345678901234567890", Decimal("12345678901234567890")),
        ("0.12345678901234567890", Decimal("0.12345678901234567890")),
        ('{"a": [true, null, "x"]}', {"a": [True, None, "x"]}),
    ],
)
def test_digits_are_kept_both_ways(text: str, value: object) -> None:
    assert exact_json.loads(text) == value
    assert exact_json.dumps(value).decode() == text.replace(" ", "")


def test_no_exponent_is_written() -> None:
    assert exact_json.dumps({"a": [Decimal("1E+3"), Decimal("1E-7")]}) == b'{"a":[1000,0.0000001]}'


@pytest.mark.parametrize("text", ["", "{", "NaN", "[1,]", "Infinity", "\x00"])
def test_invalid_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each with a message of its own
        exact_json.loads(text)


@pytest.mark.parametrize("text", ["1e1001", "-1e-1001", "[" + "1" * 1002 + "]", "1e99999999999999999999"])
def test_a_number_out_of_range_is_refused(text: str) -> None:
    with pytest.raises(OverflowError):
        exact_json.loads(text)


@pytest.mark.parametrize("value", [Decimal("NaN"), Decimal("Infinity"), object()])
def test_values_that_json_does_not_have_are_not_written(value: object) -> None:
    with pytest.raises(TypeError):
        exact_json.dumps(value)


@pytest.mark.parametrize(("begin", "end"), [("[", "]"), ('{"a":', "}")])
def test_what_is_read_can_be_written_again_and_what_is_deeper_is_refused(begin: str, end: str) -> None:
    deepest = f"{begin * exact_json.MAX_DEPTH}1{end * exact_json.MAX_DEPTH}"
    assert exact_json.dumps(exact_json.loads(deepest)).decode() == deepest
    for depth in (exact_json.MAX_DEPTH + 1, 990, 100_000):
        with pytest.raises(exact_json.TooDeepError):
            exact_json.loads(f"{begin * depth}1{end * depth}")


@pytest.mark.parametrize(
    "text",
    [
        "[" + "1," * exact_json.MAX_VALUES + "1]",
        "[" + "[]," * exact_json.MAX_VALUES + "1]",
        '{"a":[' + ",".join(f'{{"b":{n}}}' for n in range(exact_json.MAX_VALUES)) + "]}",
        '"' + "a" * 17_000_000 + '"',
    ],
    ids=["numbers", "lists", "objects", "a long text"],
)
def test_more_than_the_largest_size_is_refused(text: str) -> None:
    with pytest.raises(exact_json.TooLargeError):
        exact_json.loads(text)


def test_a_large_value_is_read() -> None:
    assert len(exact_json.loads("[" + "1," * (exact_json.MAX_VALUES - 3) + "1]")) == exact_json.MAX_VALUES - 2
