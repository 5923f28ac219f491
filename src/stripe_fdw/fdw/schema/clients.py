"""Keeps one client for each key, account and server in this backend, so that connections stay open."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from stripe_fdw.api.client import Client, ClientOptions
from stripe_fdw.catalog import load
from stripe_fdw.fdw.schema.options import ServerOptions
from stripe_fdw.redaction import Secret

_AT_MOST: Final = 16
_clients: OrderedDict[ClientOptions, Client] = OrderedDict()


def client_for(server: ServerOptions, key: Secret) -> Client:
    """The client for these options and this key: the same one while they stay the same."""
    options = ClientOptions(
        key=key,
        api_version=load().api_version,
        api_base=server.api_base,
        stripe_account=server.stripe_account,
        timeout=server.timeout,
        max_requests_per_second=server.max_requests_per_second,
    )
    client = _clients.get(options)
    if client is None:
        client = _clients[options] = Client(options)
        while len(_clients) > _AT_MOST:
            _clients.popitem(last=False)[1].close()
    _clients.move_to_end(options)
    return client
