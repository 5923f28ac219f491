"""Installation of the bundled host, compiled for one Postgres and one Python.

The module contains what it was built from: sources, Python, Postgres, package version. So installing the
same again compiles nothing, and ``check`` can tell whether an installed module still fits.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from stripe_fdw.errors import StripeFdwError
from stripe_fdw.host.package_files import build_identity
from stripe_fdw.host.postgres_installation import PostgresInstallation
from stripe_fdw.host.python import Python, describe
from stripe_fdw.host.writable import writable_tables
from stripe_fdw.version import __version__

SOURCES: Final = Path(__file__).parent
MODULE: Final = "stripe_fdw.so"
_BUILD_MARK: Final = b"stripe-fdw-build:"
_COMPILERS: Final = ("cc", "gcc", "clang")


class HostInstallError(StripeFdwError):
    """The host cannot be compiled or installed; the message names what is missing."""


@dataclass(frozen=True)
class Build:
    """What a module is built from. The module contains it as JSON."""

    version: str
    python: str
    python_version: str
    postgres: str
    sources: str  # a hash

    @classmethod
    def read(cls, module: Path) -> Build | None:
        """Read it from a module; None if that is missing or not of this package."""
        try:
            content = module.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        start = content.find(_BUILD_MARK)
        if start < 0:
            return None
        text = content[start + len(_BUILD_MARK) : content.index(b"\0", start)]
        try:
            return cls(**json.loads(text))
        except (ValueError, TypeError):
            return None

    @classmethod
    def of(cls, installation: PostgresInstallation, python: Python, test_tables: Path | None = None) -> Build:
        """Describe a module that would be built now."""
        digest = hashlib.sha256()
        for source in _sources():
            digest.update(source.name.encode() + b"\0" + source.read_bytes() + b"\0")
        digest.update(writable_tables().encode() + b"\0")
        digest.update(f"{installation.show('cppflags')}\0{asdict(python)}\0{test_tables or ''}".encode())
        return cls(
            __version__,
            python.executable,
            python.version,
            installation.show("version"),
            digest.hexdigest()[:16],
        )


def install(
    installation: PostgresInstallation,
    *,
    python: str,
    pkglibdir: Path | None = None,
    extensiondir: Path | None = None,
    test_tables: Path | None = None,
) -> bool:
    """Compile the extension and copy it to its place, unless the same is installed already.

    Args:
        installation: the Postgres to build for.
        python: the interpreter that the backends start, usually a venv's.
        pkglibdir: where the module goes; the installation's own folder if None.
        extensiondir: where control and SQL files go; the installation's own folder if None.
        test_tables: for this package's tests: a Python file whose tables are served instead.

    Returns:
        True if anything was installed.

    Raises:
        HostInstallError: a program or header is missing, compiling fails, or a folder cannot be written.
    """
    modules = pkglibdir or installation.pkglibdir
    extensions = extensiondir or installation.sharedir / "extension"
    described = describe(python)
    _write_bytecode(described)
    build = Build.of(installation, described, test_tables)
    data = [SOURCES / "stripe_fdw.control", *sorted(SOURCES.glob("stripe_fdw--*.sql"))]
    if Build.read(modules / MODULE) == build and all(_is_same(file, extensions / file.name) for file in data):
        return False
    _require(installation, described)
    with tempfile.TemporaryDirectory(prefix="stripe-fdw-build-") as directory:
        module = _compile(Path(directory), installation, described, build, test_tables)
        try:
            for file in data:
                _replace(file, extensions / file.name)
            # The module last: an installed module means that the other files are installed too.
            _replace(module, modules / MODULE)
        except OSError as error:
            raise HostInstallError(
                f"cannot install into {error.filename2 or error.filename}: {error.strerror}",
                hint="Run it as root, or as the user that PostgreSQL is installed by.",
            ) from error
    return True


def is_ours(module: Path) -> bool:
    """Return True if a module was compiled by ``install``, of whichever version."""
    try:
        return _BUILD_MARK in module.read_bytes()
    except OSError:
        return False


def _write_bytecode(python: Python) -> None:
    """Have the bytecode of what backends load written beside it, where that may be.

    Not all installers of packages write it, and the server's OS user may not: without it, each backend would
    compile the package and its dependencies anew, which takes several times as long as loading them.
    """
    # Isolated, so that no PYTHONDONTWRITEBYTECODE counts. Backends themselves say why an import fails.
    subprocess.run(
        [python.executable, "-I", "-c", "import stripe_fdw.host.preload"],
        check=False,
        capture_output=True,
    )


def _sources() -> list[Path]:
    return [
        *sorted((SOURCES / "c").glob("*.[ch]")),
        SOURCES / "Makefile",
        SOURCES / "exports.map",
    ]


def _is_same(file: Path, installed: Path) -> bool:
    try:
        return file.read_bytes() == installed.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return False


def _replace(file: Path, target: Path) -> None:
    """Copy to ``target`` in one step: a backend that loads it meanwhile gets the old or the new file."""
    target.parent.mkdir(parents=True, exist_ok=True)
    new = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        shutil.copyfile(file, new)
        new.chmod(0o755 if target.suffix == ".so" else 0o644)
        new.rename(target)
    except OSError:
        new.unlink(missing_ok=True)
        raise


def _require(installation: PostgresInstallation, python: Python) -> None:
    headers = Path(installation.show("includedir-server"))
    requirements = [
        (not shutil.which("make"), "make", "make"),
        (not any(map(shutil.which, _COMPILERS)), "a C compiler", "gcc"),
        (
            not (headers / "postgres.h").exists() or not Path(installation.show("pgxs")).exists(),
            f"the server headers of PostgreSQL {installation.major}",
            f"postgresql-server-dev-{installation.major}",
        ),
        (
            not (Path(python.include) / "Python.h").exists(),
            f"the headers of Python {python.version}",
            f"python{python.series}-dev",
        ),
    ]
    lacking = [(name, package) for is_missing, name, package in requirements if is_missing]
    if lacking:
        raise HostInstallError(
            f"missing to compile the host: {', '.join(name for name, _ in lacking)}",
            hint=f"On Debian and Ubuntu: apt install {' '.join(package for _, package in lacking)}",
        )
    if python.library is None:
        raise HostInstallError(
            f"{python.executable} has no libpython{python.series}.so, which a backend has to load",
            hint=f"On Debian and Ubuntu: apt install libpython{python.series}. "
            "A Python built by hand or by pyenv needs --enable-shared.",
        )


def _compile(
    directory: Path,
    installation: PostgresInstallation,
    python: Python,
    build: Build,
    test_tables: Path | None,
    *,
    strict: bool = False,
) -> Path:
    """Compile the module in ``directory``.

    Only this package's tests are ``strict``, where a warning is an error: which warnings there are depends on
    the compiler, and a user's is not one of ours.
    """
    shutil.copytree(SOURCES / "c", directory / "c")
    for file in ("Makefile", "exports.map", "stripe_fdw.control"):
        shutil.copy2(SOURCES / file, directory)
    # Values that would need quoting for make and the shell go into a header.
    lines = {
        "STRIPE_FDW_PYTHON": python.executable,
        "STRIPE_FDW_VERSION": build_identity(),
        "STRIPE_FDW_BUILD": _BUILD_MARK.decode() + json.dumps(asdict(build)),
    }
    if test_tables is not None:
        lines["STRIPE_FDW_TEST_TABLES"] = str(test_tables)
    (directory / "c" / "build.h").write_text(
        "".join(f"#define {name} {json.dumps(value)}\n" for name, value in lines.items())
    )
    (directory / "c" / "writable_tables.h").write_text(writable_tables())
    assert python.library is not None  # _require() checked it
    command = [
        "make", "-s", f"-j{min(os.cpu_count() or 1, 4)}", "with_llvm=no",
        f"PG_CONFIG={installation.pg_config}", f"PYTHON_INCLUDE={python.include}",
        f"PYTHON_LIBDIR={Path(python.library).parent}", f"PYTHON_LIBRARY={Path(python.library).name}",
    ]  # fmt: skip
    if strict:
        command.append("STRICT=yes")
    if not shutil.which(installation.show("cc").split()[0]):  # PostgreSQL was built with another compiler
        command.append(f"CC={next(filter(shutil.which, _COMPILERS))}")
    inherited = ("MAKEFLAGS", "MAKELEVEL", "CFLAGS")
    environment = {key: value for key, value in os.environ.items() if key not in inherited}
    done = subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, errors="replace", check=False
    )
    module = directory / MODULE
    if done.returncode != 0 or not module.exists():
        raise HostInstallError(
            f"the host does not compile against {installation.show('version')} and Python {python.version}",
            detail="\n".join((done.stdout + done.stderr).splitlines()[-30:]),
        )
    return module
