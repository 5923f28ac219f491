"""The simulator as a child process, for tests and the development stack."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import orjson
import urllib3

if TYPE_CHECKING:
    from types import TracebackType

_READY = "listening on "
_START_SECONDS = 20.0
_STOP_SECONDS = 5.0


class SimulatorProcess:
    """A simulator in a child process.

    Options are those of the command line, with underscores: ``SimulatorProcess(customers=500)``; a list
    repeats its option. The output goes to `log`, by default a temporary file. As a context manager, it is
    started at the beginning and stopped at the end.
    """

    def __init__(self, *, log: Path | None = None, port: int = 0, **options: object) -> None:
        self.url = ""
        self._command = [sys.executable, "-m", "stripe_simulator", "--port", str(port)]
        for name, value in options.items():
            for item in value if isinstance(value, list) else [value]:
                if item is not None:
                    self._command += [f"--{name.replace('_', '-')}", str(item)]
        self._has_own_log = log is None
        self.log = log or Path(tempfile.mkstemp(prefix="stripe-simulator-", suffix=".log")[1])
        self._process: subprocess.Popen[bytes] | None = None
        self._http = urllib3.PoolManager(retries=False, timeout=30.0)

    def start(self) -> SimulatorProcess:
        """Start the process and wait until it listens.

        Raises RuntimeError, with the log, if it does not start.
        """
        with self.log.open("wb") as output:
            self._process = self._spawn(self._command, output)
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            for line in self.log.read_text(errors="replace").splitlines(keepends=True):
                if line.startswith(_READY) and line.endswith("\n"):
                    self.url = line[len(_READY) :].strip()
                    return self
            if self._process.poll() is not None:
                break
            time.sleep(0.02)
        text = self.log.read_text(errors="replace")
        self.stop()
        raise RuntimeError(f"the simulator did not start:\n{text}")

    def _spawn(self, command: list[str], output: IO[bytes]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    @property
    def pid(self) -> int | None:
        """The id of the process; None when it does not run."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self.url.rpartition(":")[2])

    def control(self, method: str, path: str, json: object = None) -> Any:
        """Send a request to the control endpoint, such as ``control("POST", "/faults", {...})``.

        Returns the JSON of the response. Raises RuntimeError for an error status.
        """
        address = self.url + "/_simulator/" + path.removeprefix("/_simulator").lstrip("/")
        body = None if json is None else orjson.dumps(json)
        response = self._http.request(
            method, address, body=body, headers={"Content-Type": "application/json"}
        )
        if response.status >= 400:
            raise RuntimeError(f"{method} {path}: {response.status} {response.data.decode(errors='replace')}")
        return orjson.loads(response.data)

    def requests(self, after: int = 0) -> list[dict[str, Any]]:
        """Return the logged requests to Stripe with a number above `after`."""
        logged: list[dict[str, Any]] = self.control("GET", f"/requests?after={after}")["requests"]
        return logged

    def stop(self) -> None:
        """Stop the process and wait for its end; has no effect when it does not run."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._http.clear()
        if self._has_own_log:
            self.log.unlink(missing_ok=True)

    def __enter__(self) -> SimulatorProcess:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
