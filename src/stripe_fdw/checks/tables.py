"""The foreign tables, compared with the catalog of this version."""

from __future__ import annotations

from collections.abc import Iterator

from stripe_fdw.catalog import load
from stripe_fdw.checks.finding import Finding, listing, ok, problem, warning
from stripe_fdw.checks.subject import Subject
from stripe_fdw.counts import counted
from stripe_fdw.database.errors import InstallError
from stripe_fdw.database.foreign_tables import table_differences


def check_tables(subject: Subject) -> Iterator[Finding]:
    """Whether the foreign tables have the columns that Stripe has."""
    if subject.foreign_server is None:
        return
    try:
        found = table_differences(subject.connection, subject.schemas)
    except InstallError as error:
        yield problem("foreign_tables", error.message, error.hint)
        return
    present = [name for name in found.present if name in load().resource]
    if not present:
        yield problem(
            "foreign_tables", f"schema {subject.schemas.live} has no foreign tables", subject.init()
        )
        return
    reasons = []
    if dropped := [table.name for table in found.outdated if table.dropped]:
        columns = sum(len(table.dropped) for table in found.outdated)
        reasons.append(
            f"{counted(columns, 'column')} that Stripe has no more, so that these tables cannot be read:"
            f" {listing(dropped)}"
        )
    if added := [f"{table.name}.{name}" for table in found.outdated for name, _ in table.missing]:
        reasons.append(f"{counted(len(added), 'column')} missing: {listing(added)}")
    if nullable := [f"{table.name}.{name}" for table in found.outdated for name in table.nullable]:
        reasons.append(f"{counted(len(nullable), 'column')} not declared NOT NULL: {listing(nullable)}")
    if found.missing:
        reasons.append(f"{counted(len(found.missing), 'table')} missing: {listing(found.missing)}")
    if not reasons:
        yield ok("foreign_tables", f"{counted(len(present), 'table')} as this version has them")
        return
    message = f"{counted(len(present), 'table')}, not all as this version has them: {'; '.join(reasons)}"
    yield (problem if dropped else warning)("foreign_tables", message, subject.init())
