"""Counts as people read them: "1 table", "2 tables"."""

from __future__ import annotations


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Return the number with its noun, of which the plural is ``plural`` or has an s."""
    return f"{number} {noun if number == 1 else plural or f'{noun}s'}"
