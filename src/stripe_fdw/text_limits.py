"""Limits of what error messages and EXPLAIN show of long texts and lists."""

from __future__ import annotations

from typing import Final

from stripe_fdw.redaction import redact_beginning

MAX_MESSAGE_CHARACTERS: Final = 4000  # of an error message of Stripe's
MAX_NAME_CHARACTERS: Final = 200  # of a name, path or option that a user gave
MAX_VALUE_CHARACTERS: Final = 60  # of a value that a statement writes
MAX_RESPONSE_CHARACTERS: Final = 120  # of a response that is not Stripe's
MAX_REASON_CHARACTERS: Final = 200  # of why a column cannot hold a value
MAX_NAMES: Final = 20  # columns that an error lists
MAX_IDS: Final = 20  # objects that a failed statement lists
MAX_LIST_VALUES: Final = 10  # of a qual's list in EXPLAIN
MAX_REQUESTS: Final = 5  # lines of EXPLAIN without VERBOSE
MAX_FRAMES: Final = 4  # lines of a Python traceback


def shorten(text: str, max_characters: int) -> str:
    """Return the text, or its beginning and "..." if it is longer than ``max_characters``."""
    return text if len(text) <= max_characters else f"{text[:max_characters]}..."


def excerpt(text: str, max_characters: int) -> str:
    """Return the text with secrets masked, shortened. What it costs does not grow with the text."""
    return shorten(redact_beginning(text, max_characters), max_characters)
