"""``stripe-fdw check``: tell whether an installation is sound, and what mends it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated, Final

import psycopg
import typer
from rich.status import Status as ShownStatus

from stripe_fdw.checks.finding import Finding, Status
from stripe_fdw.checks.run import run_checks
from stripe_fdw.checks.subject import Subject
from stripe_fdw.cli.account import database_url
from stripe_fdw.cli.output import JsonOption, err, one_line, out, print_json, report, say
from stripe_fdw.counts import counted
from stripe_fdw.database.errors import database_error
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.database.servers import find_server, visible_servers
from stripe_fdw.database.session import open_session
from stripe_fdw.errors import StripeFdwError

_LINE_SECONDS: Final = 10.0  # between two lines about permissions, where standard error is no terminal
_BOUNDS: Final = "set statement_timeout = '10s'; set lock_timeout = '2s'"  # of what finds the servers
_NOT_CHECKED: Final = 2  # the exit code


def check(
    server: Annotated[str | None, typer.Option(help="The server to check; all of them without.")] = None,
    permissions: Annotated[
        bool, typer.Option("--permissions", help="Try each list of Stripe: a request for each.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Check the installation in the database that DATABASE_URL names, and print what mends it.

    The exit code is 1 if there is a problem, and 2 if nothing could be checked.
    """
    findings: list[Finding] = []
    with _or_not_checked(), open_session(database_url()) as connection:
        connection.execute(_BOUNDS.encode())
        subjects = [Subject(connection, schemas) for schemas in _chosen(connection, server)]
        with _shown_permissions() as progress:
            for finding in run_checks(subjects, progress if permissions else None):
                findings.append(finding)
                if not as_json:
                    for line in finding_lines(finding, with_server=len(subjects) > 1):
                        out.print(line, markup=False)
    is_ok = all(finding.status is not Status.PROBLEM for finding in findings)
    if as_json:
        print_json({"ok": is_ok, "checks": [asdict(finding) for finding in findings]})
    else:
        out.print(summary(findings), markup=False)
    if not is_ok:
        raise typer.Exit(1)


def _chosen(connection: psycopg.Connection, name: str | None) -> list[Schemas]:
    """Return the servers to check: the one that is named, or all, or the default one where there is none.

    Raises InstallError for a name that none has.
    """
    servers = visible_servers(connection)
    if name is None:
        return servers or [Schemas()]
    return [item for item in servers if name in (item.server, item.views)] or [find_server(connection, name)]


def finding_lines(finding: Finding, *, with_server: bool) -> Iterator[str]:
    """Yield a finding as text, and below it what mends it."""
    name = f"{finding.server}.{finding.name}" if with_server and finding.server else finding.name
    yield one_line(f"{finding.status:<8} {name}: {finding.message}")
    if finding.fix:
        yield one_line(f"fix:     {finding.fix}")


def summary(findings: Iterable[Finding]) -> str:
    """Return how many findings there are of each status."""
    statuses = [finding.status for finding in findings]
    if all(status is Status.OK for status in statuses):
        return f"{counted(len(statuses), 'check')}, all ok"
    return ", ".join(
        [
            counted(len(statuses), "check"),
            counted(statuses.count(Status.PROBLEM), "problem"),
            counted(statuses.count(Status.WARNING), "warning"),
        ]
    )


@contextmanager
def _shown_permissions() -> Iterator[Callable[[int, int], None]]:
    """Show how many lists were tried: on one line of a terminal, else as a line now and then."""
    said_at = float("-inf")
    status = ShownStatus("", console=err)

    def show(done: int, total: int) -> None:
        nonlocal said_at
        line = f"permissions: {done} of {counted(total, 'table')} tried"
        if err.is_terminal:
            status.update(line)
            status.start()
        elif time.monotonic() - said_at >= _LINE_SECONDS:
            said_at = time.monotonic()
            say(line)

    try:
        yield show
    finally:
        status.stop()


@contextmanager
def _or_not_checked() -> Iterator[None]:
    """Report what keeps everything from being checked, with exit code 2."""
    try:
        yield
    except StripeFdwError as error:
        report(error)
    except psycopg.Error as error:
        report(database_error(error))
    else:
        return
    raise typer.Exit(_NOT_CHECKED)
