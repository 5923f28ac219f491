"""Names and words close to the one that was given, for hints of errors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

_MAX_CHARACTERS: Final = 200  # of a name that is compared; the time grows with their square


def closest_names(name: str, names: Iterable[str], n: int = 3, cutoff: float = 0.5) -> list[str]:
    """Return at most ``n`` of ``names`` that are at least ``cutoff`` (0 to 1) like ``name``, best first."""
    from difflib import get_close_matches  # imported late: only errors need it, a first query should not wait

    return get_close_matches(name[:_MAX_CHARACTERS], list(names), n=n, cutoff=cutoff)


def is_typo(word: str, intended: str) -> bool:
    """Return True if the words are equal, or differ by one wrong, missing, extra or transposed letter."""
    if abs(len(word) - len(intended)) > 1:  # or the comparison of a long word would take long
        return False
    while word and intended and word[0] == intended[0]:
        word, intended = word[1:], intended[1:]
    while word and intended and word[-1] == intended[-1]:
        word, intended = word[:-1], intended[:-1]
    return max(len(word), len(intended)) <= 1 or (len(word) == 2 and word == intended[::-1])
