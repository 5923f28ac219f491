"""Installing the bundled host: what is missing is named, what is there is left alone."""

from __future__ import annotations

import importlib.util
import json
import os
import pwd
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stripe_fdw.cli.host import app
from stripe_fdw.errors import OptionError
from stripe_fdw.host import install as module
from stripe_fdw.host.check import check
from stripe_fdw.host.install import Build, HostInstallError, install
from stripe_fdw.host.postgres_installation import PostgresInstallation
from stripe_fdw.host.python import Python, PythonError, describe, unreachable_folder
from stripe_fdw.host.server_user import server_user, try_as
from support.installed_host import compiled_once

CURRENT_USER = pwd.getpwuid(os.geteuid()).pw_name


@dataclass(frozen=True)
class Installed:
    """The folders into which the fixture has installed the host."""

    installation: PostgresInstallation
    pkglibdir: Path
    extensiondir: Path

    def again(self) -> bool:
        return install(
            self.installation, python=sys.executable, pkglibdir=self.pkglibdir, extensiondir=self.extensiondir
        )

    def arguments(self) -> list[str]:
        folders = ["--pkglibdir", str(self.pkglibdir), "--extensiondir", str(self.extensiondir)]
        return ["--pg-config", self.installation.pg_config, "--server-user", CURRENT_USER, *folders]


@pytest.fixture(scope="module", autouse=True)
def compiled() -> Iterator[None]:
    """One compiled module serves all tests: they differ in what they do with it."""
    with compiled_once():
        yield


@pytest.fixture(scope="module")
def installed(compiled: None, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    root = tmp_path_factory.mktemp("installed")
    installation = Installed(PostgresInstallation.find(), root / "lib", root / "extension")
    assert installation.again()
    return installation


def files(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_it_puts_module_control_and_sql(installed: Installed) -> None:
    assert set(files(installed.pkglibdir)) == {"stripe_fdw.so"}
    assert set(files(installed.extensiondir)) == {"stripe_fdw.control", "stripe_fdw--0.1.sql"}


def test_a_second_run_compiles_nothing(installed: Installed, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*arguments: object) -> None:
        raise AssertionError("compiled again")

    monkeypatch.setattr(module, "_compile", never)
    assert not installed.again()


@pytest.mark.parametrize("loaded", ["host.bridge", "fdw.reading.rows", "fdw.writing.statement", "api.client"])
def test_it_writes_the_bytecode_that_the_servers_user_may_not_write(
    installed: Installed, loaded: str
) -> None:
    spec = importlib.util.find_spec(f"stripe_fdw.{loaded}")
    assert spec is not None
    assert spec.origin is not None
    bytecode = Path(importlib.util.cache_from_source(spec.origin))
    bytecode.unlink(missing_ok=True)
    installed.again()
    assert bytecode.exists()


def test_a_changed_file_is_replaced(installed: Installed) -> None:
    control = installed.extensiondir / "stripe_fdw.control"
    before = control.read_bytes()
    control.write_text("changed")
    assert installed.again()
    assert control.read_bytes() == before


def test_other_sources_are_compiled_anew(installed: Installed, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = Build.of(installed.installation, describe(sys.executable))
    assert Build.read(installed.pkglibdir / "stripe_fdw.so") == wanted
    monkeypatch.setattr(module, "__version__", "99")
    assert Build.of(installed.installation, describe(sys.executable)) != wanted


def test_the_module_exports_only_what_postgres_looks_for(installed: Installed) -> None:
    content = (installed.pkglibdir / "stripe_fdw.so").read_bytes()
    assert b"Pg_magic_func" in content
    assert (module.SOURCES / "exports.map").read_text().count("stripe_fdw_") == 2


@pytest.mark.parametrize(
    ("change", "missing", "package"),
    [
        ({"include": "/nowhere"}, "the headers of Python", "-dev"),
        ({"library": None}, "has no libpython", "libpython"),
    ],
)
def test_missing_parts_of_python_are_named(
    change: dict[str, str], missing: str, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lacking = replace(describe(sys.executable), **change)
    monkeypatch.setattr(module, "describe", lambda python: lacking)
    with pytest.raises(HostInstallError, match=missing) as caught:
        install(PostgresInstallation.find(), python=sys.executable, pkglibdir=tmp_path, extensiondir=tmp_path)
    assert package in str(caught.value.hint)
    assert not list(tmp_path.iterdir())


def test_missing_parts_of_the_system_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.shutil, "which", lambda name: None)
    monkeypatch.setattr(
        PostgresInstallation,
        "show",
        lambda self, variable: {"version": "PostgreSQL 15.1"}.get(variable, "/no"),
    )
    with pytest.raises(HostInstallError) as caught:
        install(
            PostgresInstallation("pg_config"),
            python=sys.executable,
            pkglibdir=tmp_path,
            extensiondir=tmp_path,
        )
    assert caught.value.message == (
        "missing to compile the host: make, a C compiler, the server headers of PostgreSQL 15"
    )
    assert caught.value.hint == "On Debian and Ubuntu: apt install make gcc postgresql-server-dev-15"


def test_a_compiler_error_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "__version__", "broken")  # so that nothing compiled before is taken
    monkeypatch.setattr(module.json, "dumps", lambda value: '"unfinished')
    with pytest.raises(HostInstallError, match="does not compile") as caught:
        install(PostgresInstallation.find(), python=sys.executable, pkglibdir=tmp_path, extensiondir=tmp_path)
    assert "error" in str(caught.value.detail)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HostInstallError, match="cannot install into") as caught:
        install(
            PostgresInstallation.find(),
            python=sys.executable,
            pkglibdir=tmp_path / "file" / "lib",
            extensiondir=tmp_path / "file" / "extension",
        )
    assert "as root" in str(caught.value.hint)


def test_a_python_that_does_not_run() -> None:
    with pytest.raises(PythonError, match="cannot run /nowhere/python"):
        describe("/nowhere/python")


def test_a_venvs_python_is_not_resolved() -> None:
    assert describe(sys.executable).executable == sys.executable
    assert Python("/v/python", "3.12.4", "", None).series == "3.12"


def test_folders_that_others_may_not_enter(tmp_path: Path) -> None:
    python = tmp_path / "closed" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("")
    (tmp_path / "closed").chmod(0o700)
    folder = unreachable_folder(str(python))
    assert folder is not None
    assert folder in python.parents


@pytest.fixture
def closed_python(tmp_path: Path) -> Path:
    """An interpreter in a folder that the server's OS user may not enter."""
    python = tmp_path / "closed" / "python"
    python.parent.mkdir()
    python.symlink_to(sys.executable)
    python.parent.chmod(0o700 if os.geteuid() == 0 else 0o600)
    return python


def other_user() -> pwd.struct_passwd:
    """The user of a server that root starts; another user can only try as itself."""
    return pwd.getpwnam("nobody" if os.geteuid() == 0 else CURRENT_USER)


def test_a_python_that_the_servers_user_cannot_enter_is_found_by_starting_it(closed_python: Path) -> None:
    trial = try_as(other_user(), str(closed_python))
    assert f"cannot start {closed_python}" in str(trial.failure)
    assert other_user().pw_name in str(trial.failure)
    assert "-m venv" in str(trial.hint)


def test_the_trial_maps_the_shared_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "shared"
    monkeypatch.setenv("STRIPE_FDW_SHARED_DIRECTORY", str(folder))
    current = pwd.getpwuid(os.geteuid())
    trial = try_as(current, sys.executable)
    assert (trial.failure, trial.shared_folder) == (None, str(folder))
    assert any(folder.iterdir())
    folder.chmod(0o755)
    trial = try_as(current, sys.executable)
    assert "its mode must be 0700" in str(trial.failure)
    assert "STRIPE_FDW_SHARED_DIRECTORY" in str(trial.hint)


def test_a_python_without_the_package_is_named(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho \"ModuleNotFoundError: No module named 'stripe_fdw'\" >&2; exit 1\n")
    python.chmod(0o755)
    trial = try_as(pwd.getpwuid(os.geteuid()), str(python))
    assert f"cannot start {python}: ModuleNotFoundError: No module named 'stripe_fdw'" in str(trial.failure)


def test_a_user_that_does_not_exist_is_refused() -> None:
    with pytest.raises(OptionError, match='--server-user "no_such_user" is no user of this machine'):
        server_user("no_such_user")


def test_install_warns_before_it_compiles(
    closed_python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> bool:
        raise HostInstallError("compiling begins")

    monkeypatch.setattr("stripe_fdw.cli.host.install_host", refuse)
    monkeypatch.setattr("sys.executable", str(closed_python))
    arguments = ["--pkglibdir", str(tmp_path / "lib"), "--extensiondir", str(tmp_path / "extension")]
    done = CliRunner().invoke(app, ["install", "--server-user", other_user().pw_name, *arguments])
    assert "warning: the server's OS user" in done.output
    assert isinstance(done.exception, HostInstallError)


def test_other_files_are_not_builds(tmp_path: Path) -> None:
    assert Build.read(tmp_path / "nothing") is None
    for content in (
        b"",
        b"\x7fELF",
        b"stripe-fdw-build:{\0",
        b"stripe-fdw-build:" + json.dumps({"a": 1}).encode() + b"\0",
    ):
        (tmp_path / "file").write_bytes(content)
        assert Build.read(tmp_path / "file") is None


def test_check_of_what_fits(installed: Installed) -> None:
    results = check(
        installed.installation,
        python=sys.executable,
        pkglibdir=installed.pkglibdir,
        extensiondir=installed.extensiondir,
        user=CURRENT_USER,
    )
    assert {result.subject for result in results if not result.ok} == set()
    assert any("loads from" in result.finding for result in results)


def test_check_of_what_is_not_there(tmp_path: Path) -> None:
    [result] = check(
        PostgresInstallation.find(), python=sys.executable, pkglibdir=tmp_path, extensiondir=tmp_path
    )
    assert not result.ok
    assert "is missing" in result.finding


def test_check_of_another_version(installed: Installed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stripe_fdw.host.check.__version__", "99")
    monkeypatch.setattr(module, "__version__", "99")
    results = {
        result.subject: result
        for result in check(
            installed.installation,
            python=sys.executable,
            pkglibdir=installed.pkglibdir,
            extensiondir=installed.extensiondir,
        )
    }
    assert not results["package version"].ok
    assert "but this is 99" in results["package version"].finding
    assert "host install" in str(results["package version"].hint)


def test_the_commands(installed: Installed) -> None:
    done = CliRunner().invoke(app, ["install", *installed.arguments()])
    assert done.exit_code == 0
    assert "nothing to do" in done.output
    done = CliRunner().invoke(app, ["check", *installed.arguments()])
    assert done.exit_code == 0, done.output
    assert "built from" in done.output
    done = CliRunner().invoke(app, ["install", "--json", *installed.arguments()])
    assert json.loads(done.stdout) == {
        "changed": False,
        "pkglibdir": str(installed.pkglibdir),
        "extensiondir": str(installed.extensiondir),
        "warning": None,
        "hint": None,
    }
    done = CliRunner().invoke(app, ["check", "--json", *installed.arguments()])
    results = json.loads(done.stdout)
    assert (done.exit_code, [item["ok"] for item in results]) == (0, [True] * len(results))
    assert results[0] == {
        "subject": "installed",
        "finding": str(installed.pkglibdir / "stripe_fdw.so"),
        "ok": True,
        "hint": None,
    }
    done = CliRunner().invoke(app, ["check", "--json", "--pkglibdir", "/nowhere"])
    (result,) = json.loads(done.stdout)
    assert (done.exit_code, result["ok"]) == (1, False)
    assert "host install" in result["hint"]
    done = CliRunner().invoke(
        app, ["check", "--pg-config", installed.installation.pg_config, "--pkglibdir", "/nowhere"]
    )
    assert done.exit_code == 1


def test_destdir(installed: Installed, tmp_path: Path) -> None:
    done = CliRunner().invoke(
        app, ["install", "--pg-config", installed.installation.pg_config, "--destdir", str(tmp_path)]
    )
    assert done.exit_code == 0, done.output
    assert (tmp_path / installed.installation.pkglibdir.relative_to("/") / "stripe_fdw.so").exists()
    sql = tmp_path / installed.installation.sharedir.relative_to("/") / "extension" / "stripe_fdw--0.1.sql"
    assert sql.exists()
