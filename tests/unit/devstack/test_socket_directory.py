"""The folder of a private server's socket, which others may have made before in the temporary folder."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stripe_fdw.devstack.private_postgres import Cluster
from stripe_fdw.devstack.socket_directory import make_socket_directory, socket_directory
from stripe_fdw.host.postgres_installation import PostgresError

NOBODY = 65534


@pytest.fixture
def guessable(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The folder in the temporary folder for a server whose own path is too long."""
    temporary = tmp_path_factory.mktemp("t")  # a short path, so that it is not in /tmp
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    folder = socket_directory(tmp_path / ("x" * 90))
    assert folder.parent == temporary
    return folder


def link(path: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    path.symlink_to(tmp_path / "elsewhere")


def another_users(path: Path, _: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can make a folder of another user")
    path.mkdir(mode=0o700)
    os.chown(path, NOBODY, -1)


def open_to_all(path: Path, _: Path) -> None:
    path.mkdir()
    path.chmod(0o777)


PLANTED: dict[str, tuple[Callable[[Path, Path], Any], str]] = {
    "a link": (link, "it is a link or a file"),
    "a link to nothing": (lambda path, _: path.symlink_to("nothing"), "it is a link or a file"),
    "a file": (lambda path, _: path.touch(mode=0o700), "it is a link or a file"),
    "a folder of another user": (another_users, "it belongs to another user"),
    "a folder that all can enter": (open_to_all, "others can enter it"),
}


@pytest.mark.parametrize("kind", PLANTED)
def test_a_planted_socket_folder_is_refused(guessable: Path, tmp_path: Path, kind: str) -> None:
    plant, reason = PLANTED[kind]
    plant(guessable, tmp_path)
    before = guessable.lstat()
    with pytest.raises(PostgresError, match=reason):
        make_socket_directory(guessable, os.geteuid())
    after = guessable.lstat()
    assert (before.st_uid, before.st_mode) == (after.st_uid, after.st_mode)


def test_no_server_starts_with_a_planted_socket_folder(guessable: Path, tmp_path: Path) -> None:
    cluster = Cluster(tmp_path / ("x" * 90), tree=None)  # type: ignore[arg-type]  # which is not reached
    assert cluster.socket == guessable
    link(guessable, tmp_path)
    for act in (cluster.initialize, cluster.start):
        with pytest.raises(PostgresError, match="it is a link"):
            act()


def test_the_folder_is_made_for_its_owner_alone_and_kept(guessable: Path) -> None:
    for _ in range(2):
        make_socket_directory(guessable, os.geteuid())
        assert guessable.stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_the_folder_is_given_to_the_user_as_whom_the_server_runs(guessable: Path) -> None:
    for _ in range(2):
        make_socket_directory(guessable, NOBODY)
        assert guessable.stat().st_uid == NOBODY
