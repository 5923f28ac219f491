"""An endpoint that answers as no Stripe does: an HTTP server on the loopback, and its settings."""

from __future__ import annotations

import gzip
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from itertools import count

Behaviour = Callable[[socket.socket, str], object]
"""What is done with a connection, given the request as ``GET /v1/customers?limit=100``."""

JSON = "Content-Type: application/json"
_CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"


class HostileEndpoint:
    """A TCP server on the loopback that reads a request and then does what its settings say, each time."""

    def __init__(self, behave: Behaviour) -> None:
        self.behave = behave
        self._closed = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.requests: list[str] = []  # each as GET /v1/customers?limit=100
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while not self._closed:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):  # the other end goes away, as it may
            while not self._closed:
                head = b""
                while b"\r\n\r\n" not in head:
                    more = connection.recv(65536)
                    if not more:
                        return
                    head += more
                line = head.split(b"\r\n", 1)[0].decode("latin-1").rpartition(" ")[0]
                self.requests.append(line)
                self.behave(connection, line)

    def close(self) -> None:
        """Stop."""
        self._closed = True
        self._listener.close()


Hostile = Callable[[Behaviour], HostileEndpoint]
"""The type of the fixture ``hostile``."""


def answer(body: bytes, status: str = "200 OK", headers: str = JSON, length: int | None = None) -> bytes:
    """An HTTP answer."""
    size = len(body) if length is None else length
    return f"HTTP/1.1 {status}\r\n{headers}\r\nContent-Length: {size}\r\n\r\n".encode() + body


def says(*parts: bytes) -> Behaviour:
    """Send these bytes and close."""

    def behave(connection: socket.socket, _: str) -> None:
        for part in parts:
            connection.sendall(part)
        connection.close()

    return behave


def page(*objects: str, more: str = "false") -> bytes:
    """A list of objects."""
    data = ",".join(objects)
    return f'{{"object":"list","url":"/v1/customers","has_more":{more},"data":[{data}]}}'.encode()


def customer(field: str = "") -> str:
    """A customer, with the JSON of a further field: ``"name":"N"``."""
    return f'{{"id":"cus_1","object":"customer","created":1700000000{field and ","}{field}}}'


def asked_for(line: str, field: str = "") -> bytes:
    """The body that a request asks for: a page of one customer, or the customer."""
    is_list = line.startswith("GET") and line.partition("?")[0].endswith("/customers")
    return page(customer(field)) if is_list else customer(field).encode()


def with_field(field: str, headers: str = JSON) -> Behaviour:
    """Answer what is asked for, with a further field."""
    return lambda connection, line: connection.sendall(answer(asked_for(line, field), headers=headers))


def repeats(head: bytes, part: bytes, pause: float = 0.0, times: int = 1 << 40) -> Behaviour:
    """Send a head, and then the same bytes for ever."""

    def behave(connection: socket.socket, _: str) -> None:
        connection.sendall(head)
        for _ in range(times):
            connection.sendall(part)
            if pause:
                time.sleep(pause)

    return behave


def resets(connection: socket.socket, _: str) -> None:
    """Reset the connection."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def lists_without_end() -> Behaviour:
    """Answer each request with a full page of new objects, and say that there are more."""
    numbers = count(1)

    def behave(connection: socket.socket, _: str) -> None:
        ids = [f"cus_{next(numbers)}" for _ in range(100)]
        objects = (f'{{"id":"{name}","object":"customer","created":1700000000}}' for name in ids)
        connection.sendall(answer(page(*objects, more="true")))

    return behave


def keeps_silent(connection: socket.socket, _: str) -> None:
    """Answer nothing, until the other end goes away."""
    connection.settimeout(60)
    while connection.recv(65536):
        pass


def _packed(
    pack: Callable[[bytes], bytes], encoding: str, body: Callable[[str], Iterable[bytes]]
) -> Behaviour:
    @cache
    def packed(line: str) -> bytes:
        return pack(b"".join(body(line)))

    headers = f"{JSON}\r\nContent-Encoding: {encoding}"
    return lambda connection, line: connection.sendall(answer(packed(line), headers=headers))


def _of_spaces(line: str) -> Iterable[bytes]:
    return asked_for(line), b" " * (70 << 20)


def _of_many_values(line: str) -> Iterable[bytes]:
    before, after = asked_for(line, '"metadata":[[]]').split(b"[[]]")
    return before, b"[", b"[]," * (20 << 20), b"[]]", after


def _twice(body: bytes) -> bytes:
    return gzip.compress(gzip.compress(body, 1), 1)


NO_RESPONSE = "no response from 127.0.0.1"
NOT_STRIPE = "the response to "
TOO_LARGE = "is larger than 64 MiB"
TOO_MANY_VALUES = "has more than 1,048,576 values"


@dataclass(frozen=True)
class Attack:
    """What an endpoint does to any request, and what its error says."""

    behave: Behaviour
    says: str


# Each fails by itself, whether something is read or written.
ATTACKS: dict[str, Attack] = {
    "a reset": Attack(resets, NO_RESPONSE),
    "an end before any byte": Attack(says(b""), NO_RESPONSE),
    "an end within the head": Attack(says(b"HTTP/1.1 200 OK\r\nContent-Ty"), ""),
    "another protocol": Attack(says(b"220 smtp.example.com ESMTP\r\n"), NO_RESPONSE),
    "HTTP 0.9": Attack(says(b'{"id":"cus_1","object":"customer"}'), NO_RESPONSE),
    "a TLS alert": Attack(says(b"\x15\x03\x03\x00\x02\x02\x46"), NO_RESPONSE),
    "a status that is no number": Attack(says(b"HTTP/1.1 OK 200\r\n\r\n"), NO_RESPONSE),
    "a status of five digits": Attack(says(b"HTTP/1.1 20000 OK\r\n\r\n"), NO_RESPONSE),
    "a line of a megabyte": Attack(says(b"HTTP/1.1 200 OK\r\nX: ", b"y" * (1 << 20)), NO_RESPONSE),
    "thousands of headers": Attack(says(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 5000 + b"\r\n"), NO_RESPONSE),
    "a wrong chunk": Attack(says(_CHUNKED, b"zz\r\n{}\r\n0\r\n\r\n"), NO_RESPONSE),
    "a negative chunk": Attack(says(_CHUNKED, b"-5\r\n{}\r\n0\r\n\r\n"), NO_RESPONSE),
    # A broken response for the newer versions of urllib3, too large for the others.
    "a chunk size without an end": Attack(repeats(_CHUNKED, b"0" * 0x100000), ""),
    "a chunk's extension without an end": Attack(repeats(_CHUNKED + b"1;", b"x" * 0x100000), ""),
    "fewer bytes than promised": Attack(says(answer(b"{}", length=5000)), NO_RESPONSE),
    "more bytes than promised": Attack(
        lambda connection, line: connection.sendall(answer(asked_for(line), length=20)), NOT_STRIPE
    ),
    "a body that is not gzip": Attack(
        says(answer(b"no gzip", headers=f"{JSON}\r\nContent-Encoding: gzip")), NO_RESPONSE
    ),
    "an encoding that was not asked for": Attack(
        says(answer(b"\x1b\x03\x00\xf8", headers=f"{JSON}\r\nContent-Encoding: br")), NOT_STRIPE
    ),
    "a chain of encodings": Attack(
        says(answer(b"x", headers=f"{JSON}\r\nContent-Encoding: {', '.join(['gzip'] * 50)}")), NO_RESPONSE
    ),
    "204": Attack(says(b"HTTP/1.1 204 No Content\r\n\r\n"), "JSON"),
    "an empty body": Attack(says(answer(b"")), "it is empty"),
    "HTML": Attack(says(answer(b"<h1>Sign in</h1>", headers="Content-Type: text/html")), "Sign in"),
    "a 401 of a proxy": Attack(says(answer(b"<h1>Sign in</h1>", "401 Unauthorized")), "Sign in"),
    "a 200 with an error": Attack(says(answer(b'{"error":{"message":"no"}}')), "JSON"),
    "an error that is a list": Attack(says(answer(b'{"error":[1]}', "400 Bad Request")), "400"),
    "an error without a word": Attack(says(answer(b'{"error":{}}', "400 Bad Request")), "400"),
    "an error of lists": Attack(
        says(answer(b'{"error":{"type":"x","message":[1],"code":{},"param":7}}', "400 Bad Request")), "400"
    ),
    "a list in place of an object": Attack(says(answer(b"[]")), "JSON"),
    "null": Attack(says(answer(b"null")), "JSON"),
    "a number": Attack(says(answer(b"1")), "JSON"),
    "lists 100,000 deep": Attack(says(answer(b"[" * 100_000)), "JSON"),
    "a field 100,000 deep": Attack(
        with_field('"metadata":' + '{"a":' * 100_000 + "1" + "}" * 100_000), "JSON"
    ),
    "a field 500 deep": Attack(
        with_field('"metadata":' + '{"a":' * 500 + "1" + "}" * 500), "is nested more than 254 deep"
    ),
    "bytes of no encoding": Attack(says(answer(b'{"object":"list","data":[{"id":"\xff"}]}')), "JSON"),
    "half a pair of surrogates": Attack(with_field('"name":"\\ud800"'), "JSON"),
    "an infinite number": Attack(with_field('"balance":1e999'), "JSON"),
    "NaN": Attack(with_field('"balance":NaN'), "JSON"),
}  # fmt: skip

# Each costs more than 64 MiB, or would.
FLOODS: dict[str, Attack] = {
    "gzip": Attack(_packed(gzip.compress, "gzip", _of_spaces), TOO_LARGE),
    "deflate": Attack(_packed(zlib.compress, "deflate", _of_spaces), TOO_LARGE),
    "gzip in gzip": Attack(_packed(_twice, "gzip, gzip", _of_spaces), TOO_LARGE),
    "gzip of many values": Attack(_packed(_twice, "gzip, gzip", _of_many_values), TOO_MANY_VALUES),
    "a body without an end": Attack(repeats(_CHUNKED, b"100000\r\n" + b" " * 0x100000 + b"\r\n"), TOO_LARGE),
    "trailers without an end": Attack(
        repeats(_CHUNKED + b"0\r\n", b"X: " + b"y" * 60_000 + b"\r\n"), TOO_LARGE
    ),
    "a provisional response for ever": Attack(
        repeats(b"", b"HTTP/1.1 100 Continue\r\nX: " + b"y" * 60_000 + b"\r\n\r\n"), TOO_LARGE
    ),
}

# Each lasts until the option timeout or a cancel ends it.
DELAYS: dict[str, Behaviour] = {
    "silence": keeps_silent,
    "a head that drips": repeats(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n", 0.05, 90),
    "a body that drips": repeats(answer(b"", length=100_000), b" ", 0.02),
    "chunks of a byte": repeats(_CHUNKED, b"1\r\n \r\n" * 100),
    "provisional responses": repeats(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
}

# Each is strange, and answers what was asked for all the same.
ODDITIES: dict[str, Behaviour] = {
    "50 headers of 60 kB": lambda connection, line: connection.sendall(
        answer(asked_for(line), headers=JSON + ("\r\nX: " + "y" * 60_000) * 50)
    ),
    "another answer behind the body": lambda connection, line: connection.sendall(
        answer(asked_for(line)) + answer(b'{"error":{"type":"x","message":"smuggled"}}', "400 Bad Request")
    ),
    "a time beyond all calendars": with_field("", f"{JSON}\r\nDate: Fri, 31 Dec 9999 23:59:59 -2359"),
    "a time of too many digits": with_field("", f"{JSON}\r\nDate: 1 Jan {'9' * 30} 00:00:00 GMT"),
    "a header of other letters": with_field("", f"{JSON}\r\nRequest-Id: req_ä\u2028"),
    "an object 240 deep": with_field('"metadata":' + '{"a":' * 240 + "1" + "}" * 240),
    "a key twice": with_field('"id":"cus_2","id":"cus_1"'),
    "NUL": with_field('"name":"a\\u0000b"'),
    "no reason": lambda connection, line: connection.sendall(answer(asked_for(line), "200")),
}
