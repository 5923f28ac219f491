"""Local copies: whether they are as this version makes them, and how their refreshes ended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from stripe_fdw.catalog import load
from stripe_fdw.checks.finding import Finding, listing, ok, problem, warning
from stripe_fdw.checks.subject import Subject
from stripe_fdw.copies.copied_columns import copied_resources
from stripe_fdw.copies.install import are_current, check_copies, chosen_resources, installed_resources
from stripe_fdw.copies.lists import is_listed
from stripe_fdw.counts import counted
from stripe_fdw.database.errors import InstallError
from stripe_fdw.sql_quoting import quote_literal

_MAX_NAMED: Final = 20  # copies in a command, where that of all does as well
_MAX_REASONS: Final = 3
_FAILURES: Final = (  # by what they lack: what is said, when to refresh them, and with which option
    ("permission", "the key may not read", "give the key these permissions, then: ", ""),
    ("product", "the account does not use any more the product of", "activate it in Stripe, then: ", ""),
    ("confirmation", "the last refresh failed of", "if they are deleted: ", " --confirm-deletions"),
    (None, "the last refresh failed of", "", ""),
)
# Of all columns but those that count rows. Where an earlier version has made the view, which has no column
# "lacks", the name is that of the outer query's.
_STATES: Final = """
    select resource, state, finished_full_at is not null, error, schedule,
           coalesce(finished_full_at < now() - interval '1 day', false),
           nullif(s.lacks, 'list')
      from (select null::text as lacks) of_earlier_versions
     cross join lateral (
           select resource, state, finished_full_at, error, schedule, lacks
             from stripe_sync.status
            where schema = %s and kind = 'copy' and account = '') s
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
    lacks: str | None  # why its last refresh was left out

    @property
    def is_listed(self) -> bool:
        """True if a refresh can read it: the same question as a refresh asks."""
        return is_listed(load().resource[self.resource])

    @property
    def is_unused(self) -> bool:
        """True if the account does not use the product, and has not done so either when it was refreshed."""
        return self.lacks == "product" and not self.was_complete


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
    copies = [_Copy(*row) for row in rows if row[0] in load().resource]
    found = list(_refreshes(subject, copies))
    yield from found
    if not found:
        yield ok("copies", _sound(copies))


def _sound(copies: Sequence[_Copy]) -> str:
    """Return how many copies were read, and which ones are not to be."""
    parts = [f"{_copies(sum(copy.was_complete for copy in copies))} read completely"]
    if running := [copy.resource for copy in copies if copy.state == "running" and not copy.was_complete]:
        parts.append(f"now being read: {listing(running)}")
    if unlisted := [copy.resource for copy in copies if not copy.is_listed]:
        parts.append(f"no list of Stripe's has all objects of {listing(unlisted)}")
    if unused := [copy.resource for copy in copies if copy.is_unused]:
        parts.append(f"the account does not use the products of {listing(unused)}")
    return "; ".join(parts)


def _refreshes(subject: Subject, copies: Sequence[_Copy]) -> Iterator[Finding]:
    expected = [copy for copy in copies if copy.is_listed and not copy.is_unused]
    all_of_them = {copy.resource for copy in copies} >= {item.name for item in copied_resources(load())}

    def refresh(of: Sequence[_Copy]) -> str:
        """Return the command that refreshes these copies: that of all, where it makes no further ones."""
        is_brief = all_of_them and (len(of) == len(expected) or len(of) > _MAX_NAMED)
        names = "" if is_brief else "".join(f" {copy.resource}" for copy in of)
        return f"stripe-fdw refresh{subject.schemas.option}{names}"

    for lack, what, first, option in _FAILURES:
        if failed := [copy for copy in expected if copy.state == "failed" and copy.lacks == lack]:
            yield _failure(what, failed, f"{first}{refresh(failed)}{option}")
    for state in ("interrupted", "never refreshed"):
        if found := [copy for copy in expected if copy.state == state]:
            yield warning("copies", f"{state}: {_named(found)}", refresh(found))
    told = {resource.name for resource in load().resources if resource.is_told_by_events}
    if old := [copy for copy in copies if copy.is_old and not copy.schedule and copy.resource not in told]:
        server = "" if subject.schemas.is_default else f", {quote_literal(subject.schemas.server)}"
        yield warning(
            "copies",
            f"their changes have no events, and they were last read more than a day ago: {_named(old)}",
            " ".join(
                f"select stripe_sync.schedule_refresh({quote_literal(copy.resource)}, '0 4 * * *'{server});"
                for copy in old
            ),
        )


def _failure(what: str, copies: Sequence[_Copy], fix: str) -> Finding:
    """Return the finding of copies whose refresh failed, with each reason: worse where one was complete."""
    by_reason = groupby(sorted(copies, key=_reason), _reason)
    reasons = [(reason, _named(list(of))) for reason, of in by_reason]
    if len(reasons) == 1:
        message = f"{what} {_named(copies)}: {reasons[0][0]}"
    else:
        shown = "; ".join(f"{names}: {reason.rstrip('.')}" for reason, names in reasons[:_MAX_REASONS])
        more = f"; and {len(reasons) - _MAX_REASONS} more reasons" if len(reasons) > _MAX_REASONS else ""
        message = f"{what} {_copies(len(copies))}. {shown}{more}"
    # One that never succeeded may be of a product that the account does not use, or not be meant to be read.
    return (problem if any(copy.was_complete for copy in copies) else warning)("copies", message, fix)


def _reason(copy: _Copy) -> str:
    return copy.error or ""


def _named(copies: Sequence[_Copy]) -> str:
    return listing([copy.resource for copy in copies])


def _copies(number: int) -> str:
    return counted(number, "copy", "copies")
