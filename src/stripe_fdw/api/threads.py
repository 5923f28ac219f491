"""Daemon threads that block all signals and never delay an exit, and the futures of their results."""

from __future__ import annotations

import queue
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")

STEP_SECONDS = 0.02  # between two checks of a waiting thread whether its query was cancelled
_IDLE_SECONDS = 30.0


class ThreadPool:
    """A pool of daemon threads that start when needed and end when idle for a while.

    All signals are blocked in them: in a Postgres backend, signals belong to the main thread.
    """

    def __init__(self, max_threads: int = 64, idle_seconds: float = _IDLE_SECONDS) -> None:
        self._max_threads = max_threads
        self._idle_seconds = idle_seconds
        self._tasks: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._idle = 0
        self._queued = 0

    def run(self, task: Callable[[], None]) -> None:
        """Run the task as soon as a thread is free. It must not raise."""
        with self._lock:
            self._queued += 1
            self._tasks.put(task)
            start = self._queued > self._idle and self._threads < self._max_threads
            if start:
                self._threads += 1
                self._idle += 1
        if start:
            self._start()

    def _start(self) -> None:
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            threading.Thread(target=self._work, name="stripe-fdw", daemon=True).start()
        except RuntimeError:  # the limit of threads is reached: those that run already do the work
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
            del task  # or what it refers to lives until the next task
            with self._lock:
                self._idle += 1


class InterruptibleFuture(Future[T]):
    """A result that another thread sets, waited for in short steps so that a query can be cancelled.

    It differs from ``concurrent.futures.Future`` in what ``cancel`` does: a request that has left cannot be
    taken back, so cancelling calls ``on_cancel`` to end the work early, and the result or the error that the
    work ends with is still set. A write learns from it whether its request left.
    """

    def __init__(self, on_cancel: Callable[[], object] | None = None) -> None:
        super().__init__()
        self._on_cancel = on_cancel

    def wait(self, seconds: float) -> bool:
        """Wait at most this many seconds. Return True if there is a result or an error."""
        with suppress(TimeoutError):
            self.exception(seconds)
        return self.done()

    def result(self, timeout: float | None = None, *, check: Callable[[], object] | None = None) -> T:
        """Return the result, or raise the error that was set in its place.

        ``check`` raises if the query was cancelled. It is called at once, because many results that are there
        already take long to read as well, and then every 20 ms while waiting. What it raises cancels the
        work and propagates. After ``timeout`` seconds the work is cancelled, and TimeoutError is raised.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        try:
            if check is not None:
                check()
            while not self.wait(STEP_SECONDS):
                if check is not None:
                    check()
                if deadline is not None and time.monotonic() >= deadline:
                    raise TimeoutError(f"no response within {timeout} s")
        except BaseException:
            self.cancel()
            raise
        return super().result()

    def cancel(self) -> bool:
        """Call ``on_cancel`` once, unless the work is done. Return False: its outcome is still set."""
        on_cancel, self._on_cancel = self._on_cancel, None
        if on_cancel is not None and not self.done():
            on_cancel()
        return False
