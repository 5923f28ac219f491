"""Failures of connections: in plain words what went wrong, what helps, and whether a retry may.

The libraries' own texts show Python objects, and where a proxy is used its address with its password.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from http.client import RemoteDisconnected
from typing import Final

from msgspec import Struct
from urllib3.exceptions import (
    ConnectTimeoutError,
    DecodeError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    ProxyError,
    SSLError,
    TimeoutError,  # noqa: A004
)

# OpenSSL's reasons where what answers speaks no TLS. Versions of OpenSSL differ.
_NO_TLS: Final = frozenset(
    {"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG", "HTTP_REQUEST"}
)
# Where both speak TLS, in no common version or cipher.
_NO_COMMON_TLS: Final = frozenset(
    {
        "NO_PROTOCOLS_AVAILABLE",
        "SSLV3_ALERT_HANDSHAKE_FAILURE",
        "TLSV1_ALERT_PROTOCOL_VERSION",
        "UNSUPPORTED_PROTOCOL",
    }
)
_NOT_IN_ITS_TIME: Final = frozenset({9, 10})  # X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED
_OTHER_NAME: Final = frozenset({62, 64})  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH
_REFUSED_TUNNEL: Final = re.compile(r"Tunnel connection failed: ([0-9]{3})")  # http.client's text
_PASSING_STATUSES: Final = frozenset({408, 425, 429})  # of proxies, besides those from 500 up
_PROXY_HINT: Final = (
    "Check HTTPS_PROXY in the environment of the database server, and of the worker. NO_PROXY names the hosts"
    " that are reached without a proxy."
)


class Failure(Struct, frozen=True):
    """Why there is no response."""

    summary: str
    reason: str
    hint: str | None = None


def is_final(failure: HTTPError | None) -> bool:
    """Return True if every other attempt would fail for the same reason."""
    status = _proxy_status(failure)
    if status is not None:
        return status < 500 and status not in _PASSING_STATUSES
    error = _tls_error(failure)
    return isinstance(error, ssl.SSLCertVerificationError) or (
        error is not None and error.reason in _NO_TLS | _NO_COMMON_TLS
    )


def explain(failure: HTTPError | None, host: str, *, timeout: float, connect_timeout: float) -> Failure:
    """Say why a connection failed.

    Args:
        failure: the error of the last attempt; None if the connection ended early.
        host: that was to be reached, with its port.
        timeout: in seconds, of a request with its retries.
        connect_timeout: in seconds, of a connection.
    """
    tls_error, via_proxy = _tls_error(failure), isinstance(failure, ProxyError)
    if tls_error is not None or isinstance(failure, SSLError):
        summary, hint = _tls_failure(tls_error, via_proxy=via_proxy)
    elif via_proxy:
        status = _proxy_status(failure)
        if status is None:
            summary, hint = "the proxy named in HTTPS_PROXY cannot be reached", _PROXY_HINT
        elif status == 407:
            summary = "the proxy named in HTTPS_PROXY wants another user or password"
            hint = "Give both in HTTPS_PROXY: http://user:password@proxy.example.com:3128."
        else:
            summary, hint = "the proxy named in HTTPS_PROXY refuses to connect to it", _PROXY_HINT
    elif isinstance(failure, NewConnectionError):
        summary = "it cannot be reached"
        hint = "Check api_base, the network of the database host and its proxy."
    elif isinstance(failure, TimeoutError):
        summary = "it did not answer in time"
        hint = f"The server option timeout ({timeout:g} s) bounds each request with its retries."
    else:
        summary, hint = "the connection ended before the response was complete", None
    return Failure(summary, _reason(failure, host, timeout, connect_timeout), hint)


def _tls_failure(error: ssl.SSLError | None, *, via_proxy: bool) -> tuple[str, str | None]:
    """Return summary and hint."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return "its certificate cannot be accepted", _certificate_hint(error.verify_code)
    reason = error.reason if error is not None else None
    if reason in _NO_TLS and via_proxy:
        return (
            "the proxy speaks no TLS",
            "Name it as http:// in HTTPS_PROXY: what passes through is encrypted for Stripe.",
        )
    if reason in _NO_TLS:
        return "it speaks no TLS", "Check the port in api_base: plain HTTP seems to be served there."
    if reason in _NO_COMMON_TLS:
        return "it offers no version of TLS that can be accepted", "TLS 1.2 or later is needed."
    return "the TLS connection failed", None


def _certificate_hint(verify_code: int) -> str:
    if verify_code in _NOT_IN_ITS_TIME:
        return "Renew it, or set the clock of the database host."
    if verify_code in _OTHER_NAME:
        return "api_base must name the host as its certificate does."
    return (
        "For a certificate authority of your own, name a file with its certificate in SSL_CERT_FILE, in the"
        " environment of the database server and of the worker."
    )


def _reason(failure: HTTPError | None, host: str, timeout: float, connect_timeout: float) -> str:
    if isinstance(failure, NameResolutionError):
        return f"the name {host.rpartition(':')[0] or host} is not known"
    if isinstance(failure, TimeoutError) and not isinstance(failure, NewConnectionError):
        while_connecting = isinstance(failure, ConnectTimeoutError)
        seconds = min(connect_timeout, timeout) if while_connecting else timeout
        missing = f"connection to {host}" if while_connecting else "response"
        return f"no {missing} within {seconds:g} s"
    if isinstance(failure, DecodeError):
        return "the response could not be decompressed"
    status = _proxy_status(failure)
    if status is not None:
        return f"the proxy answered {status}"
    peer = "the proxy" if isinstance(failure, ProxyError) else host
    reasons = (_system_reason(cause, peer) for cause in _causes(failure))
    return next(filter(None, reasons), "the response ended early")


def _system_reason(cause: BaseException, peer: str) -> str | None:
    """Return the reason in an exception of the system's; None for exceptions of the libraries around it."""
    match cause:
        case ssl.SSLCertVerificationError():
            reason = f"certificate not accepted: {cause.verify_message}"
        case ssl.SSLError():
            reason = f"TLS failed: {(cause.reason or 'no reason given').lower().replace('_', ' ')}"
        case RemoteDisconnected():
            reason = "connection closed without a response"
        case ConnectionRefusedError():
            reason = f"connection refused by {peer}"
        case ConnectionResetError():
            reason = f"connection reset by {peer}"
        case OSError(strerror=str(text)):
            reason = text.lower()
        case _:
            return None
    return reason


def _tls_error(failure: BaseException | None) -> ssl.SSLError | None:
    return next((cause for cause in _causes(failure) if isinstance(cause, ssl.SSLError)), None)


def _proxy_status(failure: BaseException | None) -> int | None:
    """Return the status with which a proxy refused; None if it was not asked, or has not answered."""
    if not isinstance(failure, ProxyError):
        return None
    matches = (_REFUSED_TUNNEL.match(str(cause)) for cause in _causes(failure))
    return next((int(found[1]) for found in matches if found), None)


def _causes(failure: BaseException | None) -> Iterator[BaseException]:
    """Yield the exceptions that led to an exception, innermost first."""
    if failure is None:
        return
    inner = [argument for argument in failure.args if isinstance(argument, BaseException)]
    for cause in (*inner, failure.__cause__):
        yield from _causes(cause)
    yield failure
