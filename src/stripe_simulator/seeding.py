"""The source of the simulator's randomness: numbers that depend on names alone."""

from __future__ import annotations

from hashlib import blake2b


def stable_hash(*parts: object) -> int:
    """Return a 64-bit number that is the same for the same parts in every process."""
    text = "\x1f".join(map(str, parts)).encode()
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "big")
