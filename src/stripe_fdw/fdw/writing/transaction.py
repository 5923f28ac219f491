"""The statements of a transaction that are writing, and the ends of transactions and savepoints."""

from __future__ import annotations

from collections.abc import Hashable

from stripe_fdw.fdw.backend.hosting import Host
from stripe_fdw.fdw.cache.invalidation import GenerationCounters
from stripe_fdw.fdw.cache.response_cache import ResponseCache
from stripe_fdw.fdw.reading.spool import AffectedScans
from stripe_fdw.fdw.schema.table_names import UNNAMED, TableNames
from stripe_fdw.fdw.writing.kept_answers import KeptAnswer
from stripe_fdw.fdw.writing.statement import StatementWrite
from stripe_fdw.fdw.writing.uncommitted import UncommittedWrites
from stripe_fdw.fdw.writing.write_log import WriteLog


class TransactionWrites:
    """The writes of the current transaction: one ``StatementWrite`` for each statement and table."""

    def __init__(
        self,
        host: Host,
        generations: GenerationCounters,
        response_cache: ResponseCache,
        affected_scans: AffectedScans,
    ) -> None:
        self._host = host
        self._generations = generations
        self._response_cache = response_cache
        self._affected_scans = affected_scans
        self._write_log = WriteLog(host)
        self._uncommitted = UncommittedWrites(host)
        self._statements: dict[tuple[Hashable, Hashable], StatementWrite] = {}

    def statement(
        self,
        table: Hashable,
        account: str,
        concurrency: int,
        resource: str | None = None,
        *,
        names: TableNames = UNNAMED,
        copies: str | None = None,
    ) -> StatementWrite:
        """Return the write of the running statement to a table; begin it where there is none yet.

        Args:
            table: the table.
            account: the account that is written to.
            concurrency: how many requests may be in flight at a time.
            resource: the name of the table's resource: the statement's scans of it are read to their ends
                before the first write.
            names: those of the table, for hints.
            copies: the schema of the copies that take the answers; None if none do.
        """
        key = (self._host.executor_run(), table)
        statement = self._statements.get(key)
        if statement is None or statement.failed:
            if resource is not None:
                self._affected_scans.materialize(self._response_cache.executor_run(), resource)
            statement = StatementWrite(
                self._host,
                self._write_log,
                self._generations,
                account,
                concurrency,
                names,
                copies=copies,
                uncommitted=self._uncommitted,
                # The functions write one row by a statement, whose number says nothing to their callers.
                numbers_rows=resource is not None,
            )
            self._statements[key] = statement
        return statement

    def end_statement(self, table: Hashable) -> None:
        """Wait for the requests of the running statement to the table. Raises the error of a failed row."""
        statement = self._statements.pop((self._host.executor_run(), table), None)
        if statement is not None and not statement.failed:
            statement.end()

    def take_answers(self, copies: str | None) -> list[KeptAnswer]:
        """Wait for the requests of the statements at this savepoint, and return what their answers say.

        They are those for one schema of copies. Each server has its own, and a statement may write to tables
        of several. Installations of earlier versions name none.

        A statement around an exception block in which this is called goes on undisturbed: the block would
        catch the error of its row. Raises the error of a row that failed.
        """
        level = self._host.transaction_level()
        answers: list[KeptAnswer] = []
        for statement in list(self._statements.values()):
            if copies is not None and statement.copies != copies:
                continue
            if statement.level == level and statement.answers is not None and not statement.failed:
                statement.finish()
                answers += statement.answers.take()
        return answers

    # -- events of transactions; only the first may raise ---------------------------------------------------

    def pre_commit(self) -> None:
        """Wait for all requests before a COMMIT. Raises the error of a failed row."""
        for statement in list(self._statements.values()):
            if not statement.failed:
                statement.end()
        self._statements.clear()

    def commit(self) -> None:
        """Forget the writes: the transaction is committed."""
        self._statements.clear()
        self._write_log.commit()
        self._uncommitted.commit()

    def rollback(self) -> None:
        """End all writes and warn of the changes that stay in Stripe: the transaction is rolled back."""
        self._settle(0)
        self._uncommitted.rollback()
        self._write_log.rollback()

    def sub_commit(self, level: int) -> None:
        """Release a savepoint; the transaction itself is level 1."""
        self._write_log.sub_commit(level)
        self._uncommitted.sub_commit(level)

    def sub_rollback(self, level: int) -> None:
        """End the writes since a savepoint that is rolled back, and warn of the changes that stay."""
        self._settle(level)
        self._uncommitted.sub_rollback(level)
        self._write_log.sub_rollback(level)

    def _settle(self, level: int) -> None:
        for key, statement in list(self._statements.items()):
            if statement.level >= level:
                statement.settle()
                del self._statements[key]
