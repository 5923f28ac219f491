"""Where the shared file lies: a directory of this OS user alone, or the data directory of this server."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stripe_fdw.errors import OptionError
from stripe_fdw.fdw.backend.standalone import StandaloneHost
from stripe_fdw.fdw.schema.options import ServerOptions
from stripe_fdw.fdw.session import Session
from stripe_fdw.redaction import Secret
from stripe_fdw.shared import memory
from stripe_fdw.shared.directory import directories, use_data_directory
from stripe_fdw.shared.memory import SharedMemory

UNSHARE = ["unshare", "--user", "--map-user=4242"]


class BackendHost(StandaloneHost):
    """A host of a server, which keeps the warnings."""

    def __init__(self, data_directory: Path) -> None:
        self.data_directory = data_directory
        self.warnings: list[tuple[str, str | None, str | None]] = []

    def warn(self, message: str, detail: str | None = None, hint: str | None = None) -> None:
        self.warnings.append((message, detail, hint))


@pytest.fixture
def first(tmp_path: Path) -> Path:
    """A directory that others can open, as if another user had made it."""
    first = tmp_path / "first"
    first.mkdir()
    first.chmod(0o755)
    return first


@pytest.fixture
def second(tmp_path: Path) -> Path:
    return tmp_path / "data" / "pg_stat_tmp" / "stripe_fdw"


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[BackendHost]:
    """A backend whose server has no setting for the file's place."""
    monkeypatch.delenv("STRIPE_FDW_SHARED_DIRECTORY", raising=False)
    yield BackendHost(tmp_path / "data")
    use_data_directory(None)


def test_the_directory_can_be_named(backend: BackendHost, monkeypatch: pytest.MonkeyPatch) -> None:
    Session(backend)
    monkeypatch.setenv("STRIPE_FDW_SHARED_DIRECTORY", "/somewhere/else")
    assert directories() == (Path("/somewhere/else"),)


def test_it_is_the_users_in_memory_or_else_in_the_data_directory(backend: BackendHost, second: Path) -> None:
    use_data_directory(None)
    assert [directory.name for directory in directories()] == [f"stripe-fdw-{os.geteuid()}"]
    Session(backend)
    assert directories()[0].name == f"stripe-fdw-{os.geteuid()}"
    assert directories()[1:] == (second,)


@pytest.mark.skipif(
    shutil.which("unshare") is None
    or subprocess.run([*UNSHARE, "true"], capture_output=True, check=False).returncode != 0,
    reason="this system has no user namespaces",
)
def test_in_a_user_namespace_it_is_named_by_the_user_outside() -> None:
    code = "import os; from stripe_fdw.shared.directory import *; print(os.geteuid(), directories()[0].name)"
    done = subprocess.run(
        [*UNSHARE, sys.executable, "-c", code], capture_output=True, text=True, check=True, env={}, timeout=60
    )
    assert done.stdout.split() == ["4242", f"stripe-fdw-{os.geteuid()}"]


@pytest.mark.parametrize("obstacle", ["mode", "link", "file", "link to a file", "user"])
def test_a_directory_that_is_not_ours_is_passed_over(first: Path, second: Path, obstacle: str) -> None:
    if obstacle == "user":
        if os.geteuid() != 0:
            pytest.skip("only root can give a directory away")
        first.chmod(0o700)
        os.chown(first, 65534, 65534)
    elif obstacle != "mode":
        first.rename(first.with_name("another"))
        first.with_name("another").chmod(0o700)
        if obstacle == "link":
            first.symlink_to("another")
        elif obstacle == "file":
            first.write_text("precious")
        else:
            first.with_name("another").joinpath(memory._FILE_NAME).write_text("precious")
            first.mkdir(mode=0o700)
            first.joinpath(memory._FILE_NAME).symlink_to(f"../another/{memory._FILE_NAME}")
    shared, other = SharedMemory(first, second), SharedMemory(first, second)
    assert str(first) in str(shared.passed_over)
    before = shared.counter(b"customer").read()
    other.counter(b"customer").add()
    assert shared.counter(b"customer").read() == before + 1
    assert (second / memory._FILE_NAME).stat().st_mode & 0o777 == 0o600
    assert second.stat().st_mode & 0o777 == 0o700
    files = [file for file in first.parent.rglob("*") if file.is_file() and second not in file.parents]
    assert all(file.read_text() == "precious" for file in files)


def test_all_move_to_the_first_directory_when_it_can_be_used(
    first: Path, second: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "_RECHECK_SECONDS", 0.0)
    old = SharedMemory(first, second)
    counter = old.counter(b"customer")
    before = counter.read()
    first.chmod(0o700)
    new = SharedMemory(first, second)
    assert (new.passed_over, old.passed_over is not None) == (None, True)
    assert counter.read() != before
    assert old.passed_over is None
    new.counter(b"customer").add()
    assert counter.read() == new.counter(b"customer").read()


def test_all_move_on_when_the_first_directory_is_gone_and_another_users(
    first: Path, second: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "_RECHECK_SECONDS", 0.0)
    first.chmod(0o700)
    counter = SharedMemory(first, second).counter(b"customer")
    before = counter.read()
    shutil.rmtree(first)
    first.mkdir(mode=0o755)
    assert counter.read() != before
    SharedMemory(first, second).counter(b"customer").add()
    assert counter.read() == SharedMemory(first, second).counter(b"customer").read()


def test_the_error_is_that_of_the_first_directory_where_none_can_be_used(first: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OptionError, match=r"first.*0700"):
        SharedMemory(first, tmp_path / "file" / "stripe_fdw")


def test_a_session_warns_once(backend: BackendHost, first: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_open_memories", {})
    monkeypatch.setattr(memory, "_told", set())
    monkeypatch.setattr(memory, "directories", lambda: (first, *directories()[1:]))
    session = Session(backend)
    for _ in range(3):
        session.client(ServerOptions(), Secret("sk_test_1"))
    [(message, detail, hint)] = backend.warnings
    assert (
        message == f'the shared directory "{first}" cannot be used: others can open it: its mode must be 0700'
    )
    assert "data directory" in str(detail)
    assert "STRIPE_FDW_SHARED_DIRECTORY" in str(hint)
    # The data directory is what only superusers may see.
    assert str(backend.data_directory) not in f"{message}{detail}{hint}"


def test_no_warning_where_the_first_directory_is_used(
    backend: BackendHost, first: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first.chmod(0o700)
    monkeypatch.setattr(memory, "directories", lambda: (first, *directories()[1:]))
    Session(backend).client(ServerOptions(), Secret("sk_test_1"))
    assert backend.warnings == []


def test_the_file_has_its_space_before_it_is_written_to(
    first: Path, second: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first.chmod(0o700)
    SharedMemory(first)
    assert (first / memory._FILE_NAME).stat().st_blocks * 512 >= memory._SIZE

    def full(fd: int, offset: int, size: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OptionError, match="No space left"):
        SharedMemory(second)
