"""The folder in which the sessions of a database server share rate limits and invalidations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from stripe_fdw.checks.finding import Finding, ok, problem, warning
from stripe_fdw.checks.subject import Subject
from stripe_fdw.database.errors import Report

_FIX: Final = "set STRIPE_FDW_SHARED_DIRECTORY in the environment of the database server, and restart it"


def check_shared_folder(subject: Subject) -> Iterator[Finding]:
    """Whether the server's OS user can map the shared file, in the folder of all its servers."""
    if subject.foreign_server is None or subject.unreadable is not None:
        return
    session = subject.session
    if isinstance(session, Report):  # which the check of the version reports
        return
    directory, error = session.shared_directory, session.shared_error
    if directory is None:
        yield problem("shared_folder", f"sessions can share no rate limits: {error}", _FIX)
    elif error is not None:
        yield warning(
            "shared_folder",
            f"sessions share rate limits in {directory}, and not with other servers of the same OS user:"
            f" {error}",
            _FIX,
        )
    else:
        yield ok("shared_folder", f"sessions share rate limits in {directory}")
