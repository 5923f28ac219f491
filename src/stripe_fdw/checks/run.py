"""All checks, one after the other: what fails is a finding, and does not hide the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, Literal

import psycopg

from stripe_fdw.checks.access import check_grants, check_other_roles, check_user_mapping
from stripe_fdw.checks.copies import check_copies_installed, check_refreshes
from stripe_fdw.checks.events import check_events
from stripe_fdw.checks.finding import Finding, warning
from stripe_fdw.checks.key import check_key_and_clock
from stripe_fdw.checks.materialized_views import check_materialized_views
from stripe_fdw.checks.permissions import Progress, check_permissions
from stripe_fdw.checks.server import check_server, check_version
from stripe_fdw.checks.shared_folder import check_shared_folder
from stripe_fdw.checks.subject import Subject
from stripe_fdw.checks.tables import check_tables
from stripe_fdw.checks.webhooks import check_webhook_endpoint
from stripe_fdw.checks.worker import check_worker
from stripe_fdw.database.errors import Report
from stripe_fdw.database.schemas import SYNC_SCHEMA
from stripe_fdw.errors import StripeFdwError

_SECONDS: Final = 10  # for each statement of a check that asks Stripe nothing
_BOUNDS: Final = (
    f"set transaction read only; set local statement_timeout = '{_SECONDS}s'; set local lock_timeout = '2s'"
)


@dataclass(frozen=True, slots=True)
class _Check:
    name: str
    run: Callable[[Subject], Iterator[Finding]]
    reads: Literal["foreign tables", "copies"] | None = None


_OF_A_SERVER: Final[Sequence[_Check]] = (
    _Check("server", check_server),
    _Check("version", check_version, reads="foreign tables"),
    _Check("foreign_tables", check_tables),
    _Check("grants", check_grants),
    _Check("user_mapping", check_user_mapping),
    _Check("other_roles", check_other_roles),
    _Check("shared_folder", check_shared_folder, reads="foreign tables"),
    _Check("key", check_key_and_clock, reads="foreign tables"),
    _Check("copies", check_refreshes, reads="copies"),
    _Check("copies_installed", check_copies_installed, reads="copies"),
    _Check("worker", check_worker, reads="copies"),
    _Check("events", check_events, reads="copies"),
    _Check("webhook_endpoint", check_webhook_endpoint, reads="copies"),
)
_OF_THE_DATABASE: Final = _Check("materialized_views", check_materialized_views, reads="copies")


def run_checks(subjects: Sequence[Subject], permissions: Progress | None = None) -> Iterator[Finding]:
    """Yield what each check finds, of one server after the other. Nothing is changed.

    Each statement has 10 seconds, and a request 20, with its retries. With ``permissions``, which is told
    how many are done, all lists of Stripe are tried. The session is in autocommit.

    Raises:
        psycopg.Error: the connection is lost.
    """
    for subject in subjects:
        checks = list(_OF_A_SERVER)
        if permissions is not None:
            run = partial(check_permissions, progress=permissions)
            checks.append(_Check("permissions", run, reads="foreign tables"))
        for check in checks:
            for finding in _guarded(check, subject):
                yield replace(finding, server=subject.schemas.server)
    if any(subject.has_copies for subject in subjects):
        yield from _guarded(_OF_THE_DATABASE, subjects[0])


def _guarded(check: _Check, subject: Subject) -> list[Finding]:
    connection = subject.connection
    findings: list[Finding] = []
    try:
        with connection.transaction():
            connection.execute(_BOUNDS.encode())
            if check.reads is not None and (refused := subject.untrusted(copies=check.reads == "copies")):
                message = f"was not checked: {refused.message}"
                return [warning(check.name, message, _as_owner(subject) or refused.hint)]
            for finding in check.run(subject):
                findings.append(finding)  # one by one: those before an error stay
    except psycopg.errors.InsufficientPrivilege as error:
        message = f"was not checked: {Report.of(error).message}"
        findings.append(warning(check.name, message, _as_owner(subject)))
    except StripeFdwError as error:
        findings.append(warning(check.name, f"was not checked: {error.message}", error.hint))
    except psycopg.Error as error:
        if connection.closed:
            raise
        is_late = isinstance(error, psycopg.errors.QueryCanceled)
        reason = f"it took longer than {_SECONDS} seconds" if is_late else Report.of(error).message
        findings.append(warning(check.name, f"was not checked: {reason}"))
    return findings


def _as_owner(subject: Subject) -> str | None:
    """Return the command for the role that has installed copies; None if it is the current one."""
    owner = subject.value(
        "select rolname from pg_namespace join pg_roles r on r.oid = nspowner"
        " where nspname = %s and rolname <> current_user",
        SYNC_SCHEMA,
    )
    return None if owner is None else f"stripe-fdw check, as role {owner}"
