"""``stripe-fdw check`` for tests: what it prints, and its exit code."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from click.testing import Result
from typer.testing import CliRunner

from stripe_fdw.cli import _app as cli
from stripe_fdw.settings import settings
from support.database import KEY

RESTRICTED = "rk_test_4eC39HqLyjWDarjtT1zdp7dccheckrestr"


@dataclass
class Checked:
    """What the command has printed, and its exit code."""

    result: Result

    @property
    def code(self) -> int:
        return self.result.exit_code

    @property
    def findings(self) -> dict[str, dict[str, Any]]:
        """By the name of the check, of JSON."""
        return {each["name"]: each for each in json.loads(self.result.stdout)["checks"]}

    def __getitem__(self, name: str) -> tuple[str, str, str | None]:
        found = self.findings[name]
        return found["status"], found["message"], found["fix"]

    @property
    def bad(self) -> dict[str, str]:
        """The statuses that are not ok."""
        return {name: each["status"] for name, each in self.findings.items() if each["status"] != "ok"}


def run(*arguments: str, **variables: str) -> Result:
    """Run the command with these variables."""
    settings.cache_clear()
    empty = dict.fromkeys(("DATABASE_URL", "STRIPE_API_KEY", "STRIPE_API_BASE"))
    environment: Mapping[str, str | None] = {**empty, **variables}
    try:
        return CliRunner().invoke(cli, list(arguments), env=environment)
    finally:
        settings.cache_clear()


@contextmanager
def mapped(db: psycopg.Connection, value: str, option: str = "api_key") -> Iterator[None]:
    """Have the role use another key in the block."""
    _map(db, option, value)
    try:
        yield
    finally:
        _map(db, "api_key", KEY)


def _map(db: psycopg.Connection, option: str, value: str) -> None:
    db.execute("drop user mapping for current_user server stripe")
    db.execute(f"create user mapping for current_user server stripe options ({option} '{value}')".encode())
