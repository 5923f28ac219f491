"""The table of writes whose transaction did not commit: rolled back, or lost with its backend."""

# ruff: noqa: ARG002 - the protocol ``tables.base.Table``; this table does not use every argument

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from stripe_fdw import sqlstates
from stripe_fdw.errors import ColumnError
from stripe_fdw.fdw.backend.hosting import Row
from stripe_fdw.fdw.cache.requester import RequestCost
from stripe_fdw.fdw.planning.quals import Qual
from stripe_fdw.fdw.schema.import_schema import FUNCTION_TABLES, LOST_WRITE_TABLE
from stripe_fdw.fdw.tables.function_table import FunctionTable
from stripe_fdw.shared.write_journal import (
    NotedWrite,
    forget_lost_writes,
    journal_directory,
    lost_writes,
)

_NO_WRITE: Final = dict.fromkeys(name for name, _ in FUNCTION_TABLES[LOST_WRITE_TABLE])


class LostWriteTable(FunctionTable):
    """A row for each lost write, in the file of its transaction. An inserted row says which file to remove.

    Remove a file only when what it says is committed elsewhere: this is not undone by a rollback.
    """

    name = LOST_WRITE_TABLE

    def rows(self, quals: Sequence[Qual], named: Sequence[str], cost: RequestCost) -> Iterator[Row]:
        """Yield the lost writes of this database to the API of the table's server."""
        directory = self._directory()
        for file, writes in lost_writes(directory) if directory is not None else ():
            rows = [self._row(file, each) for each in writes if each.api_base == self._server.api_base]
            # A file without any is given as well, so that it is removed.
            yield from rows or [{**_NO_WRITE, "file": file}]

    def insert_row(self, values: Row, answered: Sequence[str] | None, cost: RequestCost) -> Row | None:
        """Remove a file. Raises ColumnError if none is named."""
        directory, file = self._directory(), values.get("file")
        if file is None:
            raise ColumnError('column "file" must name a file', sqlstate=sqlstates.NOT_NULL_VIOLATION)
        if directory is not None:
            forget_lost_writes(directory, str(file))
        return dict(values)

    def _directory(self) -> Path | None:
        host = self._session.host
        if host.data_directory is None or host.database_oid is None:
            return None
        return journal_directory(host.data_directory, host.database_oid)

    def _row(self, file: str, write: NotedWrite) -> dict[str, Any]:
        sent_at: Any = None if write.sent_at is None else datetime.fromtimestamp(write.sent_at, UTC)
        if sent_at is not None and self._session.host.renders_text:
            sent_at = sent_at.isoformat(sep=" ")
        return {
            "file": file,
            "resource": write.resource,
            "id": write.object_id,
            "parent": write.parent,
            "key": write.key,
            "sent_at": sent_at,
        }
