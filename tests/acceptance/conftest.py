"""Fixtures that run the command line in processes of their own, and a development stack."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from stripe_fdw.devstack.stack import Stack, StackError

Run = Callable[..., subprocess.CompletedProcess[str]]


def command_line(folder: Path) -> Run:
    """Return a function that runs ``stripe-fdw`` in a folder, with the given settings only."""

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("STRIPE", "PG")) and name != "DATABASE_URL"
        }
        if "PG_CONFIG" in os.environ:
            inherited["PG_CONFIG"] = os.environ["PG_CONFIG"]
        return subprocess.run(
            [str(Path(sys.executable).with_name("stripe-fdw")), *arguments],
            capture_output=True,
            check=False,
            cwd=folder,
            env={**inherited, **environment},
            text=True,
            timeout=240,
        )

    return run


@pytest.fixture(scope="module")
def module_stripe_fdw(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run ``stripe-fdw`` in a folder that the tests of a module share."""
    return command_line(tmp_path_factory.mktemp("folder"))


@pytest.fixture
def stripe_fdw(tmp_path: Path) -> Run:
    """Run ``stripe-fdw`` in an empty folder."""
    return command_line(tmp_path)


@dataclass(frozen=True)
class RunningStack:
    """A stack that runs, and the command line in its folder."""

    folder: Path
    stripe_fdw: Run

    @property
    def variables(self) -> dict[str, str]:
        """The variables that ``stripe-fdw dev env`` exports.

        Raises:
            StackError: the stack does not run.
        """
        return Stack(self.folder / ".dev").environment()

    @property
    def database(self) -> str:
        return self.variables["DATABASE_URL"]

    def up(self, **environment: str) -> None:
        result = self.stripe_fdw("dev", "up", "--customers", "50", **environment)
        assert result.returncode == 0, result.stderr


@pytest.fixture(scope="module")
def module_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """One stack for the tests of a module, in a folder of an odd name. It is stopped also after failures."""
    folder = tmp_path_factory.mktemp("stack") / "with space, d&e" / "p%41q o'k"
    folder.mkdir(parents=True)
    stack = RunningStack(folder, command_line(folder))
    try:
        stack.up()
        yield stack
    finally:
        stack.stripe_fdw("dev", "down")
        assert processes_of(folder) == []


@pytest.fixture
def stack(module_stack: RunningStack) -> RunningStack:
    """A running stack: it is started again if an earlier test has stopped it."""
    try:
        module_stack.variables  # noqa: B018 - raises if it does not run
    except StackError:
        module_stack.up()
    return module_stack


def processes_of(directory: Path) -> list[str]:
    """Return the command lines of processes that run in a directory or name it."""
    commands = []
    for process in Path("/proc").iterdir():
        if not process.name.isdigit() or int(process.name) == os.getpid():
            continue
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            working_directory = str((process / "cwd").readlink())
        except OSError:
            continue
        if str(directory) in command or working_directory.startswith(str(directory)):
            commands.append(command)
    return commands


@pytest.fixture
def leaves_no_process(tmp_path: Path) -> Iterator[None]:
    """Check after the test that no process runs in its folder or names it."""
    yield
    assert processes_of(tmp_path) == []
