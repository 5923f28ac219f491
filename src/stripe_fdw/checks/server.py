"""The foreign server, its host, and the version of the package that serves it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Final

from stripe_fdw.checks.finding import Finding, ok, problem, warning
from stripe_fdw.checks.subject import ForeignServer, Subject
from stripe_fdw.database.errors import Report
from stripe_fdw.fdw.schema.import_schema import CHECK_TABLE
from stripe_fdw.version import __version__

_COMPILE: Final = "stripe-fdw host install"


def check_server(subject: Subject) -> Iterator[Finding]:
    """Whether the foreign server is there, with which host, and where its requests go."""
    schemas, server = subject.schemas, subject.foreign_server
    if server is not None:
        copies = f", copies in {schemas.copies}" if subject.has_copies else ""
        host = "the bundled host" if server.host == "bundled" else "Multicorn2"
        yield ok(
            "server",
            f"server {schemas.server} with {host}:"
            f" foreign tables in {schemas.live}{copies}; requests go to {server.api_base}",
        )
    elif subject.has_copies:
        yield ok("server", f"server {schemas.server} has copies in {schemas.copies}, and no foreign tables")
    else:
        yield problem("server", f"there is no foreign server {schemas.server}", subject.init())


def check_version(subject: Subject) -> Iterator[Finding]:
    """Whether extension, the server's package and this package are of one version."""
    server = subject.foreign_server
    if server is None:
        return
    row = subject.connection.execute(
        "select extversion, default_version from pg_extension e"
        " left join pg_available_extensions a on a.name = extname where extname = %s",
        (server.wrapper,),
    ).fetchone()
    if row is None:  # Multicorn2's wrapper may have been made without its extension
        yield warning("version", f"there is no extension {server.wrapper}", subject.init())
        return
    installed, available = row
    extension = f"extension {server.wrapper} {installed}"
    if available is not None and available != installed:
        yield problem(
            "version",
            f"{extension} is not the {available} that the database host has",
            f"alter extension {server.wrapper} update;",
        )
        return
    if (reason := subject.unreadable) is not None:
        yield warning("version", *_unknown(subject, extension, reason))
        return
    session = subject.session
    if isinstance(session, Report):
        yield problem("version", f"{extension} does not answer: {session.message}", session.hint or _COMPILE)
        return
    version, python = session.version, session.python
    if version == __version__:
        yield ok("version", f"{extension} runs package {version} in {python}, and this is {__version__}")
    else:
        yield problem(
            "version",
            f"{extension} runs package {version} in {python}, but this is {__version__}",
            ", then ".join(_upgrade(subject, server, python)),
        )


def _upgrade(subject: Subject, server: ForeignServer, python: str) -> Iterator[str]:
    """Yield what has the database server run this version of the package."""
    if python != sys.prefix:
        yield f"install stripe-fdw {__version__} in {python}"
    if server.host == "bundled":
        yield f"{_COMPILE} on the database host"
    # The setting is not shown to every role.
    preloaded = subject.value("select setting from pg_settings where name = 'shared_preload_libraries'")
    if server.wrapper in str(preloaded):
        yield "restart the database server, which has loaded the package when it started"
    yield subject.init()


def _unknown(subject: Subject, extension: str, reason: str) -> tuple[str, str]:
    """Return why the version of the server's package is not known, and what helps."""
    message = f"{extension}; the version of its package is not known: {reason}"
    if reason.startswith("there is no"):
        return f"{message}, as an earlier version has installed it", subject.init()
    return message, subject.grant(CHECK_TABLE)
