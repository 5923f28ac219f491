"""The directory of the shared file: which one it is, and that it belongs to this OS user alone.

The first choice is one of the OS user's in memory, which all servers of that user share. Its name can be
guessed, so another OS user may have created it first. Then the file lies in the data directory of this
server, where only its OS user can create files, and the sessions of this server still share it.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from stripe_fdw import sqlstates
from stripe_fdw.errors import OptionError

# A folder that initdb makes for temporary files of extensions; backups leave out what is in it.
_IN_DATA_DIRECTORY = Path("pg_stat_tmp", "stripe_fdw")

_data_directory: Path | None = None


def use_data_directory(directory: Path | None) -> None:
    """Take note of the server's data directory: this process is one of its backends."""
    global _data_directory  # noqa: PLW0603 - what a process is does not change
    _data_directory = directory


def directories() -> tuple[Path, ...]:
    """Return the directories that may be used, the first choice first.

    ``$STRIPE_FDW_SHARED_DIRECTORY`` alone, or else this OS user's in /dev/shm or /tmp and this server's own.
    """
    configured = os.environ.get("STRIPE_FDW_SHARED_DIRECTORY")
    if configured:
        return (Path(configured),)
    memory = Path("/dev/shm")  # noqa: S108 - the directory inside is checked before it is used
    parent = memory if memory.is_dir() and os.access(memory, os.W_OK) else _temporary_directory()
    of_user = parent / f"stripe-fdw-{_owner()}"
    return (of_user,) if _data_directory is None else (of_user, _data_directory / _IN_DATA_DIRECTORY)


def _owner() -> int:
    """Return the id of the OS user to whom what this process makes belongs, as the machine sees it.

    In a user namespace, where root runs a private Postgres, the process has the id of another user.
    """
    user = os.geteuid()
    try:
        lines = Path("/proc/self/uid_map").read_text().splitlines()
    except OSError:
        return user  # not Linux
    for inside, outside, count in (map(int, line.split()) for line in lines):
        if inside <= user < inside + count:
            return outside + user - inside
    return user


def open_directory(directory: Path) -> int:
    """Open the directory, made if missing, and return its file descriptor.

    Raises:
        OptionError: it is not this user's alone, or a link.
    """
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        directory.mkdir(mode=0o700, exist_ok=True)
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise unusable(directory, error.strerror or type(error).__name__) from error
    status = os.fstat(fd)
    if status.st_uid == os.geteuid() and stat.S_IMODE(status.st_mode) & 0o077 == 0:
        return fd
    os.close(fd)
    if status.st_uid != os.geteuid():
        raise unusable(directory, "it belongs to another user")
    raise unusable(directory, "others can open it: its mode must be 0700")


def unusable(directory: Path, reason: str) -> OptionError:
    """Return the error for a directory that cannot be used."""
    return OptionError(
        f'the shared directory "{directory}" cannot be used: {reason}',
        hint="Name another one in STRIPE_FDW_SHARED_DIRECTORY, the same for all processes.",
        sqlstate=sqlstates.IO_ERROR,
    )


def _temporary_directory() -> Path:
    import tempfile  # takes some milliseconds of a session's first query

    return Path(tempfile.gettempdir())
