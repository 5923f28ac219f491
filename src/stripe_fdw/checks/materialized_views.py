"""The materialized views that workers refresh."""

from __future__ import annotations

from collections.abc import Iterator

from stripe_fdw.checks.finding import Finding, ok, warning
from stripe_fdw.checks.subject import Subject
from stripe_fdw.counts import counted
from stripe_fdw.sql_quoting import quote_literal


def check_materialized_views(subject: Subject) -> Iterator[Finding]:
    """Whether the views exist, and their last refresh succeeded. They belong to no server."""
    if subject.value("select to_regclass('stripe_sync.view_status')") is None:
        return
    rows = subject.connection.execute(
        "select view, state, error from stripe_sync.view_status order by view"
    ).fetchall()
    is_bad = False
    for view, state, error in rows:
        name = quote_literal(view)
        if state == "does not exist":
            fix = f"select stripe_sync.unschedule_view({name});"
            yield warning("materialized_views", f"{view} does not exist, and is to be refreshed", fix)
        elif state in ("failed", "interrupted"):
            yield warning(
                "materialized_views",
                f"the last refresh of {view} {'failed' if error else 'was interrupted'}"
                + (f": {error}" if error else ""),
                f"refresh materialized view {view};",
            )
        else:
            continue
        is_bad = True
    if rows and not is_bad:
        yield ok("materialized_views", f"{counted(len(rows), 'materialized view')} refreshed")
