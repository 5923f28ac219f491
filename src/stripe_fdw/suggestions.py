"""Finds the names that somebody may have meant."""

from __future__ import annotations

from collections.abc import Iterable


def closest_names(name: str, names: Iterable[str], n: int = 3, cutoff: float = 0.5) -> list[str]:
    """At most ``n`` of the names that are at least ``cutoff`` (0 to 1) like this one, the closest first."""
    from difflib import get_close_matches  # only for errors: a backend's first query does not wait for it

    return get_close_matches(name, list(names), n=n, cutoff=cutoff)


def is_typo(word: str, meant: str) -> bool:
    """Whether it is the other word but for one letter: wrong, missing, too many, or swapped with the next."""
    while word and meant and word[0] == meant[0]:
        word, meant = word[1:], meant[1:]
    while word and meant and word[-1] == meant[-1]:
        word, meant = word[:-1], meant[:-1]
    return max(len(word), len(meant)) <= 1 or (len(word) == 2 and word == meant[::-1])
