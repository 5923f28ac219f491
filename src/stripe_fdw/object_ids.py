"""Ids of Stripe's objects where a field holds the whole object instead of its id."""

from __future__ import annotations

from typing import Any


def object_id(value: Any) -> str | None:
    """Return the id of an expanded object; None for any other value, such as an object without an id."""
    identifier = value.get("id") if isinstance(value, dict) else None
    return identifier if isinstance(identifier, str) else None


def id_or_value(value: Any) -> Any:
    """Return the id of an expanded object, and any other value as it is."""
    identifier = object_id(value)
    return value if identifier is None else identifier
