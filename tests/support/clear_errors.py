"""What tests with generated values allow: an error of this package that is short and shows no key."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from stripe_fdw.errors import StripeFdwError
from stripe_fdw.redaction import redact


@contextmanager
def clear_errors(key: str, fragment: str = "") -> Iterator[None]:
    """Let the block end with such an error; with ``fragment`` in its text."""
    try:
        yield
    except StripeFdwError as error:
        text = redact(f"{error} {error!r}")  # as the hosts and the command line print it
        found = (key in text, fragment in text, len(text) < 10_000)
    else:
        return
    assert found == (False, True, True), text
