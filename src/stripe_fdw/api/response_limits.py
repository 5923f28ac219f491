"""Limits of a response: of the bytes that come, of the unpacked body, and of its JSON.

A program that answers in Stripe's place decides what it costs to read the response: headers, chunk sizes and
trailers without an end, a small body that unpacks to a huge one, and JSON that
takes 30 times its size when it is parsed.
"""

from __future__ import annotations

import io
from typing import Any, Final

import orjson

from stripe_fdw.errors import InvalidResponseError
from stripe_fdw.exact_json import MAX_DEPTH
from stripe_fdw.text_limits import MAX_NAME_CHARACTERS, excerpt

MAX_RESPONSE_BYTES: Final = 64 << 20  # unpacked; Stripe's largest pages have a few MiB
MAX_JSON_VALUES: Final = 1 << 20  # a page of Stripe's has a value for each 20 to 30 bytes
_MAX_RECEIVED_BYTES = MAX_RESPONSE_BYTES + (1 << 20)  # with head, chunk sizes and trailers
_BYTES_PER_VALUE = 2  # at least: a digit and a comma


class ResponseTooLargeError(Exception):
    """The response has more bytes, values or levels than Stripe sends; the text says which."""


def check_size(size: int, maximum: int = MAX_RESPONSE_BYTES) -> None:
    """Raise ResponseTooLargeError for a body of more than ``maximum`` bytes."""
    if size > maximum:
        raise ResponseTooLargeError(f"is larger than {maximum >> 20} MiB")


def check_values(body: bytes) -> None:
    """Raise ResponseTooLargeError for JSON of so many values that parsing it keeps the backend busy.

    Parsing cannot be interrupted, and a value takes up to 90 bytes. Commas and brackets in texts count too.
    """
    if len(body) <= MAX_JSON_VALUES * _BYTES_PER_VALUE:
        return
    if body.count(b",") + body.count(b"[") + body.count(b"{") > MAX_JSON_VALUES:
        raise ResponseTooLargeError(f"has more than {MAX_JSON_VALUES:,} values")


def check_depth(body: bytes, value: object) -> None:
    """Raise ResponseTooLargeError for a body too deep for its objects to be written as JSON again."""
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        return
    try:
        orjson.dumps(value)  # quicker than to walk through it
    except orjson.JSONEncodeError:
        raise ResponseTooLargeError(f"is nested more than {MAX_DEPTH} deep") from None


def too_large_error(error: ResponseTooLargeError, request_line: str) -> InvalidResponseError:
    """Return the error for a response that is too large; ``request_line`` is the method and path."""
    return InvalidResponseError(
        f"the response to {excerpt(request_line, MAX_NAME_CHARACTERS)} {error}",
        hint="Check that api_base is Stripe's API and that no proxy answers in its place.",
    )


class BoundedSocket:
    """The part of a socket that ``http.client`` reads a response from, up to a maximum of bytes."""

    def __init__(self, sock: Any) -> None:
        self._sock = sock

    def makefile(self, mode: str) -> io.BufferedReader:
        """Return the response's bytes as ``socket.makefile`` does. Reading raises ResponseTooLargeError."""
        return io.BufferedReader(_BoundedReader(self._sock.makefile(mode, buffering=0)))


class _BoundedReader(io.RawIOBase):
    def __init__(self, file: Any) -> None:
        self._file = file
        self._received = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        received: int | None = self._file.readinto(buffer)
        self._received += received or 0
        if self._received > _MAX_RECEIVED_BYTES:
            check_size(self._received)
        return received

    def close(self) -> None:
        super().close()
        self._file.close()
