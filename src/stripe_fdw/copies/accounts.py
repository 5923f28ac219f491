"""The account that a schema of copies belongs to: fixed by its first refresh, compared by each later one."""

from __future__ import annotations

from collections.abc import Callable

import psycopg

from stripe_fdw import sqlstates
from stripe_fdw.api.client import Client, ResponseFuture
from stripe_fdw.api.request import Request
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.errors import InvalidResponseError, StripeFdwError


class OtherAccountError(StripeFdwError):
    """The key belongs to another account, or another mode, than the copies."""

    default_sqlstate = sqlstates.OBJECT_NOT_IN_PREREQUISITE_STATE


def ask_account(client: Client) -> ResponseFuture:
    """Ask whose key the client has; the answer is for ``check_account``."""
    return client.submit(Request.of("GET", "/v1/account"))


def check_account(
    client: Client,
    connection: psycopg.Connection,
    schemas: Schemas,
    check: Callable[[], object],
    asked: ResponseFuture | None = None,
) -> str:
    """Fix the account and mode of the copies, or compare them with the key's. Return the account's id.

    ``asked`` is the request for the account if it is under way.

    Raises:
        OtherAccountError: the copies hold the objects of another account, or of the other mode.
    """
    response = (asked or ask_account(client)).result(check=check)
    account_id = response.body.get("id")
    if not isinstance(account_id, str):
        raise InvalidResponseError("the response to GET /v1/account has no id")
    livemode = "_test_" not in client.options.key.reveal()
    connection.execute(
        "insert into stripe_sync.account (schema, account_id, livemode) values (%s, %s, %s)"
        " on conflict (schema) do nothing",
        (schemas.copies, account_id, livemode),
    )
    row = connection.execute(
        "select account_id, livemode from stripe_sync.account where schema = %s", (schemas.copies,)
    ).fetchone()
    if row == (account_id, livemode):
        fingerprint = client.options.fingerprint()
        connection.execute(
            "update stripe_sync.account set keys = (%s::text[] || keys)[:20]"
            " where schema = %s and not %s = any (keys)",
            ([fingerprint], schemas.copies, fingerprint),
        )
    else:
        known, known_mode = row or ("", False)
        raise OtherAccountError(
            f"the copies in schema {schemas.copies} are of account {known} in {_mode(known_mode)}",
            detail=f"The key belongs to account {account_id} in {_mode(livemode)}.",
            hint="Use a key of that account and mode, or another server for this one:"
            " stripe-fdw init --server NAME.",
        )
    return account_id


def servers_of_same_account(connection: psycopg.Connection, schemas: Schemas) -> list[str]:
    """Return the other servers that copy the same account, until the first refresh of this server has ended.

    They may be meant, but a wrong key looks the same.
    """
    rows = connection.execute(
        "select s.name from stripe_sync.account own"
        " join stripe_sync.account other using (account_id, livemode)"
        " join stripe_sync.server s on s.copies = other.schema"
        " where own.schema = %(schema)s and other.schema <> own.schema and not exists ("
        " select from stripe_sync.run r where r.schema = own.schema and r.finished_at is not null)"
        " order by s.name",
        {"schema": schemas.copies},
    ).fetchall()
    return [name for (name,) in rows]


def _mode(livemode: bool) -> str:
    return "live mode" if livemode else "test mode"
