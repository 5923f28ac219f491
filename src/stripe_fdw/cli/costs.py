"""What reading resources costs: said before they are refreshed or compared."""

from __future__ import annotations

import psycopg

from stripe_fdw.api.client import Client
from stripe_fdw.catalog.model import Resource
from stripe_fdw.cli.output import say
from stripe_fdw.copies.lists import NotListedError, list_parent
from stripe_fdw.database.queries import single_value
from stripe_fdw.database.schemas import Schemas


def say_cost(resource: Resource, connection: psycopg.Connection, schemas: Schemas) -> None:
    """Say how many requests it takes to read a resource that needs one for each object of another one."""
    try:
        parent = list_parent(resource)
    except NotListedError:
        return
    if parent is not None:
        count = single_value(
            connection,
            "select stripe_sync.count_rows(%s, %s, '', false)",
            schemas.copies,
            parent.resource,
        )
        if count is not None:  # otherwise the parent has no copy, and reading fails
            say(f"{resource.name}: a request for each {parent.resource}, of which there are {count}")


def say_limit(client: Client) -> None:
    """Say how many requests a second are sent at most, and which setting changes that."""
    share = f"{client.options.background_share:.0%} of the account's rate limit of {client.account_limit:g}"
    say(f"at most {client.background_rate:g} requests a second: {share} (STRIPE_FDW_BACKGROUND_SHARE)")
