"""What goes wrong on demand: which requests a fault strikes, and how often."""

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
    """A fault for requests whose path fits `path` (a shell pattern) and whose verb is `method`.

    It strikes `count` times (None: for ever) with this probability, after letting `skip` requests pass. With
    `after`, the operation is carried out first, and only its answer is lost. With `kept`, an error
    comes in the middle of the operation: the same idempotency key gets it again.
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
        """Whether it is an error of Stripe's, well-formed."""
        return self.kind in _ERRORS

    def fits(self, method: str, path: str) -> bool:
        """Whether it is meant for such a request."""
        return (self.method is None or self.method == method) and fnmatchcase(path, self.path)


class Faults:
    """All faults that are on, the first that fits strikes."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._random = random.Random(1)  # noqa: S311 - not for secrets

    def add(self, description: dict[str, Any]) -> None:
        """Switch one on. Raises ValueError for a description that is not understood."""
        known = {item.name for item in fields(Fault)}
        unknown = sorted(set(description) - known)
        if unknown or "kind" not in description:
            raise ValueError(f"a fault has {', '.join(sorted(known))}; not {', '.join(unknown) or 'no kind'}")
        self._faults.append(Fault(**description))

    def strike(self, method: str, path: str) -> Fault | None:
        """The fault that this request meets, if any; counts it."""
        for fault in self._faults:
            if not fault.fits(method, path):
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
        """All that were switched on, with how often each struck."""
        return [asdict(fault) for fault in self._faults]

    def clear(self) -> None:
        """Switch all off."""
        self._faults.clear()
