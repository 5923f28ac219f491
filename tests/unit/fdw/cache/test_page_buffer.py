"""Page buffers replay the pages of a source to all readers of an executor run, whatever the source is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from stripe_fdw.errors import Interrupted
from stripe_fdw.fdw.cache.page_buffer import CachePolicy, Objects
from stripe_fdw.fdw.cache.requester import ActiveReader, Requester
from stripe_fdw.fdw.cache.response_cache import ResponseCache

PAGES = [[{"id": f"cus_{page}{number}"} for number in range(3)] for page in range(5)]
NEVER_CACHED = CachePolicy(0.0, lambda: ())


class OpenNumbers(Iterator[Objects]):
    """Pages as they come from a source; each is checked for a cancel on behalf of the active reader."""

    def __init__(self, source: Numbers, reader: ActiveReader, pages: list[Objects]) -> None:
        self._source, self._reader, self._pages = source, reader, iter(pages)
        self._is_open = True

    def __next__(self) -> Objects:
        self._reader.check()
        page = next(self._pages)
        self._source.read.append(page[0]["id"])
        return page

    def close(self) -> None:
        self._source.closed += self._is_open
        self._is_open = False


class Numbers:
    """A page source that lists the pages which were opened, read and closed."""

    def __init__(self) -> None:
        self.opened_after: list[str | None] = []
        self.read: list[str] = []
        self.closed = 0

    def open(self, reader: ActiveReader, after: Objects) -> OpenNumbers:
        last = after[-1]["id"] if after else None
        self.opened_after.append(last)
        start = 0 if last is None else 1 + next(n for n, page in enumerate(PAGES) if page[-1]["id"] == last)
        return OpenNumbers(self, reader, PAGES[start:])


@pytest.fixture
def cache() -> ResponseCache:
    cache = ResponseCache(lambda: 1)
    cache.begin_node()
    return cache


def read(cache: ResponseCache, source: Numbers, requester: Requester, **options: Any) -> Iterator[Objects]:
    buffer = cache.buffer(
        cache.executor_run(),
        "key",
        source,
        requester,
        options.pop("policy", NEVER_CACHED),
        **{"ordered": True, **options},
    )
    return buffer.replay(requester, source)


def test_the_first_request_is_sent_at_once_and_pages_are_read_as_they_are_needed(
    cache: ResponseCache,
) -> None:
    source = Numbers()
    pages = read(cache, source, Requester(lambda: None))
    assert (source.opened_after, source.read) == ([None], [])
    assert next(pages) == PAGES[0]
    assert source.read == ["cus_00"]


def test_all_readers_of_a_run_share_one_source(cache: ResponseCache) -> None:
    sources, requesters = [Numbers(), Numbers()], [Requester(lambda: None) for _ in range(2)]
    first, second = (read(cache, *pair) for pair in zip(sources, requesters, strict=True))
    assert next(first) == PAGES[0]
    assert list(second) == PAGES
    assert list(first) == PAGES[1:]
    assert (sources[0].opened_after, sources[1].opened_after) == ([None], [])
    assert [requester.cost.cache_hits for requester in requesters] == [4, 1]


def test_a_request_ends_with_the_query_of_the_reader_that_waits_for_it(cache: ResponseCache) -> None:
    checks = iter([None, None, Interrupted("canceling statement due to user request")])

    def check() -> None:
        if error := next(checks):
            raise error

    source = Numbers()
    first = read(cache, source, Requester(lambda: None))
    assert next(first) == PAGES[0]
    second = read(cache, Numbers(), Requester(check))
    assert next(second) == PAGES[0]
    with pytest.raises(Interrupted):
        next(second)
    assert next(checks, "used") == "used"
    assert list(first) == PAGES[1:]
    assert source.opened_after == [None, "cus_02"]


def test_a_reader_that_is_behind_an_evicted_buffer_continues_after_its_last_object() -> None:
    cache = ResponseCache(lambda: 1, statement_bytes=3200)  # two pages of a buffer
    cache.begin_node()
    sources = [Numbers(), Numbers()]
    slow, fast = (read(cache, source, Requester(lambda: None)) for source in sources)
    assert next(slow) == PAGES[0]
    assert list(fast) == PAGES
    assert list(slow) == PAGES[1:]
    assert sources[0].opened_after == [None, "cus_12"]


def test_the_end_of_a_run_closes_what_no_reader_has_begun(cache: ResponseCache) -> None:
    source = Numbers()
    read(cache, source, Requester(lambda: None))
    cache.end_node()
    assert source.closed == 1


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("end", ["read to the end", "left", "cancelled"])
def test_a_reader_that_continues_separately_closes_its_pages(ordered: bool, end: str) -> None:
    cache = ResponseCache(lambda: 1, statement_bytes=3200)  # two pages of a buffer
    cache.begin_node()
    canceled: list[Interrupted] = []

    def check() -> None:
        if canceled:
            raise canceled[0]

    source, slow_source = Numbers(), Numbers()
    fast = read(cache, source, Requester(lambda: None), ordered=ordered)
    slow = read(cache, slow_source, Requester(check), ordered=ordered)
    assert next(slow) == PAGES[0]
    assert list(fast) == PAGES
    assert (source.closed, slow_source.closed) == (1, 0)
    assert next(slow) == PAGES[1]
    assert next(slow) == PAGES[2]
    if end == "read to the end":
        assert list(slow) == PAGES[3:]
    elif end == "left":
        slow.close()  # type: ignore[attr-defined]
    else:
        canceled.append(Interrupted("canceling statement due to user request"))
        with pytest.raises(Interrupted):
            next(slow)
    assert (source.closed, slow_source.closed) == (1, 1)


@pytest.mark.parametrize("read_pages", [2, 3, 4])
def test_the_reader_that_fills_the_buffer_closes_its_pages(read_pages: int) -> None:
    cache = ResponseCache(lambda: 1, statement_bytes=3200)  # two pages of a buffer
    cache.begin_node()
    source = Numbers()
    pages = read(cache, source, Requester(lambda: None))
    for number in range(read_pages):
        assert next(pages) == PAGES[number]
    pages.close()  # type: ignore[attr-defined]
    cache.end_node()
    assert source.closed == 1


def test_an_error_closes_the_pages_that_it_came_from(cache: ResponseCache) -> None:
    checks = iter([None, None, None, Interrupted("canceling statement due to user request")])

    def check() -> None:
        if error := next(checks, None):
            raise error

    source = Numbers()
    pages = read(cache, source, Requester(check))
    assert next(pages) == PAGES[0]
    with pytest.raises(Interrupted):
        list(pages)
    assert source.closed == 1


def test_a_later_run_reads_on_where_an_earlier_one_left_an_ordered_list(cache: ResponseCache) -> None:
    policy = CachePolicy(60.0, lambda: (1,))
    first = read(cache, Numbers(), Requester(lambda: None), policy=policy)
    next(first)
    first.close()  # type: ignore[attr-defined]
    cache.end_node()
    cache.begin_node()
    source = Numbers()
    assert list(read(cache, source, Requester(lambda: None), policy=policy)) == PAGES
    assert source.opened_after == ["cus_02"]


@pytest.mark.parametrize(("ordered", "generation"), [(False, 1), (True, 2)], ids=["no order", "stale"])
def test_a_later_run_starts_again_otherwise(cache: ResponseCache, ordered: bool, generation: int) -> None:
    generations = [1]
    policy = CachePolicy(60.0, lambda: tuple(generations))
    first = read(cache, Numbers(), Requester(lambda: None), policy=policy, ordered=ordered)
    next(first)
    first.close()  # type: ignore[attr-defined]
    cache.end_node()
    cache.begin_node()
    generations[0] = generation
    source = Numbers()
    assert list(read(cache, source, Requester(lambda: None), policy=policy, ordered=ordered)) == PAGES
    assert source.opened_after == [None]
