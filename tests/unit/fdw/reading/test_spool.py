"""Pages that are held are the same pages, however many, and are read before the first is used."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from stripe_fdw.fdw.reading import spool
from stripe_fdw.fdw.reading.reader import Page
from stripe_fdw.fdw.reading.spool import SpooledPages


def source(count: int, read: list[int]) -> Iterator[Page]:
    for number in range(count):
        read.append(number)
        yield Page([{"id": f"cus_{number}", "text": "ä" * 50}], {"customer": f"c{number}"})


def plain(pages: Iterator[Page]) -> list[tuple[object, object]]:
    return [(page.objects, dict(page.fills)) for page in pages]


@pytest.mark.parametrize("count", [0, 1, 2, 30])
@pytest.mark.parametrize("room", [100, 10**6])
def test_held_pages_are_the_same(monkeypatch: pytest.MonkeyPatch, count: int, room: int) -> None:
    monkeypatch.setattr(spool, "_IN_MEMORY", room)
    pages = SpooledPages(source(count, []), resource="customer", held=True, lasting=True)
    assert plain(pages) == plain(source(count, []))


def test_all_are_read_before_the_first_is_used() -> None:
    read: list[int] = []
    pages = SpooledPages(source(5, read), resource="customer", held=True, lasting=True)
    assert read == []
    next(pages)
    assert read == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("before", [0, 1, 4, 5])
def test_the_rest_can_be_held_later(before: int) -> None:
    read: list[int] = []
    pages = SpooledPages(source(5, read), resource="customer", held=False, lasting=False)
    found = [next(pages) for _ in range(before)]
    assert len(read) == before
    pages.hold()
    pages.hold()
    assert read == [0, 1, 2, 3, 4]
    assert plain(iter(found)) + plain(pages) == plain(source(5, []))


def test_what_lasts_is_not_read_ahead() -> None:
    read: list[int] = []
    pages = SpooledPages(source(5, read), resource="customer", held=False, lasting=True)
    next(pages)
    pages.hold()
    assert read == [0]
