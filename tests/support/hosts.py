"""The hosts that a test runs on: both, but for what one has alone, or what does not depend on the host."""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import TypeVar

import pytest

from stripe_fdw.host.postgres_installation import PostgresInstallation

T = TypeVar("T")

BUNDLED_ALONE = pytest.mark.parametrize("host", ["bundled"], indirect=True, scope="session")
"""Runs a test on the bundled host alone: of what it has alone, or what another test shows on each host."""


def on_hosts(cases: Iterable[T], on_each: Container[T]) -> list[tuple[str, T]]:
    """Return pairs of host and case: all cases with the bundled host, those of ``on_each`` with each host."""
    hosts, listed = PostgresInstallation.find().hosts(), list(cases)
    return [(host, case) for host in hosts for case in listed if host == "bundled" or case in on_each]
