"""Local copies: whether they are as this version makes them, and how their refreshes ended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from stripe_fdw.catalog import load
from stripe_fdw.checks.finding import Finding, listing, ok, problem, warning
from stripe_fdw.checks.subject import Subject
from stripe_fdw.copies.install import are_current, check_copies, chosen_resources, installed_resources
from stripe_fdw.counts import counted
from stripe_fdw.database.errors import InstallError

# Of all columns but those that count rows.
_STATES: Final = """
    select resource, state, finished_full_at is not null, error, schedule,
           coalesce(finished_full_at < now() - interval '1 day', false)
      from stripe_sync.status
     where schema = %s and kind = 'copy' and account = ''
     order by resource
"""


@dataclass(frozen=True, slots=True)
class _Copy:
    resource: str
    state: str
    was_complete: bool
    error: str | None
    schedule: str | None
    is_old: bool  # no list was read for a day


def check_copies_installed(subject: Subject) -> Iterator[Finding]:
    """Whether the copies have the tables, views and functions of this version."""
    if not subject.has_copies:
        return
    resources = chosen_resources(installed_resources(subject.connection, subject.schemas))
    try:
        check_copies(subject.connection, subject.schemas, resources)
    except InstallError as error:
        yield problem("copies_installed", error.message, error.hint)
        return
    if are_current(subject.connection, subject.schemas):
        yield ok("copies_installed", f"{_copies(len(resources))} as this version makes them")
    else:
        yield warning(
            "copies_installed", "another version has made copies, or they were altered", subject.init()
        )


def check_refreshes(subject: Subject) -> Iterator[Finding]:
    """How the last refresh of each copy ended; which of them are old, as their changes have no events."""
    if not subject.has_copies:
        if subject.foreign_server is not None:
            yield ok("copies", f"server {subject.schemas.server} has no local copies to be kept current")
        return
    rows = subject.connection.execute(_STATES.encode(), (subject.schemas.copies,)).fetchall()
    copies = [_Copy(*row) for row in rows]
    found = list(_refreshes(subject, copies))
    yield from found
    if not found:
        yield ok("copies", f"{_copies(len(copies))} read completely")


def _refreshes(subject: Subject, copies: Sequence[_Copy]) -> Iterator[Finding]:
    refresh = f"stripe-fdw refresh{subject.schemas.option}"
    if failed := [copy for copy in copies if copy.state == "failed"]:
        names = [copy.resource for copy in failed]
        message = f"the last refresh failed of {listing(names)}: {failed[0].error}"
        # One that never succeeded may be of a product that the account does not use, or the key may not read.
        is_worse = any(copy.was_complete for copy in failed)
        yield (problem if is_worse else warning)("copies", message, f"{refresh} {' '.join(names)}")
    for state in ("interrupted", "never refreshed"):
        if names := [copy.resource for copy in copies if copy.state == state]:
            yield warning("copies", f"{state}: {listing(names)}", f"{refresh} {' '.join(names)}")
    told = {resource.name for resource in load().resources if resource.is_told_by_events}
    if old := [
        copy.resource for copy in copies if copy.is_old and not copy.schedule and copy.resource not in told
    ]:
        server = "" if subject.schemas.is_default else f", '{subject.schemas.server}'"
        yield warning(
            "copies",
            f"their changes have no events, and they were last read more than a day ago: {listing(old)}",
            " ".join(f"select stripe_sync.schedule_refresh('{name}', '0 4 * * *'{server});" for name in old),
        )


def _copies(number: int) -> str:
    return counted(number, "copy", "copies")
