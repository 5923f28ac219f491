"""The changes that a transaction made in Stripe, for the warnings of a rollback.

Stripe cannot roll back. The write log counts the objects that each statement changed, by the savepoint in
which the statement ran. An error reports the changes of its own statement; a rollback reports the other
changes, once. COMMIT reports nothing.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from msgspec import Struct, field

from stripe_fdw.errors import IdempotencyError
from stripe_fdw.fdw.backend.hosting import Host
from stripe_fdw.fdw.writing.rollback_warnings import warn_of_rollback
from stripe_fdw.fdw.writing.statement_effects import StatementEffects, text_digest

_MAX_KEYS: Final = 100_000  # idempotency keys of a transaction, 8 bytes each; Stripe itself checks older ones


class SavepointEffects(Struct):
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
        name, digest = text_digest(f"{account} {key}"), text_digest(content)
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
        self._keys.pop(text_digest(f"{account} {key}"), None)

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
        warn_of_rollback(self._host, effects, "the transaction was rolled back")

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
        warn_of_rollback(self._host, effects, "a part of the transaction was rolled back")
