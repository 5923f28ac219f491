"""Faults on demand: which requests they affect, and how often."""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass, field, fields
from fnmatch import fnmatchcase
from typing import Any

KINDS = {
    "status": "an error of Stripe's, with `status` (429, 500, 502, 503 …)",
    "lock_timeout": "429: another request has locked the object",
    "conflict": "409: the request conflicts with another",
    "reset": "the connection is reset",
    "cut": "the connection ends in the middle of the body",
    "slow": "the body comes in small pieces, over `seconds`",
    "hang": "nothing comes for `seconds`",
    "html": "a page of HTML, with `status`",
    "half": "half of the JSON, as if it were all",
    "redirect": "a redirect to `location`",
    "wrong": "JSON that is not Stripe's",
    "empty": "no body at all",
}
_STATUS = {
    "status": 500,
    "lock_timeout": 429,
    "conflict": 409,
    "html": 200,
    "redirect": 302,
    "wrong": 200,
    "empty": 200,
}
_ERRORS = frozenset({"status", "lock_timeout", "conflict"})


@dataclass(slots=True)
class Fault:
    """A fault for requests whose path matches `path` (a shell pattern) and whose method is `method`.

    It occurs `count` times (None: without limit) with this probability, after `skip` requests without it.
    With `after`, the operation is run first, and only its response is lost. With `kept`, an error occurs in
    the middle of the operation: the same idempotency key gets it again. `struck` counts its occurrences.
    """

    kind: str
    path: str = "*"
    method: str | None = None
    count: int | None = 1
    probability: float = 1.0
    skip: int = 0
    after: bool = False
    kept: bool = False
    status: int = 0
    seconds: float = 3600.0
    location: str = "https://example.com/"
    headers: dict[str, str] = field(default_factory=dict)
    code: str | None = None
    message: str | None = None
    struck: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown kind {self.kind!r}; there are {', '.join(KINDS)}")
        self.status = self.status or _STATUS.get(self.kind, 200)

    @property
    def is_error(self) -> bool:
        """True if the response is a well-formed error of Stripe."""
        return self.kind in _ERRORS

    def matches(self, method: str, path: str) -> bool:
        """Return True if the fault is for such requests."""
        return (self.method is None or self.method == method) and fnmatchcase(path, self.path)


class Faults:
    """The faults that are set; the first that matches a request affects it."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._random = random.Random(1)  # noqa: S311 - not for secrets

    def add(self, description: dict[str, Any]) -> None:
        """Set a fault. Raises ValueError for unknown fields or an unknown kind."""
        names = {item.name for item in fields(Fault)}
        unknown = sorted(set(description) - names)
        if unknown or "kind" not in description:
            raise ValueError(f"a fault has {', '.join(sorted(names))}; not {', '.join(unknown) or 'no kind'}")
        self._faults.append(Fault(**description))

    def next_fault(self, method: str, path: str) -> Fault | None:
        """Return the fault that affects this request, and count it; None without one."""
        for fault in self._faults:
            if not fault.matches(method, path):
                continue
            if fault.skip > 0:
                fault.skip -= 1
                continue
            if fault.count is not None and fault.struck >= fault.count:
                continue
            if fault.probability < 1 and self._random.random() >= fault.probability:
                continue
            fault.struck += 1
            return fault
        return None

    def described(self) -> list[dict[str, Any]]:
        """Return all faults that are set, as JSON, with the number of times each occurred."""
        return [asdict(fault) for fault in self._faults]

    def clear(self) -> None:
        """Remove all faults."""
        self._faults.clear()
