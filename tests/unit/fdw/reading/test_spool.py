"""Pages that are materialized are the same pages, however many, and are read before the first is used."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from stripe_fdw.fdw.reading import spool
from stripe_fdw.fdw.reading.page import ObjectPage
from stripe_fdw.fdw.reading.spool import SpooledPages


def source(count: int, read: list[int]) -> Iterator[ObjectPage]:
    for number in range(count):
        read.append(number)
        yield ObjectPage([{"id": f"cus_{number}", "text": "ä" * 50}], {"customer": f"c{number}"})


def plain(pages: Iterator[ObjectPage]) -> list[tuple[object, object]]:
    return [(page.objects, dict(page.constant_columns)) for page in pages]


@pytest.mark.parametrize("count", [0, 1, 2, 30])
@pytest.mark.parametrize("room", [100, 10**6])
def test_materialized_pages_are_the_same(monkeypatch: pytest.MonkeyPatch, count: int, room: int) -> None:
    monkeypatch.setattr(spool, "_MAX_MEMORY", room)
    pages = SpooledPages(source(count, []), resource="customer", materialized=True, unaffected=True)
    assert plain(pages) == plain(source(count, []))


def test_all_are_read_before_the_first_is_used() -> None:
    read: list[int] = []
    pages = SpooledPages(source(5, read), resource="customer", materialized=True, unaffected=True)
    assert read == []
    next(pages)
    assert read == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("before", [0, 1, 4, 5])
def test_the_rest_can_be_materialized_later(before: int) -> None:
    read: list[int] = []
    pages = SpooledPages(source(5, read), resource="customer", materialized=False, unaffected=False)
    before_the_write = [next(pages) for _ in range(before)]
    assert len(read) == before
    pages.materialize()
    pages.materialize()
    assert read == [0, 1, 2, 3, 4]
    assert plain(iter(before_the_write)) + plain(pages) == plain(source(5, []))


def test_pages_that_no_write_affects_are_not_read_ahead() -> None:
    read: list[int] = []
    pages = SpooledPages(source(5, read), resource="customer", materialized=False, unaffected=True)
    next(pages)
    pages.materialize()
    assert read == [0]
