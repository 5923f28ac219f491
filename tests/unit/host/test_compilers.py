"""Compiling the bundled host with a user's compiler, which need not be the one that built PostgreSQL."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from stripe_fdw.host import install as module
from stripe_fdw.host.install import HostInstallError, install
from stripe_fdw.host.postgres_installation import PostgresInstallation
from support.installed_host import compiled_once

Compiler = Callable[..., Path]
UNUSED = "static int unused;\n"  # a warning of -Wall


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Sources of one file, whose compiler warns."""
    folder = tmp_path / "host"
    (folder / "c").mkdir(parents=True)
    for name in ("Makefile", "exports.map", "stripe_fdw.control", "stripe_fdw--0.1.sql"):
        shutil.copy(module.SOURCES / name, folder)
    (folder / "c" / "one.c").write_text(
        '#include "postgres.h"\n#include "fmgr.h"\n#include "build.h"\nPG_MODULE_MAGIC;\n'
        f"static const char build[] __attribute__((used)) = STRIPE_FDW_BUILD;\n{UNUSED}"
    )
    monkeypatch.setattr(module, "SOURCES", folder)
    return folder


@pytest.fixture
def compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Compiler:
    """Put a compiler on the PATH that does not take some flags; it writes down how it was called."""
    real = shutil.which("gcc") or shutil.which("cc")
    assert real is not None
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def put(name: str, unknown: str = "") -> Path:
        calls = tmp_path / f"{name}.calls"
        refuse = f'{unknown}) echo "unrecognized option $flag" >&2; exit 1 ;;' if unknown else ""
        (folder / name).write_text(
            f'#!/bin/sh\necho "$*" >>{calls}\n'
            f'for flag; do case $flag in {refuse} esac; done\nexec {real} "$@"\n'
        )
        (folder / name).chmod(0o755)
        return calls

    return put


def install_into(folder: Path) -> bool:
    return install(
        PostgresInstallation.find(),
        python=sys.executable,
        pkglibdir=folder / "lib",
        extensiondir=folder / "ext",
    )


def compiling(calls: Path) -> list[list[str]]:
    """Return the flags of the calls that compile or link the module; the others ask which flags are known."""
    return [line.split() for line in calls.read_text().splitlines() if "/dev/null" not in line.split()]


def test_a_warning_is_no_error_at_a_users(sources: Path, tmp_path: Path) -> None:
    assert install_into(tmp_path)


def test_a_warning_is_an_error_in_the_tests_of_this_package(sources: Path, tmp_path: Path) -> None:
    with compiled_once(), pytest.raises(HostInstallError, match="does not compile") as caught:
        install_into(tmp_path)
    assert "unused" in str(caught.value.detail)


def test_flags_that_the_compiler_does_not_know_are_left_out(
    sources: Path, tmp_path: Path, compiler: Compiler
) -> None:
    installation = PostgresInstallation.find()
    assert {"-Wmissing-prototypes", "-fwrapv"} <= set(installation.show("cflags").split())
    assert "-Wl,--as-needed" in installation.show("ldflags").split()
    cc = installation.show("cc").split()[0]
    calls = compiler(cc, "-Wmissing-prototypes|-Wl,--as-needed")
    assert install_into(tmp_path)
    compiled, linked = compiling(calls)
    assert "-Wmissing-prototypes" not in compiled
    assert set(installation.show("cflags").split()) - {"-Wmissing-prototypes"} <= set(compiled)
    assert "-Wl,--as-needed" not in linked
    assert set(installation.show("ldflags").split()) - {"-Wl,--as-needed"} <= set(linked)


def test_flags_that_the_compiler_knows_are_all_used(
    sources: Path, tmp_path: Path, compiler: Compiler
) -> None:
    installation = PostgresInstallation.find()
    calls = compiler(installation.show("cc").split()[0])
    assert install_into(tmp_path)
    compiled, linked = compiling(calls)
    assert set(installation.show("cflags").split()) <= set(compiled)
    assert set(installation.show("ldflags").split()) <= set(linked)


def test_another_compiler_serves_where_postgres_names_one_that_is_not_there(
    sources: Path, tmp_path: Path, compiler: Compiler, monkeypatch: pytest.MonkeyPatch
) -> None:
    show = PostgresInstallation.show
    monkeypatch.setattr(
        PostgresInstallation,
        "show",
        lambda self, name: "missing-cc -m64" if name == "cc" else show(self, name),
    )
    calls = compiler("cc")
    assert install_into(tmp_path)
    assert len(compiling(calls)) == 2
