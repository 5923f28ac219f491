"""Validation of ``api_base``, the address of the API."""

from __future__ import annotations

import ipaddress
from urllib.parse import SplitResult, urlsplit

from stripe_fdw import sqlstates
from stripe_fdw.errors import OptionError
from stripe_fdw.redaction import redact

STRIPE = "https://api.stripe.com"


def check_api_base(text: str) -> str:
    """Return the address without a trailing slash.

    Raises OptionError unless it is https, or http to a loopback host.
    """
    try:
        parts = urlsplit(text.strip())
        port_is_valid = parts.port is None or parts.port > 0
    except ValueError:
        port_is_valid = False
        parts = SplitResult("", "", "", "", "")
    if not port_is_valid or parts.scheme not in ("http", "https") or not parts.hostname:
        raise _error(text, "is not an address like https://api.stripe.com")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise _error(text, "must hold no user, password, query or fragment")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise _error(text, "is not https", "Plain http is accepted for loopback hosts only.")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def is_loopback(host: str) -> bool:
    """Return True if the host name or address can only be this machine."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _error(text: str, problem: str, hint: str | None = None) -> OptionError:
    return OptionError(
        f'api_base "{redact(text)}" {problem}', hint=hint, sqlstate=sqlstates.FDW_INVALID_ATTRIBUTE_VALUE
    )
