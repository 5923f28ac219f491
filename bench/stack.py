"""A dev stack to measure, in a temporary directory that is removed in the end."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from stripe_fdw.devstack.stack import Stack


@dataclass(frozen=True)
class Bench:
    """A running stack with its simulator's control endpoint."""

    stack: Stack
    url: str
    key: str

    def connect(self) -> psycopg.Connection:
        """Connect, which starts a new backend."""
        return psycopg.connect(self.stack.dsn, autocommit=True)

    def control(self, method: str, path: str, body: object = None) -> Any:
        """Send a request to the simulator's control endpoint and return the JSON that it answers."""
        request = urllib.request.Request(
            f"{self.url}/_simulator/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read() or b"{}")

    def environment(self) -> dict[str, str]:
        """Return the variables with which our programs use the stack, and no others of ours or Postgres's."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("STRIPE", "PG"))}
        return {**kept, **self.stack.environment()}

    def rss_mib(self, pid: int) -> float:
        """Return the resident memory of a process that it shares with no other, in MiB."""
        pages = Path(f"/proc/{pid}/statm").read_text().split()
        return (int(pages[1]) - int(pages[2])) * os.sysconf("SC_PAGE_SIZE") / 2**20

    def customers_written(self) -> int:
        """Return how many customers were created in the simulator since it started."""
        accounts = self.control("GET", "status")["accounts"].values()
        return sum(int(account["customer"]["written"]) for account in accounts if "customer" in account)

    def busy_seconds(self) -> float:
        """Return the processor time that the simulator has used so far, in seconds."""
        state = self.stack.state()
        if state is None:
            raise RuntimeError("the stack does not run")
        return int(Path(f"/proc/{state.simulator_pid}/schedstat").read_text().split()[0]) / 1e9


@contextmanager
def running(**options: Any) -> Iterator[Bench]:
    """Start a stack with these StackOptions and remove it in the end."""
    with tempfile.TemporaryDirectory(prefix="stripe-fdw-bench-") as directory:
        stack = Stack(Path(directory))
        try:
            state = stack.up(options, lambda line: print(f"  {line}", file=sys.stderr))
            yield Bench(stack, state.simulator_url, state.api_key)
        finally:
            stack.down(remove=True)
