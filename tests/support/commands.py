"""``stripe-fdw`` for tests: processes that are forked from one which has imported the command line.

Importing takes most of a short command's time. Acceptance tests start the installed program itself.
"""

from __future__ import annotations

import os
import signal
import sys
import weakref
from collections.abc import Mapping
from multiprocessing.connection import Connection

from support.forks import FORKS


class Command:
    """A process that runs ``stripe-fdw`` with the given settings and no others."""

    def __init__(self, *arguments: str, environment: Mapping[str, str]) -> None:
        """Start it."""
        self._stdout, self._stderr = _Output(), _Output()
        self._process = FORKS.Process(
            target=_main,
            args=(arguments, dict(environment), self._stdout.connection, self._stderr.connection),
        )
        self._process.start()

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """Its exit code, minus the number of the signal that ended it, or None while it runs."""
        return self._process.exitcode

    @property
    def stdout(self) -> str:
        """What it has printed so far."""
        return self._stdout.read()

    @property
    def stderr(self) -> str:
        """What it has printed to standard error so far."""
        return self._stderr.read()

    def wait(self, timeout: float = 60) -> int:
        """Return its exit code when it has ended.

        Raises:
            TimeoutError: it still runs after ``timeout`` seconds.
        """
        self._process.join(timeout)
        if self.returncode is None:
            raise TimeoutError(f"stripe-fdw still runs: {self.stdout}{self.stderr}")
        return self.returncode

    def terminate(self) -> None:
        """Send SIGTERM."""
        os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL if it still runs, and wait for its end."""
        self._process.kill()
        self._process.join()


def run_command(*arguments: str, environment: Mapping[str, str], timeout: float = 120) -> Command:
    """Run ``stripe-fdw`` to its end.

    Raises:
        TimeoutError: it did not end in ``timeout`` seconds, and was killed.
    """
    command = Command(*arguments, environment=environment)
    try:
        command.wait(timeout)
    finally:
        command.kill()
    return command


class _Output:
    """A file in memory that a process writes to."""

    def __init__(self) -> None:
        self._file = os.memfd_create("output")
        weakref.finalize(self, os.close, self._file)

    @property
    def connection(self) -> Connection:
        """The file in the form that multiprocessing hands to another process."""
        return Connection(os.dup(self._file), readable=False)

    def read(self) -> str:
        return os.pread(self._file, os.fstat(self._file).st_size, 0).decode()


def _main(
    arguments: tuple[str, ...], environment: dict[str, str], stdout: Connection, stderr: Connection
) -> None:
    from stripe_fdw.__main__ import main

    os.dup2(stdout.fileno(), 1)
    os.dup2(stderr.fileno(), 2)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["stripe-fdw", *arguments]
    main()
