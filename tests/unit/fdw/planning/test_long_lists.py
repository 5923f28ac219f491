"""Lists of more values than are planned with."""

from __future__ import annotations

import pytest

from stripe_fdw.catalog import load
from stripe_fdw.errors import TooManyValuesError
from stripe_fdw.fdw.planning.quals import ANY, MAX_VALUES, Qual, normalise

COLUMNS = dict(load().resource["customer"].column)
MANY = [f"value_{n}" for n in range(MAX_VALUES + 1)]


def test_too_many_ids_are_refused_and_one_less_is_not() -> None:
    with pytest.raises(TooManyValuesError):
        normalise([Qual("id", ANY, MANY)], COLUMNS)
    assert normalise([Qual("id", ANY, MANY[1:])], COLUMNS) == (Qual("id", ANY, tuple(MANY[1:])),)


@pytest.mark.parametrize("qual", [Qual("email", ANY, MANY), Qual("id", "<> all", MANY)])
def test_other_long_lists_are_left_to_postgres(qual: Qual) -> None:
    assert normalise([qual], COLUMNS) == ()
