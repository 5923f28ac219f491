"""HTTP clients of a session, one for each key, account and server."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from stripe_fdw.api.client import Client, ClientOptions
from stripe_fdw.api.request import Request
from stripe_fdw.catalog import load
from stripe_fdw.errors import InvalidResponseError
from stripe_fdw.fdw.schema.options import ServerOptions
from stripe_fdw.redaction import Secret

_MAX_CLIENTS: Final = 16


class ClientPool:
    """The clients of a session, kept so that their connections stay open."""

    def __init__(self, max_clients: int = _MAX_CLIENTS) -> None:
        self._max_clients = max_clients
        self._clients: OrderedDict[ClientOptions, Client] = OrderedDict()
        self._account_ids: dict[ClientOptions, str] = {}

    def client_for(self, server: ServerOptions, key: Secret) -> Client:
        """Return the client for these server options and this key: the same one while both stay the same.

        The least recently used client is closed when there are more than ``max_clients``.
        """
        options = ClientOptions(
            key=key,
            api_version=load().api_version,
            api_base=server.api_base,
            stripe_account=server.stripe_account,
            timeout=server.timeout,
            max_requests_per_second=server.max_requests_per_second,
        )
        client = self._clients.get(options)
        if client is None:
            client = self._clients[options] = Client(options)
            while len(self._clients) > self._max_clients:
                dropped, unused = self._clients.popitem(last=False)
                self._account_ids.pop(dropped, None)
                unused.close()
        self._clients.move_to_end(options)
        return client

    def client_of_key(self, server: ServerOptions, fingerprint: str) -> Client | None:
        """Return a client of this server with this fingerprint; None if the session has none."""
        for options, client in self._clients.items():
            is_of_server = (options.api_base, options.stripe_account) == (
                server.api_base,
                server.stripe_account,
            )
            if is_of_server and options.fingerprint() == fingerprint:
                return client
        return None

    def account_id(self, client: Client, check: Callable[[], object]) -> str:
        """Return the id of the account that a client of this pool writes to: asked of Stripe once.

        Raises:
            ApiError: the key may not read its account.
            InvalidResponseError: the response has no id.
        """
        known = self._account_ids.get(client.options)
        if known is None:
            body = client.fetch(Request.of("GET", "/v1/account"), check=check).body
            known = body.get("id")
            if not isinstance(known, str):
                raise InvalidResponseError("the response to GET /v1/account has no id")
            self._account_ids[client.options] = known
        return known
