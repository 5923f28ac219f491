"""What all tests share: the header that says what they ran on."""

from __future__ import annotations

import platform

import pytest

from stripe_fdw.host.postgres_installation import PostgresError, PostgresInstallation


def pytest_report_header(config: pytest.Config) -> list[str]:
    try:
        installation = PostgresInstallation.find()
        postgres = f"{installation.show('version')}, hosts: {', '.join(installation.hosts())}"
    except PostgresError as error:
        postgres = error.message
    return [f"Python {platform.python_version()}, {postgres}"]
