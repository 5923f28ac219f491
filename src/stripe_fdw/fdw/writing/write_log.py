"""What was written to Stripe in this transaction: so that whoever rolls it back learns what stays.

Stripe cannot roll back. The ledger counts the objects that each statement changed, by the savepoint in which
it did. An error tells of its own statement; the rest is told when it is rolled back, once. COMMIT says
nothing.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final

from stripe_fdw.errors import IdempotencyError
from stripe_fdw.fdw.backend import hosting, session_settings

SHOWN: Final = 20  # ids in a message
_OBJECTS_KEPT: Final = 10_000  # about 1 MiB; writes to others are counted one by one
_KEYS_KEPT: Final = (
    100_000  # idempotency keys of a transaction, of 8 bytes each; Stripe itself checks older ones
)


@dataclass(eq=False, slots=True)
class Tally:
    """Which objects were changed, some of their ids, and requests whose outcome nobody knows."""

    seen: set[bytes] = field(default_factory=set)  # digests of the objects
    beyond: int = 0  # writes to objects of which nobody knows any more whether they were seen before
    ids: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    unknown_count: int = 0
    told: bool = False  # by an error

    @property
    def count(self) -> int:
        """How many objects; at most so many where some are ``beyond``."""
        return len(self.seen) + self.beyond

    def changed(self, identifier: str) -> None:
        """Add an object, if it is not there yet."""
        digest = _digest(identifier)
        if digest in self.seen:
            return
        if len(self.seen) < _OBJECTS_KEPT:
            self.seen.add(digest)
        else:
            self.beyond += 1
        if len(self.ids) < SHOWN:
            self.ids.append(identifier)

    def unanswered(self, what: str) -> None:
        """Add a request that left and was not answered."""
        self.unknown_count += 1
        if len(self.unknown) < SHOWN:
            self.unknown.append(what)

    def add(self, other: Tally) -> None:
        """Add all of another one."""
        self.ids = (self.ids + [one for one in other.ids if _digest(one) not in self.seen])[:SHOWN]
        for digest in other.seen - self.seen:
            if len(self.seen) < _OBJECTS_KEPT:
                self.seen.add(digest)
            else:
                self.beyond += 1
        self.beyond += other.beyond
        self.unknown_count += other.unknown_count
        self.unknown = (self.unknown + other.unknown)[:SHOWN]

    def listed(self) -> str:
        """The ids, as far as there is room for them."""
        return _listed(self.ids, self.count)

    def unknown_listed(self) -> str:
        """The requests, as far as there is room for them."""
        return _listed(self.unknown, self.unknown_count)


def _listed(items: list[str], count: int) -> str:
    return ", ".join(items) + (f" and {count - len(items)} more" if count > len(items) else "")


@dataclass(slots=True)
class Level:
    """What was written since a savepoint, or since the transaction began."""

    over: Tally = field(default_factory=Tally)  # by statements that have ended well
    running: list[Tally] = field(default_factory=list)  # of the others

    def add(self, other: Level) -> None:
        """Take over what was written since a savepoint that is released."""
        self.over.add(other.over)
        self.running.extend(other.running)

    def untold(self, *, repeat: bool) -> Tally:
        """All that no error has told, or, to ``repeat``, all."""
        found = Tally()
        found.add(self.over)
        for tally in self.running:
            if repeat or not tally.told:
                found.add(tally)
        return found


class Ledger:
    """The ledger of this backend's transaction."""

    def __init__(self) -> None:
        self._levels: dict[int, Level] = {}
        self._keys: OrderedDict[bytes, tuple[bytes, Tally]] = OrderedDict()

    def begin(self) -> Tally:
        """A statement begins to write: where it notes what it has done."""
        tally = Tally()
        self._levels.setdefault(session_settings.transaction_level(), Level()).running.append(tally)
        return tally

    def end(self, tally: Tally) -> None:
        """The statement has ended, and nothing was wrong with it."""
        for level in self._levels.values():
            if any(item is tally for item in level.running):
                level.running = [item for item in level.running if item is not tally]
                level.over.add(tally)

    def use_key(self, key: str, account: str, content: str, statement: Tally) -> None:
        """Take note of a user's idempotency key before it is sent.

        The same change may be sent again by a later statement of the transaction, after ROLLBACK TO for
        example: Stripe answers as it did. But two rows of one statement would become one object.

        Raises:
            IdempotencyError: another row had the same key.
        """
        name, digest = _digest(f"{account} {key}"), _digest(content)
        before = self._keys.get(name)
        if before is not None and before[0] != digest:
            raise IdempotencyError(
                f'the idempotency key "{key}" was used in this transaction for another change',
                hint="Each row needs a key of its own: two changes with one key would become one.",
            )
        if before is not None and before[1] is statement:
            raise IdempotencyError(
                f'two rows of the statement have the idempotency key "{key}"',
                hint="Each row needs a key of its own: two rows with one key would become one object.",
            )
        self._keys[name] = (digest, statement)
        if len(self._keys) > _KEYS_KEPT:
            self._keys.popitem(last=False)

    def release_key(self, key: str, account: str) -> None:
        """What was sent with the key was not done: Stripe decides whether something else may be."""
        self._keys.pop(_digest(f"{account} {key}"), None)

    # -- what the host tells; none of these may raise -------------------------------------------------------

    def commit(self) -> None:
        """All that was written stays, as was wanted."""
        self._levels.clear()
        self._keys.clear()

    def rollback(self) -> None:
        """Postgres forgets the transaction; Stripe does not."""
        found = Tally()
        for level in self._levels.values():
            found.add(level.untold(repeat=False))
        self.commit()
        _warn(found, "the transaction was rolled back")

    def sub_commit(self, number: int) -> None:
        """A savepoint is released: what was written since belongs to the one before it."""
        for level in sorted(self._levels, reverse=True):
            if level >= number:
                released = self._levels.pop(level)
                self._levels.setdefault(number - 1, Level()).add(released)

    def sub_rollback(self, number: int) -> None:
        """Postgres goes back to a savepoint; Stripe does not."""
        found, repeat = Tally(), session_settings.error_is_caught()
        for level in [level for level in self._levels if level >= number]:
            found.add(self._levels.pop(level).untold(repeat=repeat))
        _warn(found, "a part of the transaction was rolled back")


def _digest(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()


def _warn(found: Tally, why: str) -> None:
    """Say what stays."""
    details = []
    if found.count:
        details.append(f"Changed: {found.listed()}.")
    if found.unknown_count:
        details.append(f"Not known whether done: {found.unknown_listed()}.")
    if not details:
        return
    one, many = "1 object is changed in Stripe and stays so", "{} objects are changed in Stripe and stay so"
    number = f"up to {found.count}" if found.beyond else str(found.count)
    changed = one if found.count == 1 else many.format(number)
    what = changed if found.count else "Stripe may have changed something"
    hosting.warn(f"{why}, but {what}", " ".join(details), "Stripe cannot roll back.")


ledger: Final = Ledger()
"""This backend's."""
