"""Sessions of the command line."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from typer.testing import CliRunner

from stripe_fdw.cli import _app as cli
from stripe_fdw.settings import settings


@pytest.mark.parametrize(
    ("url", "variable", "bound"),
    [
        ("dbname=app", None, 10),
        ("postgresql:///app?connect_timeout=3", None, "3"),
        ("dbname=app", "5", None),  # libpq reads the variable
    ],
)
def test_every_command_bounds_the_time_to_connect_unless_the_user_does(
    url: str, variable: str | None, bound: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    bounds: list[object] = []

    def refuse(conninfo: str, **_: Any) -> None:
        bounds.append(conninfo_to_dict(conninfo).get("connect_timeout"))
        raise psycopg.OperationalError("no")

    monkeypatch.setattr("psycopg.connect", refuse)
    commands = (["init"], ["check"], ["refresh"], ["status"], ["uninstall"])
    for command in commands:
        settings.cache_clear()
        CliRunner().invoke(cli, command, env={"DATABASE_URL": url, "PGCONNECT_TIMEOUT": variable})
    settings.cache_clear()
    assert [str(item) for item in bounds] == [str(bound)] * len(commands)
