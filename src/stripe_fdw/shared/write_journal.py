"""Writes to Stripe that are not committed in Postgres, so that those which are lost are found again.

A transaction notes each write in a file of its own before it is sent, and removes the file when it commits.
While it lives it holds the file's lock, which the kernel releases when the process ends in any way: a file
that is not locked belongs to a transaction that was rolled back, or whose process was killed.

The files lie in the data directory of the server, and last as long as it does. They are not synchronised to
the disk: what the last seconds before a loss of power noted may be missing, as may be all on a standby server
and in a restored backup.
"""

from __future__ import annotations

import fcntl
import json
import os
import uuid
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from msgspec import Struct
from msgspec.structs import astuple

from stripe_fdw.shared.directory import open_directory

MAX_FILES: Final = 1000  # of transactions that are gone; more are replaced by one that names resources alone
# Beside the shared file, which is removed with its folder by hand at times. Backups leave out what is in it.
_FOLDER: Final = Path("pg_stat_tmp", "stripe_fdw_writes")
_NAME_CHARACTERS: Final = 32


class NotedWrite(Struct, frozen=True):
    """A write that was noted before it was sent.

    Without ``object_id`` it creates an object whose id is not known; without ``sent_at`` as well, it stands
    for many writes of the resource.
    """

    resource: str
    object_id: str | None
    parent: str | None  # the id of the object in whose list it is
    key: str  # the fingerprint of the API key
    api_base: str
    sent_at: float | None  # seconds since 1970, by the clock of the database server
    number: int = 0  # a later note of the same number says which object was created

    def whole_resource(self) -> NotedWrite:
        """Return the note that stands for all writes of the resource with this key."""
        return NotedWrite(self.resource, None, None, self.key, self.api_base, None)


def journal_directory(data_directory: Path, database: int) -> Path:
    """Return the directory for the writes of a database, which its OID names."""
    return data_directory / _FOLDER / str(database)


class JournalFile:
    """The file of one transaction. All methods raise OSError where the file system does not let them."""

    def __init__(self, directory: Path) -> None:
        """Make the file and lock it. Raises OptionError if the directory is not this OS user's alone."""
        os.close(open_directory(directory))
        if sum(1 for _ in directory.iterdir()) > MAX_FILES:
            _fold(directory)
        while True:
            self._path = directory / uuid.uuid4().hex
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            self._fd = os.open(self._path, flags, 0o600)
            fcntl.flock(self._fd, fcntl.LOCK_EX)
            if os.fstat(self._fd).st_nlink:
                return
            os.close(self._fd)  # a reader was quicker, and has removed it as an empty one

    def append(self, write: NotedWrite) -> None:
        """Note a write. A process that ends amid it has not sent the write."""
        os.write(self._fd, _line(write))

    def remove(self) -> None:
        """Forget the writes: they are committed."""
        self._path.unlink()
        os.close(self._fd)

    def leave(self) -> None:
        """Leave the writes to be found: they are rolled back."""
        os.close(self._fd)

    def leave_only(self, writes: Iterable[NotedWrite]) -> None:
        """Leave these writes to be found, and forget the others."""
        os.ftruncate(self._fd, 0)
        os.write(self._fd, b"".join(map(_line, writes)))
        os.close(self._fd)


def lost_writes(directory: Path) -> Iterator[tuple[str, list[NotedWrite]]]:
    """Yield the names of files of transactions that are gone, with their writes. Remove files without any."""
    try:
        paths = sorted(directory.iterdir())
    except FileNotFoundError:
        return
    for path in paths:
        with suppress(FileNotFoundError):  # another process has removed it
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                if not _is_left(fd):
                    continue
                with open(fd, "rb", closefd=False) as file:
                    writes = _parse(file)
                if not writes:
                    path.unlink()
            finally:
                os.close(fd)
            if writes:
                yield path.name, writes


def forget_lost_writes(directory: Path, name: str) -> None:
    """Remove the file of a transaction that is gone. Do nothing if there is no such file."""
    if len(name) != _NAME_CHARACTERS or not name.isalnum():
        return
    with suppress(FileNotFoundError):
        fd = os.open(directory / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if _is_left(fd):
                (directory / name).unlink()
        finally:
            os.close(fd)


def _is_left(fd: int) -> bool:
    """Return True, with the lock of the file, if no transaction has it."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _line(write: NotedWrite) -> bytes:
    return json.dumps(astuple(write)).encode() + b"\n"


def _parse(lines: Iterable[bytes]) -> list[NotedWrite]:
    """Return the writes, without notes of creations of which a later one has the id."""
    noted = []
    for line in lines:
        with suppress(ValueError, TypeError):  # it was not written to its end, so nothing was sent
            noted.append(NotedWrite(*json.loads(line)))
    known = {write.number for write in noted if write.object_id is not None}
    return [write for write in noted if write.object_id is not None or write.number not in known]


def _fold(directory: Path) -> None:
    """Replace the files of transactions that are gone by one, which names resources alone."""
    found = list(lost_writes(directory))
    if not found:
        return
    resources = {write.whole_resource(): None for _, writes in found for write in writes}
    path = directory / uuid.uuid4().hex
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        os.write(fd, b"".join(map(_line, resources)))
    finally:
        os.close(fd)
    for name, _ in found:
        forget_lost_writes(directory, name)
