"""The webhook endpoints of an account at Stripe: ours are found, made, replaced and deleted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit

import psycopg

from stripe_fdw.api.client import Client
from stripe_fdw.api.pages import objects, read_pages
from stripe_fdw.api.request import Request
from stripe_fdw.catalog.model import Catalog
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.errors import ApiError, InvalidResponseError, OptionError, StripeFdwError
from stripe_fdw.events.effects import used_event_types
from stripe_fdw.events.stored_secrets import end_secret, endpoints_with_secret, store_secret
from stripe_fdw.redaction import Secret
from stripe_fdw.text_limits import MAX_NAME_CHARACTERS, excerpt

MAX_ENDPOINTS: Final = 16  # of an account and mode: https://docs.stripe.com/webhooks
_LIST: Final = "/v1/webhook_endpoints"
_ONE: Final = "/v1/webhook_endpoints/{webhook_endpoint}"
_SERVER: Final = "stripe_fdw_server"  # the metadata by which ours are known: the name of the server
_CONNECT: Final = "stripe_fdw_connect"  # Stripe does not say which ones are for connected accounts
# Stripe waits for its answer to decide about a payment, so that only who decides may receive it.
_NOT_RECEIVED: Final = frozenset({"issuing_authorization.request"})


class EndpointError(StripeFdwError):
    """A webhook endpoint is missing, of others, or one too many."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A webhook endpoint, as Stripe lists it."""

    id: str
    url: str
    is_enabled: bool
    api_version: str | None  # None: the account's
    event_types: frozenset[str]
    created: datetime
    server: str | None  # that it was made for; None for those of others
    connect: bool  # sends the events of connected accounts, as far as is known

    @classmethod
    def of(cls, found: dict[str, Any]) -> Endpoint:
        """Return the endpoint of an object. Raises InvalidResponseError for what is none."""
        try:
            metadata = found.get("metadata") or {}
            return cls(
                id=str(found["id"]),
                url=str(found["url"]),
                is_enabled=found["status"] == "enabled",
                api_version=found.get("api_version"),
                event_types=frozenset(found["enabled_events"]),
                created=datetime.fromtimestamp(found["created"], UTC),
                server=metadata.get(_SERVER),
                connect=metadata.get(_CONNECT) == "true",
            )
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
            raise InvalidResponseError("Stripe has answered with what is no webhook endpoint") from None


def received_event_types(catalog: Catalog) -> tuple[str, ...]:
    """Return the types of the events that an endpoint is to send, in the order of their names."""
    return tuple(sorted(used_event_types(catalog) - _NOT_RECEIVED))


class WebhookEndpoints:
    """The endpoints that send to a server. The session is in autocommit: each secret is kept at once."""

    def __init__(
        self,
        client: Client,
        connection: psycopg.Connection,
        schemas: Schemas,
        catalog: Catalog,
        say: Callable[[str], None],
    ) -> None:
        self._client = client
        self._connection = connection
        self._schemas = schemas
        self._catalog = catalog
        self._say = say

    def all(self) -> list[Endpoint]:
        """Return all endpoints of the account, the newest first."""
        request = Request.of("GET", _LIST)
        pages = read_pages(self._client, request, check=_no_check)
        return [Endpoint.of(found) for page in pages for found in objects(page, request)]

    def with_secret(self) -> set[str]:
        """Return the ids of the endpoints whose secret is stored."""
        return endpoints_with_secret(self._connection, self._schemas)

    def create(self, url: str, *, connect: bool = False) -> Endpoint:
        """Return our endpoint with this URL: found and brought up to date, or made.

        Raises:
            OptionError: it is no URL.
            EndpointError: its secret is not stored; or the account has as many endpoints as it may have.
        """
        _check_url(url)
        with self._alone():
            ours = self._ours(url, connect)
            if not ours:
                return self._make(url, connect)
            stored = self.with_secret()
            found = next((item for item in ours if item.id in stored), None)
            if found is None:
                raise EndpointError(
                    f"{ours[0].id} sends to this URL already, but its secret is not in this database",
                    detail="Stripe shows the secret of an endpoint once, when it is made.",
                    hint=f"Replace it: stripe-fdw webhook rotate {url}{_options(self._schemas, connect)}.",
                )
            return self._bring_up_to_date(found)

    def rotate(self, url: str, *, connect: bool = False, keep_old: bool = False) -> Endpoint:
        """Replace our endpoint with this URL by a new one, and return it. The old one is disabled then.

        Events are sent by both until then, and the secrets of both are valid. With ``keep_old`` the old one
        stays enabled. Those that an earlier rotation has disabled are deleted.

        Raises:
            EndpointError: there is none; or the account has as many endpoints as it may have.
        """
        with self._alone():
            ours = self._ours(url, connect)
            if not any(item.is_enabled for item in ours):
                raise EndpointError(
                    f"no endpoint of server {self._schemas.server} sends to {_shown(url)}",
                    hint=f"Make it: stripe-fdw webhook create {url}{_options(self._schemas, connect)}.",
                )
            for item in ours:
                if not item.is_enabled:
                    self._delete(item)
            new = self._make(url, connect)
            for item in ours:
                if item.is_enabled and keep_old:
                    self._say(f"{item.id}: stays enabled until stripe-fdw webhook delete {item.id}")
                elif item.is_enabled:
                    self._update(item, {"disabled": True})
                    end_secret(self._connection, item.id)
                    self._say(f"{item.id}: disabled")
            return new

    def delete(self, target: str) -> list[Endpoint]:
        """Delete our endpoint with this id, or ours with this URL, and return them.

        Raises:
            EndpointError: there is none, or it is not ours.
        """
        with self._alone():
            found = [item for item in self.all() if target in (item.id, item.url)]
            ours = [item for item in found if item.server == self._schemas.server]
            if not ours:
                whose = found[0].server if found else None
                raise EndpointError(
                    f"{_shown(target)} is no endpoint of server {self._schemas.server}",
                    detail=f"It is one of server {whose}." if whose else None,
                    hint="stripe-fdw webhook list shows them. Delete those of others in Stripe's Dashboard.",
                )
            for item in ours:
                self._delete(item)
            return ours

    def _ours(self, url: str, connect: bool) -> list[Endpoint]:
        """Return our endpoints with this URL, the newest first. Tell of those of others."""
        ours = []
        for item in self.all():
            if item.url == url and item.server is None and item.is_enabled:
                self._say(f"{item.id}: sends to this URL as well, and was not made by stripe-fdw")
            if (item.url, item.server, item.connect) == (url, self._schemas.server, connect):
                ours.append(item)
        return ours

    def _make(self, url: str, connect: bool) -> Endpoint:
        params: dict[str, object] = {
            "url": url,
            "api_version": self._catalog.api_version,
            "enabled_events": received_event_types(self._catalog),
            "description": f"stripe-fdw, server {self._schemas.server}",
            "metadata": {_SERVER: self._schemas.server, **({_CONNECT: "true"} if connect else {})},
            **({"connect": True} if connect else {}),
        }
        try:
            answer = self._send(Request.of("POST", _LIST, params))
        except ApiError as error:
            count = len(self.all())
            if error.status != 400 or count < MAX_ENDPOINTS:
                raise
            raise EndpointError(
                f"the account has {count} webhook endpoints, and Stripe allows {MAX_ENDPOINTS}",
                detail=error.message,
                hint="Delete one that is not needed: stripe-fdw webhook list shows them.",
            ) from None
        endpoint = Endpoint.of(answer)
        try:
            secret = answer.get("secret")
            if not isinstance(secret, str) or not secret:
                raise InvalidResponseError(f"Stripe has answered without the secret of {endpoint.id}")
            store_secret(self._connection, self._schemas, endpoint.id, url, Secret(secret))
        except BaseException:
            self._send(
                Request.of("DELETE", _ONE, None, webhook_endpoint=endpoint.id)
            )  # without it, of no use
            raise
        self._say(f"{endpoint.id}: made, with {len(endpoint.event_types)} types of events")
        return endpoint

    def _bring_up_to_date(self, endpoint: Endpoint) -> Endpoint:
        wanted = received_event_types(self._catalog)
        if endpoint.event_types != frozenset(wanted) or not endpoint.is_enabled:
            endpoint = self._update(endpoint, {"enabled_events": wanted, "disabled": False})
            self._say(f"{endpoint.id}: brought up to date")
        else:
            self._say(f"{endpoint.id}: is there already")
        if endpoint.api_version != self._catalog.api_version:
            self._say(
                f"{endpoint.id}: sends version {endpoint.api_version} of the API, not"
                f" {self._catalog.api_version}: stripe-fdw webhook rotate replaces it"
            )
        return endpoint

    def _update(self, endpoint: Endpoint, params: dict[str, object]) -> Endpoint:
        return Endpoint.of(self._send(Request.of("POST", _ONE, params, webhook_endpoint=endpoint.id)))

    def _delete(self, endpoint: Endpoint) -> None:
        self._send(Request.of("DELETE", _ONE, None, webhook_endpoint=endpoint.id))
        end_secret(self._connection, endpoint.id)
        self._say(f"{endpoint.id}: deleted")

    def _send(self, request: Request) -> dict[str, Any]:
        body: dict[str, Any] = self._client.fetch(request, check=_no_check).body
        return body

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep others out who change endpoints by way of this database, without a transaction."""
        self._connection.execute("select pg_advisory_lock(hashtext('stripe-fdw webhook'))")
        try:
            yield
        finally:
            if not self._connection.broken:
                self._connection.execute("select pg_advisory_unlock(hashtext('stripe-fdw webhook'))")


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        is_usable = parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc
    except ValueError:
        is_usable = False
    if not is_usable or not url.isprintable() or " " in url:
        raise OptionError(
            f"{_shown(url)} is no URL to which Stripe can send",
            hint="For example https://hooks.example.com/webhooks/stripe.",
        )


def _options(schemas: Schemas, connect: bool) -> str:
    return f"{schemas.option}{' --connect' if connect else ''}"


def _shown(text: str) -> str:
    return excerpt(text, MAX_NAME_CHARACTERS)


def _no_check() -> None:
    """Do nothing: no query waits that could be cancelled."""
