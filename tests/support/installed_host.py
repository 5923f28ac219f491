"""The bundled host in a private installation, compiled once for all workers and kept between runs."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from stripe_fdw.devstack.private_postgres import PrivateInstallation
from stripe_fdw.host import install as host_install
from stripe_fdw.host.postgres_installation import PostgresInstallation

BUILDS = Path(__file__).parents[2] / "build" / "hosts"
KEPT = 24  # a few for each version of Postgres


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Keep other workers out while something that all of them use is made."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def compiled_once() -> Iterator[None]:
    """Have ``install`` take a module that was compiled before from the same sources for the same Python.

    Here, other than at a user's, a compiler's warning is an error.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(host_install, "_compile", _kept(host_install._compile))
        yield


def _kept(compile_module: Callable[..., Path]) -> Callable[..., Path]:
    def compiled(directory: Path, installation: Any, python: Any, build: Any, test_tables: Any) -> Path:
        name = hashlib.sha256(repr(build).encode()).hexdigest()[:24]
        module = BUILDS / f"{name}.so"
        with locked(BUILDS / "lock"):
            if not module.exists():
                compiled_module = compile_module(
                    directory, installation, python, build, test_tables, strict=True
                )
                shutil.copyfile(compiled_module, module.with_suffix(".new"))  # from another file system
                module.with_suffix(".new").rename(module)
            module.touch()  # used now: the least recently used go
            if len(list(BUILDS.glob("*.so"))) > KEPT:
                newest_first = sorted(BUILDS.glob("*.so"), key=lambda file: -file.stat().st_mtime)
                for old in newest_first[KEPT:]:
                    old.unlink()
            shutil.copyfile(module, directory / host_install.MODULE)
        return directory / host_install.MODULE

    return compiled


def installed_tree(name: str, test_tables: Path | None = None) -> PrivateInstallation:
    """Lay a private installation with the bundled host; ``test_tables`` is a file of tables to serve instead.

    It is kept between runs, for each version of Postgres one.
    """
    installation = PostgresInstallation.find()
    root = BUILDS.parent / f"{name}-{installation.major}"
    tree = PrivateInstallation(root, installation)
    with locked(root.with_suffix(".lock")), compiled_once():
        tree.build()
        host_install.install(
            tree.system,
            python=sys.executable,
            pkglibdir=tree.pkglibdir,
            extensiondir=tree.extensiondir,
            test_tables=test_tables,
        )
    return tree
