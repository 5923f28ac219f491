"""All state of one backend: what its statements remember, write and keep open, whatever servers they use.

Beside it a process has only idle threads (``api.threads.ThreadPool``) and handles of shared memory, which
belong to no server and no statement.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stripe_fdw.api.client import Client
from stripe_fdw.fdw.backend.hosting import Host
from stripe_fdw.fdw.cache.invalidation import GenerationCounters
from stripe_fdw.fdw.cache.response_cache import ResponseCache
from stripe_fdw.fdw.reading.spool import AffectedScans
from stripe_fdw.fdw.schema.clients import ClientPool
from stripe_fdw.fdw.schema.options import ServerOptions
from stripe_fdw.redaction import Secret
from stripe_fdw.shared.directory import use_data_directory
from stripe_fdw.shared.memory import newly_passed_over

if TYPE_CHECKING:
    from stripe_fdw.fdw.writing.transaction import TransactionWrites

# Not where it is: the data directory is shown to superusers only.
_OWN_FILE: Final = (
    "The sessions of this server share rate limits and invalidations through a file in its data directory, "
    "but not with other servers of the same operating system user."
)


class Session:
    """The state of one backend. Servers and keys are kept apart in it by the options of each table."""

    def __init__(self, host: Host) -> None:
        """Start without anything: ``host`` is the program that serves the tables."""
        self.host = host
        use_data_directory(host.data_directory)
        self.clients = ClientPool()
        self.generations = GenerationCounters()
        self.response_cache = ResponseCache(host.executor_run)
        self.affected_scans = AffectedScans()
        self._writes: TransactionWrites | None = None

    @property
    def writes(self) -> TransactionWrites:
        """The writes of the current transaction."""
        if self._writes is None:
            from stripe_fdw.fdw.writing.transaction import TransactionWrites  # slow: only where one writes

            self._writes = TransactionWrites(
                self.host, self.generations, self.response_cache, self.affected_scans
            )
        return self._writes

    def client(self, server: ServerOptions, key: Secret) -> Client:
        """Return the API client for these options and this key, the same one while they stay the same."""
        client = self.clients.client_for(server, key)
        if (passed_over := newly_passed_over()) is not None:
            self.host.warn(passed_over.message, _OWN_FILE, passed_over.hint)
        return client

    def begin_statement(self) -> None:
        """Begin a node of the executor run that calls."""
        self.response_cache.begin_node()

    def end_statement(self) -> None:
        """End a node of the executor run that calls, after its last row or an error."""
        self.response_cache.end_node()

    def pre_commit(self) -> None:
        """Finish what is under way before the transaction commits. Raises what a row failed with."""
        if self._writes is not None:
            self._writes.pre_commit()

    def commit(self) -> None:
        """Forget the transaction: it is committed."""
        if self._writes is not None:
            self._writes.commit()

    def rollback(self) -> None:
        """Warn of what a rolled-back transaction leaves changed in Stripe."""
        if self._writes is not None:
            self._writes.rollback()

    def sub_commit(self, level: int) -> None:
        """Count what was written since a savepoint, that of number ``level`` - 1, to the level above."""
        if self._writes is not None:
            self._writes.sub_commit(level)

    def sub_rollback(self, level: int) -> None:
        """Warn of what was changed in Stripe since a savepoint that is rolled back to."""
        if self._writes is not None:
            self._writes.sub_rollback(level)
