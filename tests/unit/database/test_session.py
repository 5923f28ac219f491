"""Sessions of the command line."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from typer.testing import CliRunner

from stripe_fdw.cli import _app as cli
from stripe_fdw.cli.account import database_url
from stripe_fdw.copies.budget import RequestBudget
from stripe_fdw.errors import OptionError
from stripe_fdw.events.kept_connection import KeptConnection, UnavailableError
from stripe_fdw.jobs.tasks import Work, make_app
from stripe_fdw.settings import settings

BOUNDS = pytest.mark.parametrize(
    ("url", "variable", "bound"),
    [
        ("dbname=app", None, 10),
        ("postgresql:///app?connect_timeout=3", None, "3"),
        ("dbname=app", "5", None),  # libpq reads the variable
    ],
)


@BOUNDS
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


@BOUNDS
def test_connections_that_are_kept_have_the_same_bound(
    url: str, variable: str | None, bound: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[object] = []

    def note(conninfo: str = "", **parameters: Any) -> None:
        opened.append(conninfo_to_dict(conninfo, **parameters).get("connect_timeout"))
        raise psycopg.OperationalError("no")

    async def note_asynchronously(conninfo: str = "", **parameters: Any) -> None:
        note(conninfo, **parameters)

    monkeypatch.delenv("PGCONNECT_TIMEOUT", raising=False)
    if variable is not None:
        monkeypatch.setenv("PGCONNECT_TIMEOUT", variable)
    monkeypatch.setattr("psycopg.connect", note)
    monkeypatch.setattr("psycopg.AsyncConnection.connect", note_asynchronously)
    monkeypatch.setattr("stripe_fdw.jobs.tasks.PsycopgConnector", note)
    with pytest.raises(psycopg.OperationalError):
        RequestBudget(url, "acct_1 test", 10).take()
    with pytest.raises(psycopg.OperationalError):
        make_app(Work(url, [], print))
    with pytest.raises(UnavailableError):
        asyncio.run(KeptConnection(url, "stripe_sync", print).run(lambda _: asyncio.sleep(0)))
    a_webhook_waits = 5 if bound == 10 else bound
    assert [str(item) for item in opened] == [str(item) for item in (bound, bound, a_webhook_waits)]


@pytest.mark.parametrize("url", ["postgresql://u:s3cret@[::1/app", "postgresql://u:s3cret%FF@/app"])
def test_what_is_no_connection_string_is_an_error_without_its_password(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.cache_clear()
    monkeypatch.setenv("DATABASE_URL", url)
    with pytest.raises(OptionError, match="DATABASE_URL is not a connection string of libpq") as caught:
        database_url()
    settings.cache_clear()
    assert "s3cret" not in f"{caught.value} {caught.value.hint}"
