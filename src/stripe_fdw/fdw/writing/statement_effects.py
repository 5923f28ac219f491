"""The objects that a statement changed in Stripe, counted within bounded memory."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

from msgspec import Struct, field

from stripe_fdw.text_limits import MAX_IDS

_MAX_SKIPPED: Final = 32  # rows that one statement may have in flight
_MAX_OBJECTS: Final = 10_000  # of a statement, about 1 MiB; further writes are counted one by one


class StatementEffects(Struct, eq=False):
    """The objects that a statement changed, some of their ids, and its requests with an unknown outcome.

    A statement that is canceled while several of its rows are in flight may have skipped rows as well.
    """

    object_digests: set[bytes] = field(default_factory=set)
    untracked_writes: int = 0  # after _MAX_OBJECTS objects: writes to objects that may be counted already
    shown_ids: list[str] = field(default_factory=list)
    shown_unknown: list[str] = field(default_factory=list)  # descriptions of requests
    unknown_count: int = 0
    skipped_rows: list[int] = field(default_factory=list)  # not carried out, unlike rows after them
    reported: bool = False  # by an error
    is_copied: bool = False  # copies take the answers, and lose them in a rollback

    @property
    def count(self) -> int:
        """The number of changed objects; an upper bound where there are untracked writes."""
        return len(self.object_digests) + self.untracked_writes

    def add_object(self, identifier: str) -> None:
        """Count a changed object, once for each id."""
        digest = text_digest(identifier)
        if digest in self.object_digests:
            return
        self._add_digest(digest)
        if len(self.shown_ids) < MAX_IDS:
            self.shown_ids.append(identifier)

    def add_unknown(self, request: str) -> None:
        """Count a request that was sent and not answered, given by its description."""
        self.unknown_count += 1
        if len(self.shown_unknown) < MAX_IDS:
            self.shown_unknown.append(request)

    def add_skipped(self, number: int) -> None:
        """Note a row that was not carried out although a later row was."""
        self.skipped_rows.append(number)

    def merge(self, other: StatementEffects) -> None:
        """Add the objects and requests of another statement."""
        new_ids = [item for item in other.shown_ids if text_digest(item) not in self.object_digests]
        self.shown_ids = (self.shown_ids + new_ids)[:MAX_IDS]
        for digest in other.object_digests - self.object_digests:
            self._add_digest(digest)
        self.untracked_writes += other.untracked_writes
        self.is_copied |= other.is_copied
        self.unknown_count += other.unknown_count
        self.shown_unknown = (self.shown_unknown + other.shown_unknown)[:MAX_IDS]
        self.skipped_rows = (self.skipped_rows + other.skipped_rows)[:_MAX_SKIPPED]

    def _add_digest(self, digest: bytes) -> None:
        if len(self.object_digests) < _MAX_OBJECTS:
            self.object_digests.add(digest)
        else:
            self.untracked_writes += 1

    def changed_text(self) -> str:
        """Return the first ids, and how many more there are."""
        return _list_text(self.shown_ids, self.count)

    def unknown_text(self) -> str:
        """Return the first requests with an unknown outcome, and how many more there are."""
        return _list_text(self.shown_unknown, self.unknown_count)

    def skipped_text(self) -> str:
        """Return the numbers of the rows that were not carried out although later rows were."""
        return ", ".join(f"row {number}" for number in self.skipped_rows)


def _list_text(items: list[str], count: int) -> str:
    return ", ".join(items) + (f" and {count - len(items)} more" if count > len(items) else "")


def text_digest(text: str) -> bytes:
    """Return the 8 bytes that identify an id or a key."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
