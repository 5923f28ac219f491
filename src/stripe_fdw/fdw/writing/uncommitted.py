"""The writes of a transaction that its copies lose if it does not commit, noted outside of the database.

Stripe keeps what a transaction has changed, whatever becomes of the transaction. Each write is noted before
it is sent (``shared/write_journal``), and the note is removed at the commit, so that those of a rollback, and
of a backend that was killed, are found and the objects read again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from msgspec import Struct

from stripe_fdw.api.client import ClientOptions
from stripe_fdw.api.responses import Response
from stripe_fdw.errors import OptionError
from stripe_fdw.fdw.backend.hosting import Host
from stripe_fdw.fdw.writing.kept_answers import announced_object, answered_objects
from stripe_fdw.fdw.writing.plan.row_plan import RowPlan
from stripe_fdw.shared.write_journal import JournalFile, NotedWrite, journal_directory

_MAX_NOTES: Final = 10_000  # of a transaction; of further writes the resource alone is noted
_MAX_ID_CHARACTERS: Final = 300
_LOST: Final = 0  # the level of what was rolled back with a savepoint; the transaction itself is level 1


class _Note(Struct):
    level: int
    write: NotedWrite


class UncommittedWrites:
    """The writes of the current transaction to tables whose objects have copies."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._directory: Path | None = None
        if host.data_directory is not None and host.database_oid is not None:
            self._directory = journal_directory(host.data_directory, host.database_oid)
        self._file: JournalFile | None = None
        self._notes: list[_Note] = []
        self._numbers = 0
        self._has_warned = False

    def note(self, plan: RowPlan, options: ClientOptions, level: int) -> Callable[[Response], None]:
        """Note a row before its first request is sent.

        Args:
            plan: of the row.
            options: of the client that sends it.
            level: of the savepoint at which its statement writes.

        Returns:
            The function that notes the object that a response says was created.
        """
        self._numbers += 1
        number, known = self._numbers, set[str]()

        def add(resource: str, object_id: str | None, parent: str | None) -> None:
            if object_id is None or (object_id not in known and len(object_id) <= _MAX_ID_CHARACTERS):
                known.add(object_id or "")
                key = options.fingerprint()
                write = NotedWrite(resource, object_id, parent, key, options.api_base, time.time(), number)
                self._add(write, level)

        def note_answer(response: Response) -> None:
            for resource, object_id, parent in answered_objects(plan, response.body):
                add(resource, object_id, parent)

        if self._directory is None:
            return lambda _: None
        announced = announced_object(plan)
        if announced is not None:
            add(*announced)
        return note_answer

    # -- ends of transactions and savepoints; none of these may raise ---------------------------------------

    def commit(self) -> None:
        """Forget the writes, but for those that were rolled back with a savepoint."""
        file, notes = self._reset()
        lost = [note.write for note in notes if note.level == _LOST]
        if file is not None:
            with suppress(OSError):  # then its objects are read again for nothing
                if lost:
                    file.leave_only(lost)
                else:
                    file.remove()

    def rollback(self) -> None:
        """Leave the writes to be found."""
        file, _ = self._reset()
        if file is not None:
            file.leave()

    def sub_commit(self, number: int) -> None:
        """Count the writes since a savepoint that is released to the savepoint around it."""
        self._move(number, number - 1)

    def sub_rollback(self, number: int) -> None:
        """Have the writes since a savepoint found when the transaction has ended, however it ends."""
        self._move(number, _LOST)

    def _move(self, number: int, level: int) -> None:
        for note in self._notes:
            if note.level >= number:
                note.level = level
        if len(self._notes) > _MAX_NOTES:  # each savepoint may have added some
            unique = {(note.level, note.write): note for note in self._notes[_MAX_NOTES:]}
            self._notes[_MAX_NOTES:] = unique.values()

    def _reset(self) -> tuple[JournalFile | None, list[_Note]]:
        file, notes = self._file, self._notes
        self._file, self._notes, self._numbers, self._has_warned = None, [], 0, False
        return file, notes

    def _add(self, write: NotedWrite, level: int) -> None:
        """Add a note. Where the file system does not take it, the write goes on with a WARNING."""
        assert self._directory is not None
        if len(self._notes) >= _MAX_NOTES:
            write = write.whole_resource()
            levels = [note.level for note in self._notes[_MAX_NOTES:] if note.write == write]
            if level in levels:
                return
            if levels:  # the file has it
                self._notes.append(_Note(level, write))
                return
        try:
            if self._file is None:
                self._file = JournalFile(self._directory)
            self._file.append(write)
        except (OSError, OptionError) as error:
            if not self._has_warned:
                self._has_warned = True
                reason = error.message if isinstance(error, OptionError) else error.strerror
                self._host.warn(
                    "writes to Stripe are not noted outside of the transaction",
                    f"{reason}.",
                    "If it is rolled back, only the next refresh brings its changes to the copies.",
                )
            return
        self._notes.append(_Note(level, write))
