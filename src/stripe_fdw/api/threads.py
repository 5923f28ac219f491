"""Runs requests beside the calling thread: daemon threads that take no signals and never delay an exit."""

from __future__ import annotations

import queue
import signal
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

STEP_SECONDS = 0.02  # how often a waiting thread looks whether its query was cancelled
_IDLE_SECONDS = 30.0


class ThreadPool:
    """A pool of daemon threads that start when needed and end after a while without work.

    All signals are blocked in them: in a Postgres backend, signals belong to the main thread.
    """

    def __init__(self, at_most: int = 64, idle_seconds: float = _IDLE_SECONDS) -> None:
        self._at_most = at_most
        self._idle_seconds = idle_seconds
        self._tasks: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._idle = 0
        self._queued = 0

    def run(self, task: Callable[[], None]) -> None:
        """Run the task, which must not raise, as soon as a thread is free."""
        with self._lock:
            self._queued += 1
            self._tasks.put(task)
            start = self._queued > self._idle and self._threads < self._at_most
            if start:
                self._threads += 1
                self._idle += 1
        if start:
            self._start()

    def _start(self) -> None:
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            threading.Thread(target=self._work, name="stripe-fdw", daemon=True).start()
        except RuntimeError:  # no more threads to be had: those there are will do the work
            with self._lock:
                self._threads -= 1
                self._idle -= 1
                if self._threads == 0:
                    raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def _work(self) -> None:
        while True:
            try:
                task = self._tasks.get(timeout=self._idle_seconds)
            except queue.Empty:
                with self._lock:
                    if self._queued:
                        continue
                    self._threads -= 1
                    self._idle -= 1
                    return
            with self._lock:
                self._queued -= 1
                self._idle -= 1
            task()
            del task  # what it refers to must not live until the next one
            with self._lock:
                self._idle += 1


class Future(Generic[T]):
    """A result that another thread will bring.

    ``abandon`` is what is called, once, when nobody waits for the result any more.
    """

    __slots__ = ("_abandon", "_abandoned", "_callbacks", "_error", "_finished", "_guard", "_lock", "_result")

    def __init__(self, abandon: Callable[[], None] | None = None) -> None:
        self._abandon = abandon
        self._abandoned = False
        self._callbacks: list[Callable[[], None]] = []
        self._error: BaseException | None = None
        self._finished = False
        self._guard = threading.Lock()
        self._lock = threading.Lock()  # held until there is a result
        self._lock.acquire()
        self._result: T | None = None

    def done(self) -> bool:
        """Whether there is a result or an error."""
        return self._finished

    def finish(self, result: T | None = None, error: BaseException | None = None) -> None:
        """Bring the result or the error; only the first one counts."""
        with self._guard:
            if self._finished:
                return
            self._result, self._error = result, error
            self._finished = True
            callbacks, self._callbacks = self._callbacks, []
        self._lock.release()
        for callback in callbacks:
            callback()

    def when_done(self, callback: Callable[[], None]) -> None:
        """Call this, on whichever thread, once there is a result; at once if there is one already."""
        with self._guard:
            if not self._finished:
                self._callbacks.append(callback)
                return
        callback()

    def wait(self, seconds: float) -> bool:
        """Wait at most so long; whether there is a result."""
        if not self._finished and self._lock.acquire(timeout=seconds):
            self._lock.release()
        return self._finished

    def result(self, check: Callable[[], object] | None = None, timeout: float | None = None) -> T:
        """The result, or its error raised.

        ``check`` is called at once, since many results that are there already take long as well, and then at
        least every 20 ms while waiting. What it raises propagates, and the work is abandoned; so it is after
        ``timeout`` seconds, with TimeoutError.
        """
        ends = None if timeout is None else time.monotonic() + timeout
        try:
            if check is not None:
                check()
            while not self.wait(STEP_SECONDS):
                if check is not None:
                    check()
                if ends is not None and time.monotonic() >= ends:
                    raise TimeoutError(f"no answer within {timeout} s")
        except BaseException:
            self.abandon()
            raise
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[return-value]  # finished without error: it is there

    def abandon(self) -> None:
        """Nobody wants the result any more: end the work as soon as possible."""
        with self._guard:
            if self._abandoned or self._finished:
                return
            self._abandoned = True
        if self._abandon is not None:
            self._abandon()
