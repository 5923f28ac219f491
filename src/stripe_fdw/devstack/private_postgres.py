"""A private Postgres server with its own installation, data directory and Unix socket.

Postgres finds its libraries and extensions relative to its own executable. So a folder that holds a copy of
``postgres`` and links to everything else is a full installation, and extensions can be added to it without
root privileges (https://www.postgresql.org/docs/current/app-pg-config.html describes the directories). The
system's installation is only read.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from stripe_fdw.devstack.socket_directory import make_socket_directory, socket_directory
from stripe_fdw.host.postgres_installation import PostgresError, PostgresInstallation

_COPIED = ("postgres", "pg_ctl")
_NETWORK = ("HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR")
_PASSED_ON = ("HOME", "TMPDIR", "USER", *_NETWORK)


@dataclass(frozen=True)
class PrivateInstallation:
    """A copy of an installation below ``root`` that extensions can be added to."""

    root: Path
    system: PostgresInstallation

    @cached_property
    def _system_root(self) -> Path:
        system = self.system
        return Path(os.path.commonpath([system.bindir, system.sharedir, system.pkglibdir]))

    def _private(self, path: Path) -> Path:
        return self.root / path.relative_to(self._system_root)

    @property
    def bindir(self) -> Path:
        """The folder of executables."""
        return self._private(self.system.bindir)

    @property
    def extensiondir(self) -> Path:
        """The folder of extensions' control and SQL files."""
        return self._private(self.system.sharedir) / "extension"

    @property
    def pkglibdir(self) -> Path:
        """The folder of extensions' shared libraries."""
        return self._private(self.system.pkglibdir)

    def build(self) -> None:
        """Create the installation or update it from the system's; files added to it are kept.

        Raises:
            PostgresError: the system has no server installed.

        """
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
        share = self._private(self.system.sharedir)
        share.mkdir(parents=True, exist_ok=True)
        self.extensiondir.mkdir(exist_ok=True)
        self.pkglibdir.mkdir(parents=True, exist_ok=True)
        _link_all(self.system.sharedir, share, exclude="extension")
        _link_all(self.system.sharedir / "extension", self.extensiondir)
        _link_all(self.system.pkglibdir, self.pkglibdir)


def _link_all(source: Path, target: Path, exclude: str | None = None) -> None:
    for link in target.iterdir():
        if link.is_symlink() and not link.exists():
            link.unlink()
    for entry in source.iterdir():
        link = target / entry.name
        if entry.name != exclude and not link.exists():
            link.symlink_to(entry)


def unprivileged() -> list[str]:
    """Return the prefix that runs a command as another user than root, as whom Postgres refuses to run.

    In a user namespace, the server can still read a checkout below a folder that only root may enter. Where
    the kernel allows no namespaces, ``runuser -u postgres`` is used; then that user must be able to read the
    data directory.
    """
    if os.geteuid() != 0:
        return []
    user = _unprivileged_user()
    unshare = ["unshare", "--user", f"--map-user={user.pw_uid}", f"--map-group={user.pw_gid}"]
    if (
        shutil.which("unshare")
        and subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode == 0
    ):
        return unshare
    return [shutil.which("runuser") or "/usr/sbin/runuser", "-u", user.pw_name, "--"]


def _unprivileged_user() -> pwd.struct_passwd:
    """Return an existing ordinary user: Postgres looks its own user up by number."""
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise PostgresError("there is neither a user postgres nor a user nobody to run Postgres as")


def _grant_access(path: Path, user: str) -> None:
    """Let another user enter a path, by changing the mode of own folders below the temporary folder.

    Raises:
        PostgresError: the user may not enter another folder on the way; the message names it.

    """
    temporary = {Path(tempfile.gettempdir()).resolve(), Path("/tmp").resolve()}  # noqa: S108
    for folder in [*reversed(path.resolve().parents), path.resolve()]:
        if not folder.is_dir() or folder.stat().st_mode & 0o001:
            continue
        if temporary.isdisjoint(folder.parents) or folder.stat().st_uid != os.geteuid():
            raise PostgresError(
                f"user {user}, as whom Postgres runs here, may not enter {folder}",
                hint="In a user namespace Postgres could read what root can, but this machine allows none. "
                f"Work in a folder that {user} can enter, or as an ordinary user.",
            )
        folder.chmod(folder.stat().st_mode | 0o011)


@dataclass(frozen=True)
class Cluster:
    """A private cluster: data, socket and log below ``directory``; it listens only on the socket."""

    directory: Path
    tree: PrivateInstallation
    environment: tuple[tuple[str, str], ...] = ()
    settings: tuple[tuple[str, str], ...] = ()

    @property
    def data(self) -> Path:
        """The data directory."""
        return self.directory / "data"

    @property
    def socket(self) -> Path:
        """The directory of the Unix socket."""
        return socket_directory(self.directory)

    @property
    def log(self) -> Path:
        """The server's log."""
        return self.directory / "postgres.log"

    def dsn(self, database: str = "postgres") -> str:
        """Return a connection URL without a password: the mode of the socket's directory protects it."""
        return f"postgresql://postgres@/{database}?host={self.socket}"

    def initialize(self) -> None:
        """Create the data directory, unless it exists.

        Raises:
            PostgresError: initdb failed, or the socket's directory cannot be used.

        """
        if (self.data / "PG_VERSION").exists():
            return
        self.directory.mkdir(parents=True, exist_ok=True)
        prefix = unprivileged()
        self._make_socket_directory()
        if "-u" in prefix:  # another user, who does not own these folders
            for path in (self.directory, self.tree.root, Path(sys.prefix), Path(__file__)):
                _grant_access(path, prefix[2])
            shutil.chown(self.directory, prefix[2])
        self._make_data(prefix)
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

    def _make_data(self, prefix: list[str]) -> None:
        self._run(
            [*prefix, str(self.tree.system.bindir / "initdb"), "--pgdata", str(self.data),
             "--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"],
            "initdb",
        )  # fmt: skip

    def start(self) -> None:
        """Start the server and wait until it accepts connections.

        Raises:
            PostgresError: it did not start; the detail has the last lines of its log. Or the socket's
                directory cannot be used, which another user may have made after it was removed.

        """
        if self.running():
            return
        self._make_socket_directory()
        self._run(
            [*unprivileged(), str(self.tree.bindir / "pg_ctl"), "--pgdata", str(self.data), "--wait",
             "-t", "60", "--log", str(self.log), "start"],
            "the private Postgres",
            self.log,
        )  # fmt: skip

    def _make_socket_directory(self) -> None:
        prefix = unprivileged()
        make_socket_directory(self.socket, pwd.getpwnam(prefix[2]).pw_uid if "-u" in prefix else os.geteuid())

    def stop(self) -> None:
        """Stop the server at once, which ends its sessions. Do nothing if it is not running."""
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
        """Return the postmaster's process id, or None if it is not running."""
        try:
            pid = int((self.data / "postmaster.pid").read_text().splitlines()[0])
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except (OSError, ValueError, IndexError):
            return None
        return pid if str(self.data).encode() in command else None

    def running(self) -> bool:
        """Return True if the postmaster is running."""
        return self.pid() is not None

    def _run(self, command: list[str], name: str, log: Path | None = None) -> None:
        # The server outlives this process and must not keep its pipes open, so the output goes to a file.
        output = self.directory / "setup.log"
        with output.open("ab") as sink:
            process = subprocess.run(
                command,
                check=False,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                cwd=self.directory,
                env=self._environment(),
            )
        if process.returncode != 0:
            file = log if log and log.exists() else output
            tail = "\n".join(file.read_text(errors="replace").splitlines()[-15:])
            raise PostgresError(f"{name} did not start (exit code {process.returncode})", detail=tail)

    def _environment(self) -> dict[str, str]:
        # Like a service's: settings of this session for Python, Postgres or Stripe are left out, but
        # for those of the network.
        inherited = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        # A Python library inside a server takes the standard library of the ``python3`` that the PATH has.
        python = self.tree.system.multicorn_python()
        if python is not None:
            path = f"{python.parent}:{path}"
        return {**inherited, "PATH": path, "LC_ALL": "C.UTF-8", **dict(self.environment)}
