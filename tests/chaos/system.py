"""The system under test: Postgres, a simulated Stripe, receivers and workers, killed and started again."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psycopg

from stripe_fdw.devstack.private_postgres import Cluster
from stripe_fdw.devstack.stack import host_environment
from stripe_fdw.host.postgres_installation import PostgresError
from stripe_simulator.process import SimulatorProcess
from support.commands import Command, run_command
from support.database import KEY
from support.installed_host import installed_tree
from support.ports import free_port
from support.waiting import wait_until

SECRET = "whsec_chaosOfTheReceivers1"
OLDER_VERSION = "2024-06-20"
RECEIVERS = ("receiver of our version", "receiver of an older version")
_REFRESH = "refresh"
WORKERS = ("worker 1", "worker 2")


class System:
    """Everything that runs. ``close`` ends it all."""

    def __init__(self, directory: Path, copies: Sequence[str], seed: int) -> None:
        """Start all, with copies that are filled.

        Args:
            directory: where Postgres and the logs are.
            copies: the tables to copy, or ``["all"]``.
            seed: of the simulated account.
        """
        shared = directory / "shared"
        # What is committed survives kill -9 of the server, not of the machine: that takes no fsync.
        self.cluster = Cluster(
            directory,
            installed_tree("tests"),
            environment=(*host_environment(), ("STRIPE_FDW_SHARED_DIRECTORY", str(shared))),
            settings=(
                ("synchronous_commit", "on"),
                ("restart_after_crash", "on"),
                ("max_connections", "100"),
            ),
        )
        self.simulator = SimulatorProcess(
            customers=20, seed=seed, settlement_delay_ms=200, log=directory / "simulator.log"
        )
        self._copied = [] if "all" in copies else list(copies)
        self.dsn = self.cluster.dsn("chaos")
        self._ports = {name: free_port() for name in RECEIVERS}
        self._running: dict[str, Command] = {}
        self._ended: list[Command] = []
        self._start(copies)

    def _start(self, copies: Sequence[str]) -> None:
        self.simulator.start()
        self.cluster.initialize()
        self.cluster.start()
        with psycopg.connect(self.cluster.dsn(), autocommit=True) as connection:
            connection.execute("create database chaos")
        self._environment = {
            "DATABASE_URL": self.dsn,
            "STRIPE_API_KEY": KEY,
            "STRIPE_API_BASE": self.simulator.url,
            "STRIPE_WEBHOOK_SECRET": SECRET,
            "STRIPE_FDW_MAX_REQUESTS_PER_SECOND": "10000",
            "STRIPE_FDW_BACKGROUND_SHARE": "1",
            "STRIPE_FDW_SHARED_DIRECTORY": str(self.cluster.directory / "shared-commands"),
        }
        api_base = f"api_base={self.simulator.url}"
        self.command(
            "init", *(f"--copies={name}" for name in copies), "--option", api_base,
            "--option", "max_requests_per_second=10000",
        )  # fmt: skip
        for name in (*RECEIVERS, *WORKERS):
            self.start(name)
        for name in RECEIVERS:
            wait_until(lambda name=name: self._listens(name), f"the {name}")  # type: ignore[misc]
            self.simulator.control(
                "POST",
                "/webhook_endpoints",
                {
                    "url": f"http://127.0.0.1:{self._ports[name]}/webhooks/stripe",
                    "secret": SECRET,
                    "api_version": OLDER_VERSION if name == RECEIVERS[1] else None,
                },
            )

    def _listens(self, name: str) -> bool:
        receiver = self._running[name]
        assert receiver.returncode is None, receiver.stderr
        return "listening on " in receiver.stderr

    def command(self, *arguments: str, timeout: float = 300) -> Command:
        """Run ``stripe-fdw`` to its end.

        Raises:
            AssertionError: its exit code is not 0.
        """
        done = run_command(*arguments, environment=self._environment, timeout=timeout)
        assert done.returncode == 0, f"stripe-fdw {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done

    def refresh(self) -> None:
        """Fill the copies."""
        self.command("refresh", *self._copied)

    def begin_refresh(self) -> None:
        """Begin a full refresh, unless one runs."""
        self._begin(_REFRESH, "refresh", "--full", *self._copied)

    def end_refresh(self) -> None:
        """Wait for the end of the refresh that was begun last, however it ends."""
        if _REFRESH in self._running:
            self._running[_REFRESH].wait(120)

    def _begin(self, name: str, *arguments: str) -> None:
        running = self._running.get(name)
        if running is not None:
            if running.returncode is None:
                return
            self._ended.append(running)
        self._running[name] = Command(*arguments, environment=self._environment)

    def start(self, name: str) -> None:
        """Start a receiver or a worker by its name, unless it runs."""
        if name in RECEIVERS:
            self._begin(name, "serve", "--port", str(self._ports[name]))
        else:
            self._begin(name, "worker", "--concurrency", "2")

    def kill(self, name: str) -> None:
        """End a process by SIGKILL."""
        command = self._running.pop(name, None)
        if command is not None:
            command.kill()
            self._ended.append(command)

    def kill_postgres(self) -> None:
        """End Postgres by SIGKILL, and start it again."""
        pid = self.cluster.pid()
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not self.cluster.running(), "the end of Postgres", 30)

        def started() -> bool:
            with suppress(PostgresError):  # its last backends still run
                self.cluster.start()
                return True
            return False

        wait_until(started, "a start of Postgres", 60)

    def kill_backend(self) -> None:
        """End one of Postgres's backends by SIGKILL: Postgres ends all others and recovers."""
        with suppress(psycopg.OperationalError), psycopg.connect(self.dsn, autocommit=True) as connection:
            query = (
                "select pid from pg_stat_activity where datname = current_database()"
                " and pid <> pg_backend_pid() order by pid limit 1"
            )
            for (pid,) in connection.execute(query).fetchall():
                os.kill(pid, signal.SIGKILL)

    def printed(self) -> str:
        """All that receivers, workers and refreshes have printed."""
        commands = [*self._ended, *self._running.values()]
        return "".join(command.stdout + command.stderr for command in commands)

    def close(self) -> None:
        """End all processes."""
        for name in list(self._running):
            self.kill(name)
        self.cluster.stop()
        self.simulator.stop()
