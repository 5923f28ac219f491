"""Materialized views of the copies: each has in the end what its query returns, and was notified of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import psycopg

from chaos.system import System
from support.database import rows
from support.waiting import wait_until

_QUIET_SECONDS: Final = 180
_FOLLOWED: Final = ("customer", "subscription", "subscription_item", "invoice")
_IS_STALE: Final = (
    "select count(*) from stripe_sync.view_status where stale_since is not null or state <> 'finished'"
)


def make_views(system: System) -> None:
    """Make a view of each of some copies, and one that reads these views, for workers to refresh."""
    with psycopg.connect(system.dsn, autocommit=True) as connection:
        made = []
        for name in _FOLLOWED:
            if connection.execute("select to_regclass(%s)", (f"stripe.{name}",)).fetchone() != (None,):
                made.append(f"public.{name}_states")
                connection.execute(
                    f"create materialized view {made[-1]} as select id, _raw from stripe.{name}".encode()
                )
                if len(made) > 1:  # without a unique index the first one is not refreshed concurrently
                    connection.execute(f"create unique index on {made[-1]} (id)".encode())
        union = " union all ".join(f"select id from {view}" for view in made)
        connection.execute(f"create materialized view public.all_ids as {union}".encode())
        for view in (*made, "public.all_ids"):
            connection.execute("select stripe_sync.refresh_view(%s, at_most_every => '1 s')", (view,))


def stale_views(system: System) -> Iterator[str]:
    """Yield what is wrong with views when all changes have been applied."""
    with psycopg.connect(system.dsn, autocommit=True) as connection:
        try:
            wait_until(lambda: rows(connection, _IS_STALE) == [(0,)], "an end of stale views", _QUIET_SECONDS)
        except AssertionError as error:
            yield f"{error}: {rows(connection, 'table stripe_sync.view_status')}"
        for view, definition in rows(
            connection,
            "select view, pg_get_viewdef(view::regclass) from stripe_sync.view_refresh order by view",
        ):
            query = definition.rstrip(";")
            for more, less, what in (
                (query, f"table {view}", "lacks"),
                (f"table {view}", query, "has still"),
            ):
                (number,) = rows(connection, f"select count(*) from (({more}) except ({less})) d")[0]
                if number:
                    yield f"materialized view {view} {what} {number} rows"
