"""Set-up of all tests: versions in the header, simulated and hostile Stripes, what stays on one worker."""

from __future__ import annotations

import gc
import platform
import re
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from stripe_fdw.host.postgres_installation import PostgresError, PostgresInstallation
from support.data_directories import initialized_once
from support.hostile_endpoint import Behaviour, Hostile, HostileEndpoint
from support.simulators import Simulators
from support.temporary_files import keep_in_memory

# The slow suites first, so that the quick ones fill the remaining time.
ORDER = ("database", "acceptance", "containers", "live", "unit")
# Before them the files that run for long, each in one worker: at the end the others would wait for it.
LONG = {
    "tests/acceptance/test_dev_stack.py", "tests/acceptance/test_distribution.py",
    "tests/acceptance/test_quickstart.py", "tests/database/copies/test_queue.py",
    "tests/database/copies/test_refetch.py", "tests/database/copies/test_refresh.py",
    "tests/database/events/test_chaos.py", "tests/database/property/test_same_objects.py",
    "tests/database/property/test_same_rows.py", "tests/database/reading/test_peers.py",
    "tests/database/test_uninstall.py", "tests/database/writing/test_crashes.py",
}  # fmt: skip
HOST = re.compile(r"[\[-](bundled|multicorn2)[-\]]")  # among a test's parameters


# Where a shell starts the tests in the background, SIGINT is ignored, and so by the processes they start.
signal.signal(signal.SIGINT, signal.default_int_handler)

keep_in_memory()


def pytest_report_header(config: pytest.Config) -> list[str]:
    try:
        installation = PostgresInstallation.find()
        postgres = f"{installation.show('version')}, hosts: {', '.join(installation.hosts())}"
    except PostgresError as error:
        postgres = error.message
    return [f"Python {platform.python_version()}, {postgres}"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the tests by suite, those of long files first."""
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    file = item.path.relative_to(item.config.rootpath)
    if file.as_posix() in LONG:
        return -1
    return ORDER.index(file.parts[1]) if file.parts[1] in ORDER else len(ORDER)


def pytest_collection() -> None:
    """Collect the tests, which stay, without looking for garbage among them again and again."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Exempt the collected tests from garbage collection."""
    gc.freeze()
    gc.enable()


class FileScheduling(LoadScopeScheduling):
    """Runs the tests of a file on one worker, those of the other host perhaps on another."""

    def _split_scope(self, nodeid: str) -> str:
        file, _, test = nodeid.partition("::")
        host = HOST.search(test)
        return f"{file} {host[1] if host else ''}"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> FileScheduling:
    """Distribute the tests to the workers."""
    return FileScheduling(config, log)


@pytest.fixture(scope="session", autouse=True)
def data_directories() -> Iterator[None]:
    """Make the data directories of servers from one that is kept."""
    with initialized_once():
        yield


@pytest.fixture(scope="session")
def simulators(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulators]:
    """The simulated Stripes of this worker."""
    simulators = Simulators(tmp_path_factory)
    yield simulators
    simulators.stop()


@pytest.fixture
def hostile() -> Iterator[Hostile]:
    """Start HTTP servers that behave as a given function does."""
    started: list[HostileEndpoint] = []

    def start(behave: Behaviour) -> HostileEndpoint:
        started.append(HostileEndpoint(behave))
        return started[-1]

    yield start
    for endpoint in started:
        endpoint.close()
