"""A PostgreSQL installation: which hosts can run there."""

from __future__ import annotations

import sys
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from stripe_fdw.host import postgres_installation
from stripe_fdw.host.postgres_installation import PostgresInstallation

PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"
CAN_IMPORT = "#!/bin/sh\nexit 0\n"
CANNOT_IMPORT = "#!/bin/sh\nexit 1\n"


def installation(folder: Path, module: bool = True) -> PostgresInstallation:
    """An installation whose extensions lie in a folder, with Multicorn2's module or without."""
    if module:
        (folder / "multicorn.so").touch()
    postgres = PostgresInstallation("pg_config")
    vars(postgres)["pkglibdir"] = folder
    return postgres


def links(monkeypatch: pytest.MonkeyPatch, library: Path) -> None:
    """Have ``multicorn.so`` link this Python library."""
    run = postgres_installation.subprocess.run

    def answer(command: list[str], **options: Any) -> CompletedProcess[str]:
        if command[0] == "ldd":
            return CompletedProcess(command, 0, f"\t{library.name} => {library} (0x00007f409be00000)\n")
        return run(command, **options)

    monkeypatch.setattr(postgres_installation.subprocess, "run", answer)


def interpreter(prefix: Path, script: str, name: str = PYTHON) -> Path:
    """An interpreter below a prefix, which imports ``multicorn`` or does not; returns its library."""
    (prefix / "bin").mkdir(parents=True)
    (prefix / "bin" / name).write_text(script)
    (prefix / "bin" / name).chmod(0o755)
    return prefix / "lib" / "x86_64-linux-gnu" / f"lib{name}.so.1.0"


def test_without_multicorn_there_is_the_bundled_host(tmp_path: Path) -> None:
    assert installation(tmp_path, module=False).hosts() == ["bundled"]
    assert installation(tmp_path, module=False).multicorn_python() is None


def test_multicorn_is_there_where_its_python_can_import_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    links(monkeypatch, interpreter(tmp_path / "usr", CAN_IMPORT))
    postgres = installation(tmp_path)
    assert postgres.multicorn_python() == tmp_path / "usr" / "bin" / PYTHON
    assert postgres.hosts() == ["bundled", "multicorn2"]


@pytest.mark.parametrize(
    ("script", "name"),
    [(CANNOT_IMPORT, PYTHON), (CAN_IMPORT, "python3.6")],
    ids=["no module", "another Python"],
)
def test_a_module_alone_is_no_host(
    script: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    links(monkeypatch, interpreter(tmp_path / "usr", script, name))
    assert installation(tmp_path).hosts() == ["bundled"]


def test_a_library_without_an_interpreter_is_no_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    links(monkeypatch, tmp_path / "lib" / f"lib{PYTHON}.so.1.0")
    assert installation(tmp_path).hosts() == ["bundled"]
