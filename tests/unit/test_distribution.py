"""The built distributions: a wheel made from the source distribution works in a clean environment."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from stripe_fdw.host.postgres_installation import PostgresInstallation
from stripe_fdw.version import __version__

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "sql").rglob("*.sql"))


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command with no setting of this package's; return what it prints."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("STRIPE", "PYTHON")) and name != "DATABASE_URL"
    }
    completed = subprocess.run(
        list(map(str, command)), capture_output=True, check=False, cwd=cwd, env=environment, text=True
    )
    assert completed.returncode == 0, completed.stdout + completed.stderr
    return completed.stdout


def build(target: str, source: Path, folder: Path) -> Path:
    run(sys.executable, "-m", "hatchling", "build", "-t", target, "-d", folder, cwd=source)
    (built,) = folder.iterdir()
    return built


@dataclass(frozen=True)
class Distributions:
    source: Path  # .tar.gz
    wheel: Path  # made from it, not from the checkout


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Distributions:
    folder = tmp_path_factory.mktemp("distributions")
    source = build("sdist", ROOT, folder / "source")
    with tarfile.open(source) as archive:
        archive.extractall(folder, filter="data")
    return Distributions(source, build("wheel", folder / f"stripe_fdw-{__version__}", folder / "wheel"))


@pytest.fixture(scope="module")
def command(distributions: Distributions, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command of an environment that has the wheel, and everything else from this one."""
    environment = tmp_path_factory.mktemp("environment")
    venv.create(environment, symlinks=True)
    python = environment / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index")
    run(*pip, distributions.wheel, cwd=environment)
    # Dependencies are taken from where the tests run, so that nothing is downloaded. Their path comes after
    # the new environment's own. Its .pth files, one of which leads to the checkout, are not read.
    (packages,) = environment.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    location = run(python, "-c", "import stripe_fdw; print(stripe_fdw.__file__)", cwd=environment)
    assert Path(location.strip()).is_relative_to(packages)
    return environment / "bin" / "stripe-fdw"


def test_both_hold_every_sql_script(distributions: Distributions) -> None:
    assert "sql/live_call.sql" in SCRIPTS
    with tarfile.open(distributions.source) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert [script for script in SCRIPTS if script not in names] == []
    with zipfile.ZipFile(distributions.wheel) as archive:
        scripts = [name for name in archive.namelist() if name.startswith("stripe_fdw/sql/")]
    assert sorted(scripts) == [f"stripe_fdw/{script}" for script in SCRIPTS]


def test_the_wheel_holds_what_the_checkout_has(distributions: Distributions) -> None:
    with zipfile.ZipFile(distributions.wheel) as archive:
        names = set(archive.namelist())
    for package in ("stripe_fdw", "stripe_simulator"):
        for path in (ROOT / "src" / package).rglob("*"):
            if path.is_file() and path.suffix not in (".pyc", ".o", ".so", ".bc"):
                assert path.relative_to(ROOT / "src").as_posix() in names


def test_the_installed_wheel_finds_its_sql(command: Path, tmp_path: Path) -> None:
    program = (
        "from stripe_fdw.database.sql_scripts import read_scripts\n"
        "folders = ((), ('copies',), ('events',), ('multicorn2',), ('servers',), ('write_through',))\n"
        "print(sum(len([*read_scripts(*folder)]) for folder in folders))"
    )
    assert run(command.with_name("python"), "-c", program, cwd=tmp_path) == f"{len(SCRIPTS)}\n"


def test_the_installed_command_prints_its_version(command: Path, tmp_path: Path) -> None:
    assert run(command, "--version", cwd=tmp_path).startswith(f"stripe-fdw {__version__}, Stripe API ")


def test_the_installed_command_shows_the_catalog(command: Path, tmp_path: Path) -> None:
    assert "subscription" in run(command, "catalog", cwd=tmp_path)
    assert "finalize" in run(command, "catalog", "invoice", cwd=tmp_path)


def test_the_installed_command_installs_the_host(command: Path, tmp_path: Path) -> None:
    installation = PostgresInstallation.find()
    run(
        command, "host", "install", "--pg-config", installation.pg_config, "--destdir", tmp_path, cwd=tmp_path
    )
    assert (tmp_path / installation.pkglibdir.relative_to("/") / "stripe_fdw.so").exists()
    extensions = tmp_path / installation.sharedir.relative_to("/") / "extension"
    assert {file.name for file in extensions.iterdir()} == {"stripe_fdw.control", "stripe_fdw--0.1.sql"}
