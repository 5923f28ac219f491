"""Notifications by NOTIFY of what has changed in the copies.

A user's transaction sends none for what it writes: NOTIFY has the transactions of all sessions commit one
after the other. The event of that change sends it.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any, Final

import psycopg

from stripe_fdw.database.schemas import Schemas

CHANNEL: Final = "stripe_changes"
_MAX_IDS: Final = 100
_MAX_BYTES: Final = 7900  # Postgres takes less than 8,000
_NOTIFY: Final = b"select pg_notify(%s, %s)"


def notify_change(
    connection: psycopg.Connection,
    schemas: Schemas,
    resource: str,
    account: str = "",
    ids: Collection[str] | None = None,
) -> None:
    """Notify listeners, when the transaction commits, that copies of a resource and account have changed.

    ``ids`` are those of the copies that have changed, None if they are not known. The payload has them up
    to a hundred.
    """
    change: dict[str, Any] = {"server": schemas.server, "resource": resource, "account": account}
    payload = json.dumps(change)
    if ids is not None and len(ids) <= _MAX_IDS:
        with_ids = json.dumps({**change, "ids": sorted(ids)})
        if len(with_ids) <= _MAX_BYTES:
            payload = with_ids
    connection.execute(_NOTIFY, (CHANNEL, payload))
