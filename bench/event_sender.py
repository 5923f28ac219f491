"""``python -m bench.event_sender FILE PORT CONNECTIONS RATE``: send requests, as Stripe sends webhooks.

The ends of the requests come on standard input, as JSON. Each of the kept connections has one request under
way; at a rate above 0, requests begin at that many a second. What came of them is printed as JSON.
"""

from __future__ import annotations

import mmap
import re
import resource
import select
import socket
import sys
import time
from collections import deque
from pathlib import Path
from typing import Any

import orjson

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_SECONDS = 200  # after which the signatures would be too old


class _Sender:
    def __init__(self, requests: memoryview, ends: list[int], rate: float) -> None:
        self._requests = requests
        self._starts = [0, *ends[:-1]]
        self._ends = ends
        self._rate = rate
        self._next = 0
        self.sent_at: list[float] = []
        self.refused = 0

    def send(self, port: int, connections: int) -> float:
        """Send all requests; return the seconds that it took."""
        poll = select.epoll()
        idle: deque[socket.socket] = deque()  # each is used in turn: one that rests for long is closed
        by_number: dict[int, socket.socket] = {}
        partial: dict[int, bytes] = {}
        for _ in range(connections):
            connection = socket.create_connection(("127.0.0.1", port))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            by_number[connection.fileno()] = connection
            poll.register(connection.fileno(), select.EPOLLIN)
            idle.append(connection)
        answered, count = 0, len(self._ends)
        started = time.monotonic()
        while answered < count:
            if time.monotonic() - started > _SECONDS:
                raise RuntimeError(f"{count - answered} of {count} requests are not answered")
            while idle and self._next < count and self._is_due(started):
                self._post(idle.popleft())
            for number, _ in poll.poll(self._pause(started)):
                connection = by_number[number]
                received = connection.recv(65536)
                if not received:
                    raise RuntimeError("the receiver has closed a connection")
                answer = partial.pop(number, b"") + received
                if not _is_complete(answer):
                    partial[number] = answer
                    continue
                if not answer.startswith(b"HTTP/1.1 200 "):
                    self.refused += 1
                    print(answer[:300], file=sys.stderr)
                answered += 1
                idle.append(connection)
        return time.monotonic() - started

    def _is_due(self, started: float) -> bool:
        return not self._rate or time.monotonic() - started >= self._next / self._rate

    def _pause(self, started: float) -> float:
        """Return the seconds until a request is due, -1 if none will be before an answer."""
        if not self._rate or self._next == len(self._ends):
            return 1
        return max(started + self._next / self._rate - time.monotonic(), 0.001)

    def _post(self, connection: socket.socket) -> None:
        self.sent_at.append(time.time())
        connection.sendall(self._requests[self._starts[self._next] : self._ends[self._next]])
        self._next += 1


def _is_complete(answer: bytes) -> bool:
    """Return True if an answer has its whole body; each has the length in its head."""
    head, end, body = answer.partition(b"\r\n\r\n")
    length = _LENGTH.search(head)
    return bool(end) and length is not None and len(body) == int(length[1])


def main(file: str, port: str, connections: str, rate: str) -> None:
    """Send what a file has."""
    ends = orjson.loads(sys.stdin.buffer.read())
    with (
        Path(file).open("rb") as opened,
        mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
        memoryview(mapped) as view,
    ):
        sender = _Sender(view, ends, float(rate))
        before = _processor_seconds()
        seconds = sender.send(int(port), int(connections))
        result: dict[str, Any] = {
            "seconds": seconds,
            "processor_seconds": _processor_seconds() - before,
            "refused": sender.refused,
            "sent_at": sender.sent_at,
        }
    sys.stdout.buffer.write(orjson.dumps(result))


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main(*sys.argv[1:])
