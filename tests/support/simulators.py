"""Simulated Stripes for tests: a process for each set of options, as new for each who asks."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO, Any

import pytest

from stripe_simulator.process import SimulatorProcess
from support.forks import FORKS


class ForkedSimulator(SimulatorProcess):
    """A simulator in a process that is forked from one which has imported it.

    Importing takes six times as long as starting the server.
    """

    def _spawn(self, command: list[str], output: IO[bytes]) -> Any:
        arguments = command[command.index("stripe_simulator") + 1 :]
        process = FORKS.Process(target=_serve, args=(arguments, Connection(os.dup(output.fileno()))))
        process.start()
        return _Forked(process)


class _Forked:
    """A process of multiprocessing with the methods of one of subprocess."""

    def __init__(self, process: Any) -> None:
        self._process = process
        self.pid: int = process.pid

    def poll(self) -> int | None:
        code: int | None = self._process.exitcode
        return code

    def terminate(self) -> None:
        self._process.terminate()

    def kill(self) -> None:
        self._process.kill()

    def wait(self, timeout: float | None = None) -> int | None:
        self._process.join(timeout)
        if self.poll() is None:
            assert timeout is not None
            raise subprocess.TimeoutExpired("stripe_simulator", timeout)
        return self.poll()


def _serve(arguments: list[str], output: Connection) -> None:
    from stripe_simulator.__main__ import main

    os.setsid()
    os.dup2(output.fileno(), 1)
    os.dup2(output.fileno(), 2)
    sys.argv = ["stripe_simulator", *arguments]
    main()


class Simulators:
    """The simulators of one worker. They run until ``stop``, so that starting them costs its time once."""

    def __init__(self, folders: pytest.TempPathFactory) -> None:
        self._folders = folders
        self._simulators: dict[str, SimulatorProcess] = {}

    def __call__(self, purpose: str = "module", **options: object) -> SimulatorProcess:
        """Return a simulator in the state of its start.

        Args:
            purpose: simulators of another purpose are others. A module uses its simulator until its end, when
                the next module may have it.
            options: of ``SimulatorProcess``.
        """
        name = " ".join([purpose, *(f"{option}={value}" for option, value in sorted(options.items()))])
        if name in self._simulators:
            self._simulators[name].control("POST", "/reset")
        else:
            log: Path = self._folders.mktemp("simulator") / "simulator.log"
            simulator = ForkedSimulator(**options, log=log)  # type: ignore[arg-type]
            self._simulators[name] = simulator.start()
        return self._simulators[name]

    def stop(self) -> None:
        """Stop them all, each of which takes a moment to close its connections."""
        if self._simulators:
            with ThreadPoolExecutor(len(self._simulators)) as pool:
                list(pool.map(SimulatorProcess.stop, self._simulators.values()))
