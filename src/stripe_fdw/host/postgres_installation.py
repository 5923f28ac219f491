"""A PostgreSQL installation, as its ``pg_config`` describes it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from stripe_fdw.errors import StripeFdwError

_PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"


class PostgresError(StripeFdwError):
    """No usable Postgres was found, or the private one could not be set up, started or stopped."""


def _packaged_pg_configs() -> list[str]:
    paths = [
        *Path("/usr/lib/postgresql").glob("*/bin/pg_config"),
        *Path("/usr").glob("pgsql-*/bin/pg_config"),
    ]
    return sorted(map(str, paths), key=lambda path: [int(n) for n in re.findall(r"\d+", path)], reverse=True)


@dataclass(frozen=True)
class PostgresInstallation:
    """A Postgres installation, as its ``pg_config`` describes it."""

    pg_config: str

    @classmethod
    def find(cls, *, headers: bool = True) -> PostgresInstallation:
        """Find the one that ``PG_CONFIG`` names, or the one on the PATH, or the newest packaged one.

        Args:
            headers: it must have the server's headers.

        Raises:
            PostgresError: none has the server, with its headers; the hint names the packages.

        """
        configured = os.environ.get("PG_CONFIG")
        candidates = [configured] if configured else [shutil.which("pg_config"), *_packaged_pg_configs()]
        for candidate in candidates:
            if candidate and (installation := cls(candidate)).is_complete(headers=headers):
                return installation
        raise PostgresError(
            f"no PostgreSQL server{' with its headers' if headers else ''} was found"
            + (f" by {configured}" if configured else ""),
            hint="Install both (Debian: apt-get install postgresql postgresql-server-dev-all), "
            "or name the right pg_config in PG_CONFIG.",
        )

    def hosts(self) -> list[str]:
        """Return the hosts that can serve tables here: the bundled one, and Multicorn2 where it works.

        Multicorn2 runs the Python it was built for. That Python must be able to import ``multicorn``, and its
        version must be this environment's, since it loads this environment's compiled packages.
        """
        python = self.multicorn_python()
        if python is None or python.name != _PYTHON:
            return ["bundled"]
        command = [
            str(python),
            "-c",
            "import importlib.util as u; raise SystemExit(not u.find_spec('multicorn'))",
        ]
        # The same environment as a private server's: nothing that was set for this process.
        done = subprocess.run(command, check=False, capture_output=True, env={}, cwd="/")
        return ["bundled", "multicorn2"] if done.returncode == 0 else ["bundled"]

    def multicorn_python(self) -> Path | None:
        """Return the interpreter of the Python library that ``multicorn.so`` links.

        Returns:
            Its path, such as ``/usr/bin/python3.11``; None where Multicorn2 or that interpreter is missing.
        """
        module = self.pkglibdir / "multicorn.so"
        if not module.exists():
            return None
        try:
            done = subprocess.run(["ldd", str(module)], check=True, capture_output=True, text=True)
        except (OSError, subprocess.CalledProcessError):
            return None
        library = re.search(r"=> (/\S*/lib(python3\.\d+)\S*)", done.stdout)
        if library is None:
            return None
        interpreters = [folder / "bin" / library[2] for folder in Path(library[1]).parents]
        return next((interpreter for interpreter in interpreters if interpreter.exists()), None)

    def is_complete(self, *, headers: bool = True) -> bool:
        """Return True if the server and, if needed, its headers are there, not only the client library."""
        try:
            return (self.bindir / "postgres").exists() and (
                not headers or Path(self.show("includedir-server"), "postgres.h").exists()
            )
        except PostgresError:
            return False

    def show(self, name: str) -> str:
        """Return a value of pg_config: ``bindir``, ``sharedir``, ``pkglibdir``, ``version``.

        Raises:
            PostgresError: pg_config does not run.
        """
        try:
            done = subprocess.run([self.pg_config, f"--{name}"], check=True, capture_output=True, text=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise PostgresError(
                f"cannot run {self.pg_config}: {error}",
                hint="Install PostgreSQL's server and development packages "
                "(Debian: postgresql-15 postgresql-server-dev-15), or name another with PG_CONFIG.",
            ) from error
        return done.stdout.strip()

    @cached_property
    def bindir(self) -> Path:
        """The directory of the server's executables."""
        return Path(self.show("bindir"))

    @cached_property
    def sharedir(self) -> Path:
        """The directory that has the extensions' SQL and control files below ``extension``."""
        return Path(self.show("sharedir"))

    @cached_property
    def pkglibdir(self) -> Path:
        """The directory of loadable modules."""
        return Path(self.show("pkglibdir"))

    @cached_property
    def major(self) -> int:
        """The major version: 15."""
        return int(re.findall(r"\d+", self.show("version"))[0])
