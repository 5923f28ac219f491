"""Ids, and what may stand in a path."""

from __future__ import annotations

from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stripe_fdw.object_ids import fits_path, is_safe_path

NO_SEGMENTS = [
    "",
    ".",
    "..",
    "a/..",
    "../a",
    "a/./b",
    "a//b",
    "/a",
    "a/",
    "a\\..\\b",
    "a\nb",
    "a\0",
    "x" * 501,
]


@pytest.mark.parametrize("identifier", NO_SEGMENTS)
def test_no_segment(identifier: str) -> None:
    assert not fits_path(identifier)
    if identifier.replace(".", ""):
        assert not is_safe_path(f"/v1/coupons/{quote(identifier, safe='')}")


@pytest.mark.parametrize("identifier", ["cus_1", "gold plan/1", "50%", "...", "a..b", "größe", "x" * 500])
def test_a_segment(identifier: str) -> None:
    assert fits_path(identifier)
    assert is_safe_path(f"/v1/coupons/{quote(identifier, safe='')}")


@given(st.lists(st.text(alphabet="%2eEfF5cC./a0\u00e9", min_size=1, max_size=9), min_size=1, max_size=4))
def test_a_safe_path_leads_nowhere_else_when_it_is_decoded(segments: list[str]) -> None:
    path = "/" + "/".join(segments)
    if is_safe_path(path):
        decoded = unquote(path, errors="strict").replace("\\", "/")
        assert not {".", ".."} & set(decoded.split("/")[1:])
