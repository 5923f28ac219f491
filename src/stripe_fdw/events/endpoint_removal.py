"""The end of webhook endpoints whose database is not to receive events any more."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import psycopg

from stripe_fdw.api.client import Client
from stripe_fdw.api.request import Request
from stripe_fdw.database.installed_parts import is_clone, plain_tables
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.errors import NotFoundError
from stripe_fdw.redaction import redact

_ENDPOINT: Final = re.compile(r"we_[A-Za-z0-9_]+")


@dataclass(frozen=True, slots=True)
class EndpointRemoval:
    """An endpoint at Stripe that was made for a server, and how it is deleted."""

    id: str
    url: str
    key_variable: str
    client: Client | None
    """With the key of the account; None where the endpoint is left, for a reason."""
    reason: str | None = None
    of_original: bool = False
    """It is the endpoint of another database, of which this one is a clone."""

    @property
    def command(self) -> str:
        """What to do instead, for people."""
        connected = self.client.options.stripe_account if self.client is not None else None
        account = f" -H 'Stripe-Account: {connected}'" if connected else ""
        return (
            f"To delete it: curl -X DELETE https://api.stripe.com/v1/webhook_endpoints/{self.id}"
            f' -u "${self.key_variable}:"{account}'
        )

    @property
    def left(self) -> str:
        """What is said of an endpoint that is left."""
        name = f"webhook endpoint {self.id} ({redact(self.url)})"
        if self.of_original:
            return f"{name} stays at Stripe: it sends to the database of which this one is a clone"
        return f"{name} is left at Stripe: {self.reason}. {self.command}"

    def delete(self) -> str | None:
        """Delete it, and return what is said of that; None if it is left.

        Raises StripeFdwError, of which the endpoint is left.
        """
        if self.client is None:
            return None
        request = Request.of(
            "DELETE", "/v1/webhook_endpoints/{webhook_endpoint}", None, webhook_endpoint=self.id
        )
        try:
            self.client.fetch(request, check=lambda: None)
        except NotFoundError:
            return f"{self.id}: the account of the key has no such webhook endpoint"
        return f"{self.id}: deleted at Stripe"


def endpoint_removals(
    connection: psycopg.Connection, schemas: Schemas, client: Client | None, reason: str | None
) -> Iterator[EndpointRemoval]:
    """Yield the endpoints of a server whose secrets are stored; ``reason`` says why there is no client."""
    clone = is_clone(connection)
    if not plain_tables(connection, "webhook_secret"):
        return
    rows = connection.execute(
        "select endpoint, url from stripe_sync.webhook_secret where server = %s order by created_at",
        (schemas.server,),
    ).fetchall()
    for endpoint, url in rows:
        if not _ENDPOINT.fullmatch(endpoint) or not url.isprintable():  # not written by this package
            continue
        yield EndpointRemoval(
            endpoint, url, schemas.key_variable, None if clone else client, reason, of_original=clone
        )
