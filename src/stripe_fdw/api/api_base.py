"""Validation of ``api_base``, the address of the API."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

from stripe_fdw import sqlstates
from stripe_fdw.errors import OptionError
from stripe_fdw.text_limits import MAX_NAME_CHARACTERS, excerpt

STRIPE = "https://api.stripe.com"
_STRIPE_HOST = "api.stripe.com"
_VERSION = re.compile(r"/v[12]\Z")
_ADDRESS = re.compile(r"[\x21-\x7e]{0,2000}")
_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+")  # a name, or an address of version 4 or 6


def check_api_base(text: str) -> str:
    """Return the address without a trailing slash.

    Raises OptionError unless it is https, or http to a loopback host.
    """
    text = text.strip()
    if not _ADDRESS.fullmatch(text):
        raise _error(
            text, "is not an address like https://api.stripe.com: it is too long, or not plain ASCII"
        )
    try:
        parts = urlsplit(text)
        port_is_valid = parts.port is None or parts.port > 0
    except ValueError:
        port_is_valid = False
        parts = SplitResult("", "", "", "", "")
    if not port_is_valid or parts.scheme not in ("http", "https") or not parts.hostname:
        raise _error(text, "is not an address like https://api.stripe.com")
    if not _HOST.fullmatch(parts.hostname):  # what urllib would read otherwise than it is checked here
        raise _error(text, "is not an address like https://api.stripe.com")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise _error(text, "must hold no user, password, query or fragment")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise _error(text, "is not https", "Plain http is accepted for loopback hosts only.")
    path = parts.path.rstrip("/")
    if _VERSION.search(path):
        right = f"{parts.scheme}://{parts.netloc}{_VERSION.sub('', path)}"
        right = excerpt(right, MAX_NAME_CHARACTERS)
        raise _error(text, f"ends in the version of the API, which each request adds: give {right}")
    return f"{parts.scheme}://{parts.netloc}{path}"


def is_stripe(api_base: str) -> bool:
    """Return True if a checked address is that of Stripe's own API."""
    parts = urlsplit(api_base)
    return parts.scheme == "https" and parts.hostname == _STRIPE_HOST and parts.port in (None, 443)


def is_foreign(api_base: str) -> bool:
    """Return True if requests to a checked address leave this machine for another receiver than Stripe."""
    return not is_stripe(api_base) and not is_loopback(urlsplit(api_base).hostname or "")


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
        f'api_base "{excerpt(text, MAX_NAME_CHARACTERS)}" {problem}',
        hint=hint,
        sqlstate=sqlstates.FDW_INVALID_ATTRIBUTE_VALUE,
    )
