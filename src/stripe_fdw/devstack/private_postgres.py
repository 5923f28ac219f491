"""A Postgres of one's own: own binaries tree, own data, a unix socket, nothing of the system's touched.

Postgres finds its libraries and extensions relative to its own executable. So a tree that holds a copy of
``postgres`` and links to everything else is a full installation to which extensions can be added without
being root (https://www.postgresql.org/docs/current/app-pg-config.html describes the directories).
"""

from __future__ import annotations

import hashlib
import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from stripe_fdw.host.postgres_installation import PostgresError, PostgresInstallation

_COPIED = ("postgres", "initdb", "pg_ctl")


@dataclass(frozen=True)
class PrivateTree:
    """A copy of an installation under ``root`` that extensions can be added to."""

    root: Path
    system: PostgresInstallation

    @cached_property
    def _common(self) -> Path:
        system = self.system
        return Path(os.path.commonpath([system.bindir, system.sharedir, system.pkglibdir]))

    def _inside(self, path: Path) -> Path:
        return self.root / path.relative_to(self._common)

    @property
    def bindir(self) -> Path:
        """The private ``bin``."""
        return self._inside(self.system.bindir)

    @property
    def extensiondir(self) -> Path:
        """Where control and SQL files of extensions go."""
        return self._inside(self.system.sharedir) / "extension"

    @property
    def pkglibdir(self) -> Path:
        """Where extensions' modules go."""
        return self._inside(self.system.pkglibdir)

    def build(self) -> None:
        """Lay the tree, or bring it up to date with the system's; files added to it stay."""
        self.bindir.mkdir(parents=True, exist_ok=True)
        for name in _COPIED:
            source, target = self.system.bindir / name, self.bindir / name
            if not source.exists():
                raise PostgresError(
                    f"{source} is not there: only the development files of PostgreSQL are installed",
                    hint=f"Install the server (Debian: postgresql-{self.system.major}).",
                )
            if not target.exists() or target.stat().st_mtime < source.stat().st_mtime:
                target.unlink(missing_ok=True)
                shutil.copy2(source, target)
        share = self._inside(self.system.sharedir)
        share.mkdir(parents=True, exist_ok=True)
        self.extensiondir.mkdir(exist_ok=True)
        self.pkglibdir.mkdir(parents=True, exist_ok=True)
        _link_all(self.system.sharedir, share, but="extension")
        _link_all(self.system.sharedir / "extension", self.extensiondir)
        _link_all(self.system.pkglibdir, self.pkglibdir)


def _link_all(source: Path, target: Path, but: str | None = None) -> None:
    for link in target.iterdir():
        if link.is_symlink() and not link.exists():
            link.unlink()
    for entry in source.iterdir():
        link = target / entry.name
        if entry.name != but and not link.exists():
            link.symlink_to(entry)


def unprivileged() -> list[str]:
    """The words to put before a command so that it does not run as root, which Postgres refuses.

    A user namespace keeps access to a checkout under a root-only folder; where the kernel allows none,
    ``runuser -u postgres`` is left (then the data directory must be readable by that user).
    """
    if os.geteuid() != 0:
        return []
    user = _somebody()
    unshare = ["unshare", "--user", f"--map-user={user.pw_uid}", f"--map-group={user.pw_gid}"]
    if (
        shutil.which("unshare")
        and subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode == 0
    ):
        return unshare
    return [shutil.which("runuser") or "/usr/sbin/runuser", "-u", user.pw_name, "--"]


def _somebody() -> pwd.struct_passwd:
    """An ordinary user that exists, since Postgres looks its own user up by number."""
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise PostgresError("neither a user postgres nor a user nobody is there to run Postgres as")


def _let_through(place: Path, user: str) -> None:
    """Let another user pass to a place, by opening folders of ours below the temporary one.

    Raises:
        PostgresError: a folder elsewhere is closed; it names it.
    """
    temporary = {Path(tempfile.gettempdir()).resolve(), Path("/tmp").resolve()}  # noqa: S108
    for folder in [*reversed(place.resolve().parents), place.resolve()]:
        if not folder.is_dir() or folder.stat().st_mode & 0o001:
            continue
        if temporary.isdisjoint(folder.parents) or folder.stat().st_uid != os.geteuid():
            raise PostgresError(
                f"{folder} is closed to user {user}, as whom Postgres runs here",
                hint="In a user namespace Postgres would read what root reads, but this machine allows none. "
                f"Work in a folder that {user} can enter, or as an ordinary user.",
            )
        folder.chmod(folder.stat().st_mode | 0o011)


@dataclass(frozen=True)
class Cluster:
    """A private cluster: data, socket and log under ``directory``, listening on the socket alone."""

    directory: Path
    tree: PrivateTree
    environment: tuple[tuple[str, str], ...] = ()
    settings: tuple[tuple[str, str], ...] = ()

    @property
    def data(self) -> Path:
        """PGDATA."""
        return self.directory / "data"

    @property
    def socket(self) -> Path:
        """The directory of the unix socket.

        It lies elsewhere if the path would exceed a socket's 107 bytes, or has characters that mean something
        in a connection URL, in postgresql.conf or in a shell.
        """
        here = self.directory / "s"
        if len(os.fsencode(here)) <= 80 and re.fullmatch(r"[\w./-]+", str(here)):
            return here
        name = hashlib.sha256(os.fsencode(here)).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"stripe-fdw-{os.getuid()}-{name}"

    @property
    def log(self) -> Path:
        """The server's log."""
        return self.directory / "postgres.log"

    def dsn(self, database: str = "postgres") -> str:
        """A connection URL without a password: the socket's directory guards it."""
        return f"postgresql://postgres@/{database}?host={self.socket}"

    def initialize(self) -> None:
        """Lay the data directory, unless it is there."""
        if (self.data / "PG_VERSION").exists():
            return
        self.directory.mkdir(parents=True, exist_ok=True)
        self.socket.mkdir(exist_ok=True, mode=0o700)
        if self.socket.stat().st_uid != os.geteuid():
            raise PostgresError(f"{self.socket} belongs to somebody else")
        prefix = unprivileged()
        if "-u" in prefix:  # another user, to whom nothing here belongs
            for place in (self.directory, self.tree.root, Path(sys.prefix), Path(__file__)):
                _let_through(place, prefix[2])
            shutil.chown(self.directory, prefix[2])
            shutil.chown(self.socket, prefix[2])
        self._run(
            [*prefix, str(self.tree.bindir / "initdb"), "--pgdata", str(self.data), "--username=postgres",
             "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"],
            "initdb",
        )  # fmt: skip
        lines = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.socket),
            "unix_socket_permissions": "0700",
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
            "shared_buffers": "64MB",
            "max_connections": "60",
            **dict(self.settings),
        }
        with (self.data / "postgresql.conf").open("a") as conf:
            conf.writelines(f"{name} = '{value}'\n" for name, value in lines.items())

    def start(self) -> None:
        """Start the server and wait until it answers.

        Raises:
            PostgresError: it did not start; the message ends with the last lines of its log.

        """
        if self.running():
            return
        self._run(
            [*unprivileged(), str(self.tree.bindir / "pg_ctl"), "--pgdata", str(self.data), "--wait",
             "-t", "60", "--log", str(self.log), "start"],
            "the private Postgres",
            self.log,
        )  # fmt: skip

    def stop(self) -> None:
        """Stop the server at once, ending its sessions. Nothing happens if it does not run."""
        pid = self.pid()
        if pid is None:
            return
        os.kill(pid, signal.SIGINT)
        deadline = time.monotonic() + 20
        while self.running() and time.monotonic() < deadline:
            time.sleep(0.05)
        if self.running():
            os.kill(pid, signal.SIGQUIT)
            while self.running() and time.monotonic() < deadline + 10:
                time.sleep(0.05)

    def pid(self) -> int | None:
        """The postmaster's process id while it runs."""
        try:
            pid = int((self.data / "postmaster.pid").read_text().splitlines()[0])
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except (OSError, ValueError, IndexError):
            return None
        return pid if str(self.data).encode() in command else None

    def running(self) -> bool:
        """Whether the postmaster runs."""
        return self.pid() is not None

    def _run(self, command: list[str], what: str, log: Path | None = None) -> None:
        # A server must outlive us and must not hold our pipes open: its output goes to files.
        output = self.directory / "setup.log"
        with output.open("ab") as sink:
            done = subprocess.run(
                command,
                check=False,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                cwd=self.directory,
                env=self._environment(),
            )
        if done.returncode != 0:
            where = log if log and log.exists() else output
            tail = "\n".join(where.read_text(errors="replace").splitlines()[-15:])
            raise PostgresError(f"{what} did not start (exit code {done.returncode})", detail=tail)

    def _environment(self) -> dict[str, str]:
        # As a service has it: whatever this session set for Python, Postgres or Stripe stays out.
        kept = {name: os.environ[name] for name in ("HOME", "TMPDIR", "USER") if name in os.environ}
        path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        # A Python library inside a server takes the standard library of the ``python3`` that the PATH has.
        python = self.tree.system.multicorn_python()
        if python is not None:
            path = f"{python.parent}:{path}"
        return {**kept, "PATH": path, "LC_ALL": "C.UTF-8", **dict(self.environment)}
