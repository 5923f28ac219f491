"""Processes that a bench runs: their processor time and memory."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


@contextmanager
def process(
    command: Sequence[str], environment: Mapping[str, str], log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process until the end of the block, with what it prints in a file."""
    with log.open("wb") as out:
        started = subprocess.Popen(
            command, env=dict(environment), stdin=subprocess.DEVNULL, stdout=out, stderr=out
        )
    try:
        yield started
    finally:
        started.terminate()
        started.wait(30)


def processor_seconds(pid: int) -> float:
    """Return the processor time that a process has used so far, with all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def children(pid: int) -> list[int]:
    """Return the ids of the processes that a process has started and that live."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def resident_mib(pid: int) -> float:
    """Return the resident memory of a process that it shares with no other, in MiB."""
    pages = Path(f"/proc/{pid}/statm").read_text().split()
    return (int(pages[1]) - int(pages[2])) * os.sysconf("SC_PAGE_SIZE") / 2**20


def printed_line(log: Path, started: subprocess.Popen[bytes], text: str) -> str:
    """Return the line of a process's log that has a text, when it is there."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and started.poll() is None:
        for line in log.read_text().splitlines():
            if text in line:
                return line
        time.sleep(0.05)
    raise RuntimeError(f"a process did not start: {log.read_text()[-2000:]}")
