"""Set-up of all tests: the header with the versions, simulators, and which tests stay on one worker."""

from __future__ import annotations

import platform
from collections.abc import Iterator

import pytest

from stripe_fdw.host.postgres_installation import PostgresError, PostgresInstallation
from support.simulators import Simulators

# The slow suites first, so that the quick ones fill the remaining time.
ORDER = ("database", "acceptance", "containers", "live", "unit")


def pytest_report_header(config: pytest.Config) -> list[str]:
    try:
        installation = PostgresInstallation.find()
        postgres = f"{installation.show('version')}, hosts: {', '.join(installation.hosts())}"
    except PostgresError as error:
        postgres = error.message
    return [f"Python {platform.python_version()}, {postgres}"]


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Iterator[None]:
    """Run the tests of a file on one worker, those of the other host perhaps on another."""
    for item in items:
        call = getattr(item, "callspec", None)
        host = call.params.get("host", "") if call else ""
        item.add_marker(pytest.mark.xdist_group(f"{item.path.relative_to(config.rootpath)} {host}"))
    yield
    items.sort(key=_suite)


def _suite(item: pytest.Item) -> int:
    name = item.path.relative_to(item.config.rootpath).parts[1]
    return ORDER.index(name) if name in ORDER else len(ORDER)


@pytest.fixture(scope="session")
def simulators(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulators]:
    """The simulated Stripes of this worker."""
    simulators = Simulators(tmp_path_factory)
    yield simulators
    simulators.stop()
