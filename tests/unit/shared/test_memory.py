from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from stripe_fdw.errors import OptionError
from stripe_fdw.shared import memory
from stripe_fdw.shared.memory import SharedMemory
from support.waiting import hang_guard


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "stripe-fdw"


def run(code: str, directory: Path) -> subprocess.Popen[str]:
    """Another process, with ``shared`` at hand."""
    start = (
        "import sys, time; from pathlib import Path; from stripe_fdw.shared.memory import *;"
        f"shared = SharedMemory(Path({str(directory)!r}))\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", start + code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def test_a_counter_is_seen_by_all(directory: Path) -> None:
    first, second = SharedMemory(directory), SharedMemory(directory)
    before = first.counter(b"customer").read()
    second.counter(b"customer").add(3)
    second.counter(b"subscription").add()
    assert first.counter(b"customer").read() == before + 3


def test_processes_that_add_at_once_lose_nothing(directory: Path) -> None:
    counter = SharedMemory(directory).counter(b"customer")
    before = counter.read()
    code = "counter = shared.counter(b'customer')\nfor _ in range(500): counter.add()"
    children = [run(code, directory) for _ in range(3)]
    for child in children:
        child.communicate(timeout=60)
        assert child.returncode == 0
    assert counter.read() == before + 1500


def test_a_process_killed_while_it_holds_the_lock_blocks_no_other(directory: Path) -> None:
    counter = SharedMemory(directory).counter(b"customer")
    child = run("with shared.locked():\n print('held', flush=True)\n time.sleep(60)", directory)
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    child.kill()
    child.communicate(timeout=10)
    with hang_guard():
        counter.add()


def test_a_process_stopped_while_it_holds_the_lock_delays_others_but_briefly(directory: Path) -> None:
    counter = SharedMemory(directory).counter(b"customer")
    before = counter.read()
    child = run("with shared.locked():\n print('held', flush=True)\n time.sleep(60)", directory)
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    child.send_signal(signal.SIGSTOP)
    with hang_guard():
        counter.add()
    assert counter.read() == before + 1
    child.kill()
    child.communicate(timeout=10)


@pytest.mark.parametrize(
    "content", [b"", b"garbage", b"\0" * 100, b"\xff" * memory._SIZE, b"\0" * (memory._SIZE + 5)]
)
def test_a_file_that_is_not_sound_is_made_anew(directory: Path, content: bytes) -> None:
    SharedMemory(directory)
    (directory / memory._FILE_NAME).write_bytes(content)
    shared = SharedMemory(directory)
    counter = shared.counter(b"customer")
    before = counter.read()
    counter.add()
    assert SharedMemory(directory).counter(b"customer").read() == before + 1


def test_a_file_of_an_earlier_run_of_the_machine_is_made_anew(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = SharedMemory(directory)
    counter = shared.counter(b"customer")
    before = counter.read()
    monkeypatch.setattr(memory, "_boot", lambda: (1, 2))
    again = SharedMemory(directory)
    assert counter.read() != before
    again.counter(b"customer").add()
    assert counter.read() == again.counter(b"customer").read()


def test_a_process_with_a_deleted_file_open_moves_to_the_new_file(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "_RECHECK_SECONDS", 0.0)
    old = SharedMemory(directory)
    counter = old.counter(b"customer")
    before = counter.read()
    (directory / memory._FILE_NAME).unlink()
    other = SharedMemory(directory).counter(b"customer")
    assert counter.read() != before
    other.add()
    assert counter.read() == other.read()


def test_the_directory_is_the_users_alone(directory: Path) -> None:
    SharedMemory(directory)
    assert directory.stat().st_mode & 0o777 == 0o700
    assert (directory / memory._FILE_NAME).stat().st_mode & 0o777 == 0o600


def test_a_directory_that_others_can_open_is_refused(directory: Path) -> None:
    directory.mkdir()
    directory.chmod(0o755)
    with pytest.raises(OptionError, match="0700"):
        SharedMemory(directory)


def test_a_link_is_not_followed(directory: Path, tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    target.mkdir(mode=0o700)
    directory.symlink_to(target)
    with pytest.raises(OptionError):
        SharedMemory(directory)
    assert not list(target.iterdir())


def test_a_link_in_the_place_of_the_file_is_not_followed(directory: Path, tmp_path: Path) -> None:
    directory.mkdir(mode=0o700)
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (directory / memory._FILE_NAME).symlink_to(victim)
    with pytest.raises(OptionError):
        SharedMemory(directory)
    (directory / memory._FILE_NAME).unlink()
    os.link(victim, directory / memory._FILE_NAME)
    with pytest.raises(OptionError):
        SharedMemory(directory)
    assert victim.read_text() == "precious"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_directory_of_another_user_is_refused(directory: Path) -> None:
    directory.mkdir(mode=0o700)
    os.chown(directory, 65534, 65534)
    with pytest.raises(OptionError, match="another user"):
        SharedMemory(directory)


def test_with_too_many_counters_some_share_one_and_none_is_lost(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "COUNTERS", 33)
    shared = SharedMemory(directory)
    counters = [shared.counter(b"%d" % i) for i in range(100)]
    for counter in counters:
        before = counter.read()
        counter.add()
        assert counter.read() == before + 1
    assert len({counter._index for counter in counters}) == 33


def test_with_too_many_cells_the_idle_are_taken_over_and_the_busy_shared(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "CELLS", 16)
    shared = SharedMemory(directory)
    cells = [shared.cell(b"%d" % i) for i in range(40)]
    with shared.locked() as mapping:
        for moment, cell in enumerate(cells[:16]):
            cell.numbers(mapping, 1000.0)[0] = 1000.0 + moment
        busy = cells[16].numbers(mapping, 1020.0)
        assert busy[0] == 1000.0
        busy[1] = 7.0
        assert cells[0].numbers(mapping, 1020.0)[1] == 7.0
        taken = cells[17].numbers(mapping, 2000.0)
        assert taken[0] == taken[1] == 0.0
