"""What disturbs the system at a step: killed processes, and a Stripe that fails, lags or delivers badly."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from chaos.system import OLDER_VERSION, RECEIVERS, WORKERS, System

_SHARE: Final = 0.04  # of all steps


class Disturbances:
    """Disturbs the system at random steps. What is killed is started again a number of steps later."""

    def __init__(self, system: System, seed: int) -> None:
        """Do nothing yet."""
        self._system = system
        self._seed = seed
        self._random = random.Random(seed)
        self._starts: list[tuple[int, str]] = []  # the step at which what is killed starts again
        self.done: Counter[str] = Counter()
        self.reads_lag = False
        self._kinds: dict[str, tuple[int, Callable[[int], object]]] = {
            "receiver killed": (3, lambda step: self._kill(step, self._random.choice(RECEIVERS))),
            "worker killed": (3, lambda step: self._kill(step, self._random.choice(WORKERS))),
            "both workers killed": (1, self._kill_workers),
            "Postgres killed": (1, lambda _: system.kill_postgres()),
            "backend killed": (1, lambda _: system.kill_backend()),
            "full refresh begun": (3, lambda _: system.begin_refresh()),
            "Stripe answers 429": (2, lambda _: self._fail(kind="status", status=429)),
            "Stripe answers 500": (2, lambda _: self._fail(kind="status", status=500, after=self._chance())),
            "Stripe resets": (2, lambda _: self._fail(kind="reset", after=self._chance())),
            "Stripe cuts answers": (1, lambda _: self._fail(kind="cut")),
            "webhooks fail": (4, lambda _: self._spoil_deliveries()),
            "reads lag": (2, lambda _: self._lag()),
            "the account's version changes": (1, lambda _: self._change_version()),
            "Stripe's clock is off": (1, lambda _: self._skew()),
        }

    def at(self, step: int) -> None:
        """Disturb the system before a step, or do not."""
        for due, name in [start for start in self._starts if start[0] <= step]:
            self._system.start(name)
            self._starts.remove((due, name))
        self._random.seed(f"{self._seed}/disturbance/{step}")
        if self._random.random() < _SHARE:
            weights = [weight for weight, _ in self._kinds.values()]
            (name,) = self._random.choices(list(self._kinds), weights)
            self._kinds[name][1](step)
            self.done[name] += 1

    def end(self) -> None:
        """Disturb no more: all runs again, and Stripe behaves."""
        control = self._system.simulator.control
        control("DELETE", "/faults")
        control("DELETE", "/lag")
        control("POST", "/clock", {})
        control("POST", "/account_version", {})
        control("POST", "/webhooks", {})
        for name in (*RECEIVERS, *WORKERS):
            self._system.start(name)

    def _chance(self) -> bool:
        return self._random.random() < 0.5

    def _kill(self, step: int, name: str) -> None:
        self._system.kill(name)
        self._starts.append((step + self._random.randrange(1, 60), name))

    def _kill_workers(self, step: int) -> None:
        for name in WORKERS:
            self._kill(step, name)

    def _fail(self, **fault: Any) -> None:
        control = self._system.simulator.control
        control("DELETE", "/faults")
        count = self._random.randrange(5, 60)
        control("POST", "/faults", {"path": "/v1/*", "probability": 0.3, "count": count, **fault})

    def _spoil_deliveries(self) -> None:
        faults = {
            "duplicate": self._random.random() * 0.3,
            "drop": self._random.random() * 0.3,
            "reorder": self._random.random(),
            "reorder_seconds": self._random.random() * 4,
            "late_seconds": self._random.random() * self._random.choice((0, 2)),
        }
        self._system.simulator.control("POST", "/webhooks", faults)

    def _lag(self) -> None:
        self.reads_lag = True
        self._system.simulator.control("DELETE", "/lag")
        lag = {"path": "/v1/*", "seconds": self._random.random() * 2, "share": self._random.random()}
        self._system.simulator.control("POST", "/lag", lag)

    def _change_version(self) -> None:
        version = self._random.choice((OLDER_VERSION, None))
        self._system.simulator.control("POST", "/account_version", {"api_version": version})

    def _skew(self) -> None:
        self.reads_lag = True  # by its clock, an answer may be older than the state that it was asked upon
        self._system.simulator.control("POST", "/clock", {"date_skew_seconds": self._random.randrange(-2, 3)})
