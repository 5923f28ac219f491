"""Ids of Stripe's objects: in fields that hold the whole object instead, and as segments of paths."""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import unquote_to_bytes

MAX_ID_LENGTH: Final = 500  # characters; Stripe's have at most 255

_TEXT: Final = re.compile(rf"[^\x00-\x1f\x7f-\x9f]{{1,{MAX_ID_LENGTH}}}")
_DOTS: Final = re.compile(r"(?:^|[/\\])\.{0,2}(?:[/\\]|$)")  # "", "." or ".." as a segment


def object_id(value: Any) -> str | None:
    """Return the id of an expanded object; None for any other value, such as an object without an id."""
    identifier = value.get("id") if isinstance(value, dict) else None
    return identifier if isinstance(identifier, str) else None


def id_or_value(value: Any) -> Any:
    """Return the id of an expanded object, and any other value as it is."""
    identifier = object_id(value)
    return value if identifier is None else identifier


def fits_path(identifier: str) -> bool:
    """Return True if this can be a segment of a path, percent-encoded.

    Users choose ids of coupons, plans and products, which may hold a slash. But a proxy may decode a path
    before it resolves "..", so that such a segment leads elsewhere.
    """
    return _TEXT.fullmatch(identifier) is not None and _DOTS.search(identifier) is None


def is_safe_path(path: str) -> bool:
    """Return True if each segment, decoded, may be one: no ``%2e%2e``, no ``x%2f..``, no line ends."""
    if "%" not in path and "." not in path and len(path) <= MAX_ID_LENGTH:
        return True
    try:
        segments = [unquote_to_bytes(segment).decode() for segment in path.split("/")[1:]]
    except UnicodeDecodeError:
        return False
    return all(map(fits_path, segments))
