"""Simulated Stripes for tests: a process for each set of options, as new for each who asks."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from stripe_simulator.process import SimulatorProcess


class Simulators:
    """The simulators of one worker. They run until ``stop``, so that starting them costs its time once."""

    def __init__(self, folders: pytest.TempPathFactory) -> None:
        self._folders = folders
        self._running = ExitStack()
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
            log = self._folders.mktemp("simulator") / "simulator.log"
            simulator = SimulatorProcess(**options, log=log)  # type: ignore[arg-type]
            self._simulators[name] = self._running.enter_context(simulator)
        return self._simulators[name]

    def stop(self) -> None:
        """Stop them all."""
        self._running.close()
