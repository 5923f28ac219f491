"""The directory of a private server's Unix socket: where it is, and that it belongs to this user alone."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import tempfile
from pathlib import Path

from stripe_fdw.host.postgres_installation import PostgresError

_MAX_PATH = 85  # bytes, which leaves 22 for the socket's name


def socket_directory(directory: Path) -> Path:
    """Return the directory of the socket of the server in a directory.

    It is in the temporary folder if the path would exceed the 107 bytes of a socket's path, or has characters
    that are special in a connection URL, in postgresql.conf or in a shell; in /tmp if that folder's path is
    too long as well.
    """
    path = directory / "s"
    if len(os.fsencode(path)) <= _MAX_PATH and re.fullmatch(r"[\w./-]+", str(path)):
        return path
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:12]
    fallback = Path(tempfile.gettempdir()) / f"stripe-fdw-{os.getuid()}-{digest}"
    if len(os.fsencode(fallback)) <= _MAX_PATH:
        return fallback
    return Path("/tmp") / fallback.name  # noqa: S108 - checked before it is used


def make_socket_directory(path: Path, owner: int) -> None:
    """Make the directory, which the user with the id ``owner`` alone can enter.

    Its name can be guessed, so that others may have made it, or a link, in the temporary folder: they would
    answer in the place of the server.

    Raises:
        PostgresError: it is a link, belongs to neither ``owner`` nor this user, or others can enter it.

    """
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        reason = _unusable(path, owner)
        if reason is not None:
            raise PostgresError(
                f"the folder {path} of the server's socket cannot be used: {reason}",
                hint="Remove it, or name another temporary folder in TMPDIR.",
            ) from None
    if path.stat().st_uid != owner:
        os.chown(path, owner, -1, follow_symlinks=False)


def _unusable(path: Path, owner: int) -> str | None:
    status = path.lstat()
    if not stat.S_ISDIR(status.st_mode):
        return "it is a link or a file"
    if status.st_uid not in (owner, os.geteuid()):
        return "it belongs to another user"
    if status.st_mode & 0o077:
        return "others can enter it: its mode must be 0700"
    return None
