"""The changes that a transaction made in Stripe, for the warnings of a rollback.

Stripe cannot roll back. The write log counts the objects that each statement changed, by the savepoint in
which the statement ran. An error reports the changes of its own statement; a rollback reports the other
changes, once. COMMIT reports nothing.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final

from stripe_fdw.errors import IdempotencyError
from stripe_fdw.fdw.backend.hosting import Host
from stripe_fdw.text_limits import MAX_IDS

_MAX_OBJECTS: Final = (
    10_000  # of a statement or savepoint, about 1 MiB; further writes are counted one by one
)
_MAX_KEYS: Final = 100_000  # idempotency keys of a transaction, 8 bytes each; Stripe itself checks older ones


@dataclass(eq=False, slots=True)
class StatementEffects:
    """The objects that a statement changed, some of their ids, and its requests with an unknown outcome."""

    object_digests: set[bytes] = field(default_factory=set)
    untracked_writes: int = 0  # after _MAX_OBJECTS objects: writes to objects that may be counted already
    shown_ids: list[str] = field(default_factory=list)
    shown_unknown: list[str] = field(default_factory=list)  # descriptions of requests
    unknown_count: int = 0
    reported: bool = False  # by an error

    @property
    def count(self) -> int:
        """The number of changed objects; an upper bound where there are untracked writes."""
        return len(self.object_digests) + self.untracked_writes

    def add_object(self, identifier: str) -> None:
        """Count a changed object, once for each id."""
        digest = _digest(identifier)
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

    def merge(self, other: StatementEffects) -> None:
        """Add the objects and requests of another statement."""
        new_ids = [item for item in other.shown_ids if _digest(item) not in self.object_digests]
        self.shown_ids = (self.shown_ids + new_ids)[:MAX_IDS]
        for digest in other.object_digests - self.object_digests:
            self._add_digest(digest)
        self.untracked_writes += other.untracked_writes
        self.unknown_count += other.unknown_count
        self.shown_unknown = (self.shown_unknown + other.shown_unknown)[:MAX_IDS]

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


def _list_text(items: list[str], count: int) -> str:
    return ", ".join(items) + (f" and {count - len(items)} more" if count > len(items) else "")


@dataclass(slots=True)
class SavepointEffects:
    """The changes since a savepoint, or since the transaction began."""

    succeeded: StatementEffects = field(default_factory=StatementEffects)  # all statements that ended well
    running: list[StatementEffects] = field(default_factory=list)  # the other statements

    def merge(self, other: SavepointEffects) -> None:
        """Add the changes since a savepoint that is released."""
        self.succeeded.merge(other.succeeded)
        self.running.extend(other.running)

    def to_report(self, *, repeat: bool) -> StatementEffects:
        """Return the changes that no error has reported; with ``repeat`` all changes."""
        effects = StatementEffects()
        effects.merge(self.succeeded)
        for statement in self.running:
            if repeat or not statement.reported:
                effects.merge(statement)
        return effects


class WriteLog:
    """The changes that the current transaction made in Stripe, and the idempotency keys that it used."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._levels: dict[int, SavepointEffects] = {}
        self._keys: OrderedDict[bytes, tuple[bytes, StatementEffects]] = OrderedDict()

    def begin_statement(self) -> StatementEffects:
        """Return the record in which a statement that begins to write counts its changes."""
        effects = StatementEffects()
        level = self._levels.setdefault(self._host.transaction_level(), SavepointEffects())
        level.running.append(effects)
        return effects

    def end_statement(self, effects: StatementEffects) -> None:
        """Mark a statement as ended without an error."""
        for level in self._levels.values():
            if any(item is effects for item in level.running):
                level.running = [item for item in level.running if item is not effects]
                level.succeeded.merge(effects)

    def use_key(self, key: str, account: str, content: str, statement: StatementEffects) -> None:
        """Record a user's idempotency key before it is sent.

        A later statement of the transaction may send the same change again, after ROLLBACK TO for example:
        Stripe repeats its answer. Two rows of one statement may not, since they would become one object.

        Raises:
            IdempotencyError: another row had the same key.
        """
        name, digest = _digest(f"{account} {key}"), _digest(content)
        earlier = self._keys.get(name)
        if earlier is not None and earlier[0] != digest:
            raise IdempotencyError(
                f'the idempotency key "{key}" was used in this transaction for another change',
                hint="Each row needs a key of its own: two changes with one key would become one.",
            )
        if earlier is not None and earlier[1] is statement:
            raise IdempotencyError(
                f'two rows of the statement have the idempotency key "{key}"',
                hint="Each row needs a key of its own: two rows with one key would become one object.",
            )
        self._keys[name] = (digest, statement)
        if len(self._keys) > _MAX_KEYS:
            self._keys.popitem(last=False)

    def release_key(self, key: str, account: str) -> None:
        """Forget a key whose request was certainly not carried out: Stripe decides on its next use."""
        self._keys.pop(_digest(f"{account} {key}"), None)

    # -- ends of transactions and savepoints; none of these may raise ---------------------------------------

    def commit(self) -> None:
        """Forget all changes and keys: the transaction is committed."""
        self._levels.clear()
        self._keys.clear()

    def rollback(self) -> None:
        """Warn of the changes that stay in Stripe although the transaction is rolled back."""
        effects = StatementEffects()
        for level in self._levels.values():
            effects.merge(level.to_report(repeat=False))
        self.commit()
        self._warn(effects, "the transaction was rolled back")

    def sub_commit(self, number: int) -> None:
        """Add the changes since a savepoint that is released to those of the savepoint around it."""
        for level in sorted(self._levels, reverse=True):
            if level >= number:
                released = self._levels.pop(level)
                self._levels.setdefault(number - 1, SavepointEffects()).merge(released)

    def sub_rollback(self, number: int) -> None:
        """Warn of the changes since a savepoint that stay in Stripe although it is rolled back."""
        effects, repeat = StatementEffects(), self._host.error_is_caught()
        for level in [level for level in self._levels if level >= number]:
            effects.merge(self._levels.pop(level).to_report(repeat=repeat))
        self._warn(effects, "a part of the transaction was rolled back")

    def _warn(self, effects: StatementEffects, event: str) -> None:
        """Show a WARNING that lists the changes that stay in Stripe; none where there are no changes."""
        details = []
        if effects.count:
            details.append(f"Changed: {effects.changed_text()}.")
        if effects.unknown_count:
            details.append(f"Outcome unknown: {effects.unknown_text()}.")
        if not details:
            return
        if not effects.count:
            consequence = "Stripe may have changed something"
        elif effects.count == 1:
            consequence = "1 object remains changed in Stripe"
        else:
            number = f"up to {effects.count}" if effects.untracked_writes else str(effects.count)
            consequence = f"{number} objects remain changed in Stripe"
        self._host.warn(f"{event}, but {consequence}", " ".join(details), "Stripe cannot roll back.")


def _digest(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
