"""The quickstart's part on the simulated Stripe, run as a reader runs it: one shell, from top to bottom."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from support.doc_pages import ROOT, Block, blocks
from support.ports import free_port
from support.waiting import wait_until

from .conftest import processes_of

PAGE = ROOT / "docs" / "quickstart.md"
DONE = "-- the block has ended --"
PSQL = 'psql "$DATABASE_URL"\n'
RUN = 'psql -X -v ON_ERROR_STOP=1 -q "$DATABASE_URL" -f block.sql'


class Shell:
    """A bash that runs blocks one after the other, and whose background processes go on meanwhile."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("STRIPE", "PG")) and name != "DATABASE_URL"
        }
        if "PG_CONFIG" in os.environ:
            inherited["PG_CONFIG"] = os.environ["PG_CONFIG"]
        self._process = subprocess.Popen(
            ["bash", "-E"],
            cwd=folder,
            env=inherited,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.run("trap 'exit 1' ERR\n")

    def run(self, text: str) -> str:
        """Run commands and return what they print. It fails with the first one that fails."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{text}\nprintf '\\n%s\\n' '{DONE}'\n")
        self._process.stdin.flush()
        printed = ""
        hanging = threading.Timer(120, self._process.kill)
        hanging.start()
        try:
            for line in self._process.stdout:
                if line.strip() == DONE:
                    return printed
                printed += line
        finally:
            hanging.cancel()
        raise AssertionError(f"{text}\nfailed:\n{printed}")

    def end(self) -> None:
        """End the shell, and what it has left running in the background."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        self._process.kill()
        self._process.communicate(timeout=60)  # until the last of them has closed the output


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    """A shell in an empty folder, in which no process runs afterwards."""
    with ExitStack() as ends:
        shell = Shell(tmp_path)
        stack = [str(Path(sys.executable).with_name("stripe-fdw")), "dev", "down", "--directory", ".dev"]
        ends.callback(lambda: subprocess.run(stack, cwd=tmp_path, capture_output=True, check=False))
        ends.callback(shell.end)
        yield shell
    assert processes_of(tmp_path) == []


def part() -> list[Block]:
    """The blocks of the page's first part."""
    text = PAGE.read_text()
    end = text.count("\n", 0, text.index("## With your own Stripe"))
    return [block for block in blocks(PAGE) if block.line <= end]


def lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.splitlines() if line.strip()]


def test_every_block_runs_and_gives_what_is_shown(shell: Shell) -> None:
    port, compared = str(free_port()), 0
    chosen = part()
    for block, following in zip(chosen, [*chosen[1:], None], strict=True):
        if block.language == "sh":
            # The blocks of SQL are what an interactive psql is given.
            text = block.text.replace("make setup ", ": make setup ").replace(PSQL, f"{PSQL.strip()} -c ''\n")
            shell.run(text.replace(".venv/bin/", f"{Path(sys.executable).parent}/").replace("8000", port))
            continue
        if block.language != "sql":
            assert block is not chosen[0]
            continue
        (shell.folder / "block.sql").write_text(block.text)
        printed = shell.run(RUN)
        if following is None or following.language or "=# " in following.text:
            continue
        expected = lines(following.text)
        if is_query(block):  # which shows what happens in the background
            wait_until(lambda: lines(shell.run(RUN)) == expected, following.text, 60.0)  # noqa: B023
        else:
            assert lines(printed) == expected
        compared += 1
    assert compared == 5
    assert {block.language for block in chosen} == {"sh", "sql", ""}


def is_query(block: Block) -> bool:
    """Return True if the block only reads, so that it may be run again until its result is there."""
    return block.text.lstrip().startswith("select") and block.text.count(";") == 1
