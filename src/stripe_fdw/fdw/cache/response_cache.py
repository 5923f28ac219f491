"""Stripe's answers by request: shared in an executor run, and by later statements while they are fresh."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable, MutableMapping
from typing import Final

from stripe_fdw.fdw.cache.page_buffer import ExecutorRun, PageBuffer, PageSource
from stripe_fdw.fdw.cache.requester import ActiveReader, Requester
from stripe_fdw.fdw.cache.staleness import CachePolicy

Expansions = frozenset[str]
"""Paths that a request expands in each object."""

STATEMENT_BYTES: Final = 16 * 2**20  # for the page buffers of all executor runs of a session
_MAX_EXPANSIONS: Final = 64  # sets of expansions that are remembered
CACHE_BYTES: Final = 32 * 2**20  # for the answers that later statements of a session may use


class ResponseCache:
    """The page buffers of a session: those of each executor run, and those that a later run may use.

    An executor run is the statement without the statements of the functions that it calls. Each of those is
    an executor run of its own.
    """

    def __init__(
        self,
        current_run: Callable[[], int | None],
        *,
        statement_bytes: int = STATEMENT_BYTES,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        """Start empty.

        Args:
            current_run: returns the number of the executor run that calls; None where no host runs.
            statement_bytes: the memory of the page buffers of all running executor runs.
            cache_bytes: the memory of the buffers that later runs may use.
        """
        self._current_run = current_run
        self._statement_bytes = statement_bytes
        self._cache_bytes = cache_bytes
        self._runs: dict[int | None, ExecutorRun] = {}
        self._expansions: dict[Expansions, None] = {}  # all sets that requests of the session have had
        self._cache: MutableMapping[Hashable, PageBuffer] = {}  # replaced by a bounded one on its first use

    def begin_node(self) -> None:
        """Note that a plan node of the current executor run starts."""
        self._enter().open_nodes += 1

    def end_node(self) -> None:
        """Note that a plan node ended, or failed. The executor run ends with its last node."""
        number = self._current_run()
        run = self._runs.get(number)
        if run is not None:
            run.open_nodes -= 1
            if run.open_nodes <= 0:
                self._end_run(number)

    def join_run(self, ended_runs: Iterable[int]) -> None:
        """Begin to read for the current run, where no ``end_node`` follows.

        ``ended_runs`` are the executor runs that have ended since the last call.
        """
        for number in ended_runs:
            self._end_run(number)
        self._enter()

    def _enter(self) -> ExecutorRun:
        return self._runs.setdefault(self._current_run(), ExecutorRun(self._has_room))

    def clear(self) -> None:
        """Forget all answers."""
        self._cache.clear()
        for run in self._runs.values():
            run.clear()

    def executor_run(self) -> ExecutorRun:
        """Return the current executor run; one that keeps no pages where none has begun."""
        return self._runs.get(self._current_run()) or ExecutorRun(lambda _: False)

    def expansions_at_hand(
        self,
        run: ExecutorRun,
        key: Callable[[Expansions], Hashable],
        wanted: Expansions,
        policy: CachePolicy,
    ) -> Expansions:
        """Return what the answer to read expands: what is wanted, or more where such an answer is there.

        Args:
            run: the executor run that reads.
            key: returns the key of the answer that expands these paths.
            wanted: the paths that the scan needs expanded.
            policy: how long later statements may use an answer.
        """
        if wanted not in self._expansions and len(self._expansions) < _MAX_EXPANSIONS:
            self._expansions[wanted] = None
        if self._has_answer(run, key(wanted), policy):
            return wanted
        wider = (paths for paths in self._expansions if paths > wanted)
        return next((paths for paths in wider if self._has_answer(run, key(paths), policy)), wanted)

    def _has_answer(self, run: ExecutorRun, key: Hashable, policy: CachePolicy) -> bool:
        if key in run.buffers:
            return True
        buffer = self._cache.get(key) if policy.ttl > 0 else None
        return buffer is not None and buffer.is_fresh(time.monotonic())

    def buffer(
        self,
        run: ExecutorRun,
        key: Hashable,
        source: PageSource,
        requester: Requester,
        policy: CachePolicy,
        *,
        ordered: bool,
        ahead: bool = False,
    ) -> PageBuffer:
        """Return the buffer of an answer. Its first request is sent at once, unless there is an answer.

        Args:
            run: the executor run that reads, whose readers of the same key share one answer.
            key: what identifies the answer: the request, and the account and API key that it is for.
            source: requests the pages that no buffer has.
            requester: the scan that reads.
            policy: how long later statements may use the answer.
            ordered: what comes after an object can be requested.
            ahead: a scan will read the answer later, or none; it must not be from before a write.
        """
        buffer = run.buffers.get(key)
        if buffer is not None and buffer.is_outdated:
            buffer.discard()
            buffer = None
        buffer = buffer or self._fresh_buffer(run, key, policy)
        if buffer is None:
            buffer = PageBuffer(key, ActiveReader(requester), run, policy, is_ordered=ordered, is_ahead=ahead)
            buffer.start(source)
        run.buffers[key] = buffer
        return buffer

    def _fresh_buffer(self, run: ExecutorRun, key: Hashable, policy: CachePolicy) -> PageBuffer | None:
        buffer = self._cache.get(key) if policy.ttl > 0 else None
        if buffer is None:
            return None
        is_fresh = buffer.is_fresh(time.monotonic())
        if not buffer.is_complete or not is_fresh:
            self._cache.pop(key, None)  # a buffer that may grow belongs to one run
        if not is_fresh:
            return None
        if not buffer.is_complete:
            buffer.run = run
        return buffer

    def _has_room(self, size: int) -> bool:
        return sum(run.used_bytes for run in self._runs.values()) + size <= self._statement_bytes

    def _end_run(self, number: int | None) -> None:
        """Drop the run, and move the buffers that later runs may use into the cache."""
        run = self._runs.pop(number, None)
        if run is None:
            return
        for key, buffer in run.buffers.items():
            if buffer.readers:
                continue  # a scan that was not closed may still read it
            buffer.close()
            if buffer.is_cacheable and buffer.size <= self._cache_bytes // 4:
                if not self._cache:
                    self._cache = _bounded_cache(self._cache_bytes)
                self._cache[key] = buffer


def _bounded_cache(max_bytes: int) -> MutableMapping[Hashable, PageBuffer]:
    """Return a cache of so many bytes of page buffers, each of which leaves it when its ttl is over."""
    # Imported where a server has a cache_ttl, so that a first query does not wait for it.
    from cachetools import TLRUCache

    return TLRUCache(
        maxsize=max_bytes,
        ttu=lambda _, buffer, now: now + buffer.policy.ttl - (time.monotonic() - buffer.created_at),
        timer=time.monotonic,
        getsizeof=lambda buffer: max(1, buffer.size),
    )
