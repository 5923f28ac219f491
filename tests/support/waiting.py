"""Waiting in tests: a guard against hanging, and polling until something holds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def hang_guard(seconds: float = 10.0) -> Iterator[None]:
    """Fail when the block takes longer than ``seconds``.

    This guards against hanging and measures no speed, which is for ``bench/``: the time is far above what the
    block needs, also on a busy machine, and below what it takes to wait for something it must not wait for.
    """
    began = time.monotonic()
    yield
    took = time.monotonic() - began
    assert took < seconds, f"it took {took:.1f} s, of which at most {seconds:g} s were to be waited"


def wait_until(condition: Callable[[], object], what: str = "the condition", seconds: float = 30.0) -> None:
    """Poll until the condition is true; fail with ``what`` never came true after ``seconds``."""
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, f"{what} did not come true within {seconds:g} s"
        time.sleep(0.02)
