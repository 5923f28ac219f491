"""Whether the installed host fits: this package, this Python, this Postgres."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stripe_fdw.host.install import MODULE, Build
from stripe_fdw.host.postgres_installation import PostgresInstallation
from stripe_fdw.host.python import PythonError, describe, unreachable_folder
from stripe_fdw.version import __version__

_AGAIN: Final = 'Run "stripe-fdw host install" with this Python.'


@dataclass(frozen=True)
class Result:
    """One thing looked at: what, what was found, whether that is good, and what to do if not."""

    what: str
    found: str
    good: bool = True
    hint: str | None = None


def check(
    installation: PostgresInstallation,
    *,
    python: str,
    pkglibdir: Path | None = None,
    extensiondir: Path | None = None,
) -> list[Result]:
    """Look at the installed module and at what it needs to load."""
    module = (pkglibdir or installation.pkglibdir) / MODULE
    control = (extensiondir or installation.sharedir / "extension") / "stripe_fdw.control"
    build = Build.read(module)
    if build is None or not control.exists():
        missing = module if build is None else control
        return [Result("installed", f"{missing} is missing or not of stripe-fdw", good=False, hint=_AGAIN)]
    wanted = Build.of(installation, describe(python))
    return [
        Result("installed", str(module)),
        _compare("package version", build.version, __version__),
        _compare("PostgreSQL", build.postgres, wanted.postgres),
        _compare(
            "Python", f"{build.python} {build.python_version}", f"{wanted.python} {wanted.python_version}"
        ),
        _compare("built from", build.sources, wanted.sources),
        _loads(build.python),
        _reachable(build.python),
    ]


def _compare(what: str, found: str, wanted: str) -> Result:
    if found == wanted:
        return Result(what, found)
    return Result(what, f"{found}, but this is {wanted}", good=False, hint=_AGAIN)


def _loads(python: str) -> Result:
    """Try what a backend does first: start the interpreter in isolation and import the bridge."""
    what = "the package in that Python"
    try:
        library = describe(python).library
        done = subprocess.run(
            [python, "-I", "-c", "import stripe_fdw, stripe_fdw.host.bridge as b; print(b.__file__)"],
            capture_output=True,
            text=True,
            check=False,
        )
    except (PythonError, OSError) as error:
        return Result(what, str(error), good=False, hint=_AGAIN)
    if done.returncode != 0:
        return Result(
            what, (done.stderr.strip().splitlines() or ["does not load"])[-1], good=False, hint=_AGAIN
        )
    if library is None:
        return Result(what, f"{python} has no shared library", good=False)
    return Result(what, f"loads from {Path(done.stdout.strip()).parent.parent}, with {library}")


def _reachable(python: str) -> Result:
    folder = unreachable_folder(python)
    what = "readable by the server's OS user"
    if folder is None:
        return Result(what, "yes")
    return Result(
        what,
        f"only if the server runs as the owner of {folder}: other users may not enter it",
        hint="A server of another OS user needs a venv elsewhere, or chmod o+x on that folder.",
    )
