"""The development stack: a private Postgres with everything installed, and a simulated Stripe."""

from __future__ import annotations

import fcntl
import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import orjson
import psycopg

from stripe_fdw.database.install import HostName, InstallPlan, install_into
from stripe_fdw.database.session import CLIENT_ENCODING
from stripe_fdw.devstack.private_postgres import Cluster, PrivateInstallation
from stripe_fdw.errors import StripeFdwError
from stripe_fdw.host.postgres_installation import PostgresInstallation

DATABASE = "stripe"
_LOCK = "stack.lock"
_FOLDERS = ("postgres", "tree")


class StackError(StripeFdwError):
    """The development stack could not be started or is not running."""


@dataclass(frozen=True)
class StackOptions:
    """Options of the stack; ``rate`` and ``endpoint_rate`` are the requests/s that the simulator allows.

    With ``preload`` the server loads the bundled host when it starts (shared_preload_libraries).
    """

    customers: int = 1000
    seed: int = 1
    latency_ms: float = 0
    rate: float | None = None
    endpoint_rate: float | None = None
    host: HostName = "bundled"
    live: bool = True
    preload: bool = False


@dataclass(frozen=True)
class StackState:
    """The running stack, stored in a file so that other commands can use or stop it."""

    options: StackOptions
    simulator_pid: int
    simulator_url: str
    api_key: str
    webhook_secret: str

    def save(self, file: Path) -> None:
        """Write the file, readable by its owner alone, since it holds the simulator's keys."""
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
            out.write(orjson.dumps(asdict(self), option=orjson.OPT_INDENT_2))

    @classmethod
    def read(cls, file: Path) -> StackState | None:
        """Return the state of the stack that was started last, or None if none was."""
        try:
            fields = orjson.loads(file.read_bytes())
        except FileNotFoundError:
            return None
        return cls(**{**fields, "options": StackOptions(**fields["options"])})


@dataclass(frozen=True)
class StackPart:
    """Postgres or the simulator; without a process id and an address if it does not run."""

    name: str
    pid: int | None = None
    url: str | None = None

    @property
    def is_running(self) -> bool:
        """True if its process runs."""
        return self.pid is not None


@dataclass(frozen=True)
class Stack:
    """A stack whose files are all in one directory."""

    directory: Path

    @property
    def tree(self) -> PrivateInstallation:
        """The private Postgres installation."""
        # Not checked here, so that a stack can be stopped after Postgres was uninstalled.
        return PrivateInstallation(
            self.directory / "tree", PostgresInstallation(os.environ.get("PG_CONFIG", "pg_config"))
        )

    @property
    def cluster(self) -> Cluster:
        """The private Postgres server."""
        directory = self.directory / "postgres"
        # Not the directory of this machine's servers: what is simulated takes no part in their rate limits.
        shared = ("STRIPE_FDW_SHARED_DIRECTORY", os.path.abspath(directory / "shared"))  # noqa: PTH100
        return Cluster(directory, self.tree, environment=(*host_environment(), shared))

    @property
    def simulator_log(self) -> Path:
        """The file with the simulator's output."""
        return self.directory / "simulator.log"

    @property
    def dsn(self) -> str:
        """The connection URL of the database that everything is installed into."""
        return self.cluster.dsn(DATABASE)

    def state(self) -> StackState | None:
        """Return the stack that was started here last, running or not."""
        return StackState.read(self.directory / "stack.json")

    def up(self, wanted: Mapping[str, Any], say: Callable[[str], None]) -> StackState:
        """Start the parts that are not running and install everything.

        Args:
            wanted: fields of StackOptions; the others keep their values of the last start.
            say: called with a line about each step.

        Raises:
            StackError: it is running with other options.
            PostgresError: Postgres is missing or does not start.

        """
        installation = PostgresInstallation.find()
        with self._lock():
            previous = self.state()
            if previous is None:
                self._refuse_foreign_folders()
            options = replace(previous.options if previous else StackOptions(), **wanted)
            if previous and _is_running(previous.simulator_pid, self.directory):
                _refuse_change(previous.options, options, self.directory)
                state = previous
            else:
                state = self._start_simulator(options, previous)
                say(f"simulated Stripe with {options.customers:,} customers at {state.simulator_url}")
            self._start_postgres(installation, options, say)
            with psycopg.connect(self.dsn, autocommit=True, client_encoding=CLIENT_ENCODING) as connection:
                for line in install_into(connection, _install_plan(options, state)):
                    say(line)
            return state

    def down(self, *, remove: bool = False) -> bool:
        """Stop Postgres and the simulator. Return True if one of them was running.

        Args:
            remove: delete the stack's files with all data, and its directory if that is empty then.

        """
        if self.state() is None:
            return False  # no stack was started here, so the files here are not a stack's
        with self._lock():
            state, cluster = self.state(), self.cluster
            was_running = False
            if state and _is_running(state.simulator_pid, self.directory):
                was_running = True
                _terminate(state.simulator_pid, self.directory)
            if cluster.running():
                was_running = True
                cluster.stop()
            if remove:
                self._remove()
        return was_running

    def _refuse_foreign_folders(self) -> None:
        """Raise StackError if a folder of the stack's name exists: removing the stack would remove it."""
        for part in _FOLDERS:
            if (self.directory / part).exists():
                raise StackError(
                    f"{self.directory / part} exists, but no stack was started in {self.directory}",
                    hint="Choose another folder with --directory.",
                )

    def _remove(self) -> None:
        shutil.rmtree(self.cluster.socket, ignore_errors=True)
        for part in _FOLDERS:
            if (self.directory / part).exists():
                shutil.rmtree(self.directory / part)
        for part in ("simulator.log", "stack.json", _LOCK):
            (self.directory / part).unlink(missing_ok=True)
        with suppress(OSError):  # not empty: it has other files than the stack's
            self.directory.rmdir()

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """Let one command at a time start or stop the stack; others wait."""
        self.directory.mkdir(parents=True, exist_ok=True)
        with (self.directory / _LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def environment(self) -> dict[str, str]:
        """Return the environment variables with which a program uses this stack.

        Raises:
            StackError: it is not running.

        """
        state = self.state()
        if (
            state is None
            or not _is_running(state.simulator_pid, self.directory)
            or not self.cluster.running()
        ):
            raise StackError(f"no stack runs in {self.directory}", hint="Start one with `stripe-fdw dev up`.")
        return {
            "DATABASE_URL": self.dsn,
            "STRIPE_API_BASE": state.simulator_url,
            "STRIPE_API_KEY": state.api_key,
            "STRIPE_WEBHOOK_SECRET": state.webhook_secret,
        }

    def status(self) -> Iterator[StackPart]:
        """Yield the parts of the stack."""
        state, pid = self.state(), self.cluster.pid()
        yield StackPart("postgres", pid, self.dsn) if pid else StackPart("postgres")
        if state and _is_running(state.simulator_pid, self.directory):
            yield StackPart("simulator", state.simulator_pid, state.simulator_url)
        else:
            yield StackPart("simulator")

    def _start_postgres(
        self, installation: PostgresInstallation, options: StackOptions, say: Callable[[str], None]
    ) -> None:
        tree = PrivateInstallation(self.directory / "tree", installation)
        settings = (("shared_preload_libraries", "stripe_fdw"),) if options.preload else ()
        cluster = replace(self.cluster, tree=tree, settings=settings)
        tree.build()
        if options.host == "bundled" and options.live:
            from stripe_fdw.host.install import install as install_host

            install_host(
                tree.system, python=sys.executable, pkglibdir=tree.pkglibdir, extensiondir=tree.extensiondir
            )
        if not cluster.running():
            cluster.initialize()
            cluster.start()
            say(f"PostgreSQL {tree.system.major} on the unix socket {cluster.socket}")
        with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
            if not connection.execute("select 1 from pg_database where datname = %s", (DATABASE,)).fetchone():
                connection.execute(f"create database {DATABASE}")

    def _start_simulator(self, options: StackOptions, previous: StackState | None) -> StackState:
        command = [sys.executable, "-m", "stripe_simulator", "--port", "0", "--seed", str(options.seed)]
        command += ["--customers", str(options.customers), "--latency-ms", str(options.latency_ms)]
        if importlib.util.find_spec("starlette") is None or importlib.util.find_spec("uvicorn") is None:
            raise StackError(
                "the simulated Stripe needs packages that are not installed",
                hint="Install stripe-fdw with its extra: pip install '/path/to/checkout[simulator]'",
            )
        if options.rate is not None:
            command += ["--rate", str(options.rate)]
        if options.endpoint_rate is not None:
            command += ["--endpoint-rate", str(options.endpoint_rate)]
        with self.simulator_log.open("wb") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.directory,
                start_new_session=True,
            )  # fmt: skip
        try:
            url = self._simulator_url(process)
        except BaseException:  # also Ctrl-C: without a state file nothing could stop the process
            process.kill()
            process.wait()
            raise
        state = StackState(
            options,
            process.pid,
            url,
            previous.api_key if previous else f"sk_test_{secrets.token_hex(24)}",
            previous.webhook_secret if previous else f"whsec_{secrets.token_hex(24)}",
        )
        state.save(self.directory / "stack.json")
        return state

    def _simulator_url(self, process: subprocess.Popen[bytes]) -> str:
        deadline = time.monotonic() + 60
        marker = "listening on "
        while time.monotonic() < deadline:
            text = self.simulator_log.read_text(errors="replace")
            for line in text.splitlines():
                if line.startswith(marker):
                    return line.removeprefix(marker).strip()
            if process.poll() is not None:
                raise StackError("the simulator did not start", detail=text[-2000:])
            time.sleep(0.02)
        raise StackError("the simulator did not start within 60 s", detail=f"See {self.simulator_log}.")


def _refuse_change(running: StackOptions, wanted: StackOptions, directory: Path) -> None:
    old, new = asdict(running), asdict(wanted)
    changed = [f"{name} is {old[name]}, not {new[name]}" for name in old if old[name] != new[name]]
    if changed:
        raise StackError(
            f"the stack in {directory} is already running with other options: {', '.join(changed)}",
            hint="Stop it first with `stripe-fdw dev down`.",
        )


def _install_plan(options: StackOptions, state: StackState) -> InstallPlan:
    return InstallPlan(
        host=options.host,
        live=options.live,
        # The same limit as the simulator's; without one, a limit that is never reached.
        server_options={
            "api_base": state.simulator_url,
            "max_requests_per_second": f"{options.rate or 10_000:g}",
        },
        mapping={"api_key": state.api_key},
    )


def host_environment() -> tuple[tuple[str, str], ...]:
    """Return the variables with which a Postgres server finds this package under any host."""
    # Multicorn2 runs the Python it was built for, which must find this package and its dependencies. The
    # bundled host starts this environment's own interpreter and ignores the variable.
    package = Path(__file__).parents[2]
    return (("PYTHONPATH", os.pathsep.join([str(package), sysconfig.get_path("purelib")])),)


def _is_running(pid: int, directory: Path) -> bool:
    """Return True if the process is this stack's simulator: its id may have been given to another process."""
    try:
        return (
            b"stripe_simulator" in Path(f"/proc/{pid}/cmdline").read_bytes()
            and Path(f"/proc/{pid}/cwd").resolve() == directory.resolve()
        )
    except OSError:
        return False


def _terminate(pid: int, directory: Path) -> None:
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + 5
    while _is_running(pid, directory):
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)
