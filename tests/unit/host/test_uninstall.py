"""Removing the bundled host: its files go, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from stripe_fdw.cli.host import app
from stripe_fdw.host.install import HostInstallError
from stripe_fdw.settings import settings

MODULE = b"\x7fELF ... stripe-fdw-build:{}\0 ..."


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """The folders of a Postgres that has the host, and other extensions."""
    modules, extensions = tmp_path / "lib", tmp_path / "extension"
    modules.mkdir()
    extensions.mkdir()
    for file in ("stripe_fdw.control", "stripe_fdw--0.1.sql", "stripe_fdw--0.0--0.1.sql"):
        (extensions / file).write_text("")
    for file in ("stripe_fdw_more.control", "hstore.control", "hstore--1.8.sql"):
        (extensions / file).write_text("")
    (modules / "stripe_fdw.so").write_bytes(MODULE)
    (modules / "hstore.so").write_bytes(b"")
    return modules, extensions


def run(folders: tuple[Path, Path], *arguments: str, **variables: str | None) -> Result:
    settings.cache_clear()
    names = ["--pkglibdir", str(folders[0]), "--extensiondir", str(folders[1])]
    env: dict[str, str | None] = {"DATABASE_URL": None, "PG_CONFIG": None, **variables}
    result = CliRunner().invoke(app, ["uninstall", *names, *arguments], env=env)
    settings.cache_clear()
    return result


def present(folders: tuple[Path, Path]) -> set[str]:
    return {file.name for folder in folders for file in folder.iterdir()}


def test_its_files_are_removed_and_no_others(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")  # neither a compiler nor a pg_config
    result = run(folders)
    assert result.exit_code == 0, result.exception
    assert result.stdout.count("removed ") == 4
    assert "no server was asked whether a database" in result.output
    assert present(folders) == {"stripe_fdw_more.control", "hstore.control", "hstore--1.8.sql", "hstore.so"}
    again = run(folders)
    assert (again.exit_code, again.output.split(":")[0]) == (0, "nothing to do")


def test_a_module_of_others_is_left_alone(folders: tuple[Path, Path]) -> None:
    (folders[0] / "stripe_fdw.so").write_bytes(b"\x7fELF of another package")
    before = present(folders)
    result = run(folders)
    assert isinstance(result.exception, HostInstallError)
    assert "is not of this package" in result.exception.message
    assert present(folders) == before


def test_a_server_that_does_not_answer_is_told_and_can_be_passed_over(folders: tuple[Path, Path]) -> None:
    before = present(folders)
    url = "postgresql://127.0.0.1:9/app"
    result = run(folders, DATABASE_URL=url)
    assert "Nothing was removed" in str(getattr(result.exception, "hint", ""))
    assert present(folders) == before
    assert run(folders, "--force", DATABASE_URL=url).exit_code == 0
    assert "stripe_fdw.so" not in present(folders)


def test_a_file_that_cannot_be_removed_is_named(folders: tuple[Path, Path]) -> None:
    (folders[1] / "stripe_fdw.control").unlink()
    (folders[1] / "stripe_fdw.control").mkdir()  # which not even root can remove as a file
    result = run(folders)
    assert isinstance(result.exception, HostInstallError)
    assert str(folders[1] / "stripe_fdw.control") in result.exception.message
    assert "stripe_fdw.so" in present(folders)  # the last to go
