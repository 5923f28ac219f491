"""All state of one backend: what its statements remember, write and keep open, whatever servers they use.

Beside it a process has only idle threads (``api.threads.ThreadPool``) and handles of shared memory, which
belong to no server and no statement.
"""

from __future__ import annotations

from stripe_fdw.api.client import Client
from stripe_fdw.fdw.backend.hosting import Host
from stripe_fdw.fdw.cache.invalidation import GenerationCounters
from stripe_fdw.fdw.cache.response_cache import ResponseCache
from stripe_fdw.fdw.reading.spool import AffectedScans
from stripe_fdw.fdw.schema.clients import ClientPool
from stripe_fdw.fdw.schema.options import ServerOptions
from stripe_fdw.fdw.writing.transaction import TransactionWrites
from stripe_fdw.redaction import Secret


class Session:
    """The state of one backend. Servers and keys are kept apart in it by the options of each table."""

    def __init__(self, host: Host) -> None:
        """Start without anything: ``host`` is the program that serves the tables."""
        self.host = host
        self.clients = ClientPool()
        self.generations = GenerationCounters()
        self.response_cache = ResponseCache(host.executor_run)
        self.affected_scans = AffectedScans()
        self.writes = TransactionWrites(host, self.generations, self.response_cache, self.affected_scans)

    def client(self, server: ServerOptions, key: Secret) -> Client:
        """Return the API client for these options and this key, the same one while they stay the same."""
        return self.clients.client_for(server, key)

    def begin_statement(self) -> None:
        """Begin a node of the executor run that calls."""
        self.response_cache.begin_node()

    def end_statement(self) -> None:
        """End a node of the executor run that calls, after its last row or an error."""
        self.response_cache.end_node()

    def pre_commit(self) -> None:
        """Finish what is under way before the transaction commits. Raises what a row failed with."""
        self.writes.pre_commit()

    def commit(self) -> None:
        """Forget the transaction: it is committed."""
        self.writes.commit()

    def rollback(self) -> None:
        """Warn of what a rolled-back transaction leaves changed in Stripe."""
        self.writes.rollback()

    def sub_commit(self, level: int) -> None:
        """Count what was written since a savepoint, that of number ``level`` - 1, to the level above."""
        self.writes.sub_commit(level)

    def sub_rollback(self, level: int) -> None:
        """Warn of what was changed in Stripe since a savepoint that is rolled back to."""
        self.writes.sub_rollback(level)
