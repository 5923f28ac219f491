"""The account whose copies a command writes: its database and its key, from the environment."""

from __future__ import annotations

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from stripe_fdw.api.api_base import STRIPE
from stripe_fdw.api.client import Client, ClientOptions
from stripe_fdw.catalog import load
from stripe_fdw.errors import OptionError
from stripe_fdw.redaction import Secret
from stripe_fdw.settings import settings


def database_url() -> str:
    """Return DATABASE_URL. Raises OptionError if it is not set, or no connection string."""
    url = settings().database_url
    example = "for example postgresql:///app or host=/tmp dbname=app"
    if not url:
        raise OptionError(
            "DATABASE_URL is not set", hint=f"Set it to the connection string of the database, {example}."
        )
    try:
        conninfo_to_dict(url)
    except ProgrammingError:  # whose text may repeat a password
        raise OptionError(
            "DATABASE_URL is not a connection string of libpq", hint=f"Write a URI or keywords, {example}."
        ) from None
    return url


def copies_account() -> tuple[str, Client]:
    """Return the connection string of the database and a client with the key.

    Raises OptionError if DATABASE_URL or STRIPE_API_KEY is not set, or DATABASE_URL is no connection string.
    """
    env = settings()
    url = database_url()
    if env.stripe_api_key is None or not env.stripe_api_key.get_secret_value():
        raise OptionError("STRIPE_API_KEY is not set", hint="Set it to the key of the account to copy.")
    options = ClientOptions(
        Secret(env.stripe_api_key.get_secret_value()),
        load().api_version,
        env.stripe_api_base or STRIPE,
        max_requests_per_second=env.max_requests_per_second,
        background_share=env.background_share,
    )
    return url, Client(options)
