"""HTTP clients of a session, one for each key, account and server."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from stripe_fdw.api.client import Client, ClientOptions
from stripe_fdw.catalog import load
from stripe_fdw.fdw.schema.options import ServerOptions
from stripe_fdw.redaction import Secret

_MAX_CLIENTS: Final = 16


class ClientPool:
    """The clients of a session, kept so that their connections stay open."""

    def __init__(self, max_clients: int = _MAX_CLIENTS) -> None:
        self._max_clients = max_clients
        self._clients: OrderedDict[ClientOptions, Client] = OrderedDict()

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
                self._clients.popitem(last=False)[1].close()
        self._clients.move_to_end(options)
        return client
