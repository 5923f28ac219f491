"""Checks of the installed host against this package, this Python and this Postgres."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stripe_fdw.host.install import MODULE, Build
from stripe_fdw.host.postgres_installation import PostgresInstallation
from stripe_fdw.host.python import PythonError, describe
from stripe_fdw.host.server_user import server_user, try_as
from stripe_fdw.version import __version__

_INSTALL_HINT: Final = 'Run "stripe-fdw host install" with this Python.'


@dataclass(frozen=True)
class Result:
    """Result of one check: its subject, what is installed, whether that is right, and a hint if it is not."""

    subject: str
    finding: str
    ok: bool = True
    hint: str | None = None


def check(
    installation: PostgresInstallation,
    *,
    python: str,
    pkglibdir: Path | None = None,
    extensiondir: Path | None = None,
    user: str | None = None,
) -> list[Result]:
    """Check the installed module and what it needs to load, as the server's OS user ``user`` will load it.

    Raises OptionError if there is no such user.
    """
    module = (pkglibdir or installation.pkglibdir) / MODULE
    control = (extensiondir or installation.sharedir / "extension") / "stripe_fdw.control"
    build = Build.read(module)
    if build is None or not control.exists():
        missing = module if build is None else control
        return [
            Result("installed", f"{missing} is missing or not of stripe-fdw", ok=False, hint=_INSTALL_HINT)
        ]
    current = Build.of(installation, describe(python))
    return [
        Result("installed", str(module)),
        _compare("package version", build.version, __version__),
        _compare("PostgreSQL", build.postgres, current.postgres),
        _compare(
            "Python", f"{build.python} {build.python_version}", f"{current.python} {current.python_version}"
        ),
        _compare("built from", build.sources, current.sources),
        _loads(build.python),
        *_as_the_server(build.python, user),
    ]


def _compare(subject: str, installed: str, current: str) -> Result:
    if installed == current:
        return Result(subject, installed)
    return Result(subject, f"{installed}, but this is {current}", ok=False, hint=_INSTALL_HINT)


def _loads(python: str) -> Result:
    """Do what a backend does first: start the interpreter in isolation and import the bridge."""
    subject = "the package in that Python"
    try:
        library = describe(python).library
        done = subprocess.run(
            [python, "-I", "-c", "import stripe_fdw, stripe_fdw.host.bridge as b; print(b.__file__)"],
            capture_output=True,
            text=True,
            check=False,
        )
    except (PythonError, OSError) as error:
        return Result(subject, str(error), ok=False, hint=_INSTALL_HINT)
    if done.returncode != 0:
        return Result(
            subject, (done.stderr.strip().splitlines() or ["does not load"])[-1], ok=False, hint=_INSTALL_HINT
        )
    if library is None:
        return Result(subject, f"{python} has no shared library", ok=False)
    return Result(subject, f"loads from {Path(done.stdout.strip()).parent.parent}, with {library}")


def _as_the_server(python: str, user: str | None) -> list[Result]:
    trial = try_as(server_user(user), python)
    subject = f"started by the server's OS user {trial.user}"
    if trial.failure is not None:
        return [Result(subject, trial.failure, ok=False, hint=trial.hint)]
    return [
        Result(subject, "yes"),
        Result("shared folder", f"{trial.shared_folder} can be used"),
    ]
