"""Keeps requests within Stripe's limits, for all processes of this host together.

Limits and their names: https://docs.stripe.com/rate-limits. A request passes *stages* one after the other:
the share of background work, its endpoint, its account. At each it reserves the next free moment and waits
for it, so that all get their turn in order, and a busy endpoint does not hold up the others.

A stage spaces requests evenly, after an idle time lets a few pass at once, and never lets more through than
the limit in any window of a second, and a little longer, because a packet may come late.
On 429 it multiplies its rate by SLOWER; it gains RECOVERY of its limit each second until it is whole again.
"""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from stripe_fdw.redaction import Secret
from stripe_fdw.shared.memory import CELL_NUMBERS, Cell, SharedMemory, shared_memory

LIVE_LIMIT = 100.0  # requests a second
TEST_LIMIT = 25.0
ENDPOINT_LIMIT = 25.0
SLOW_ENDPOINT_LIMIT = 20.0  # search, files
BACKGROUND_SHARE = 0.5

WINDOW = 1.02  # seconds in which at most a second's worth of requests leaves
PACE = 1.03  # of a limit: a little quicker than the window allows, so that what was late can be caught up
BURST_AT_MOST = 4
SLOWER = 0.8
SLOWEST = 0.05  # of a limit
RECOVERY = 0.05  # of a limit, a second
_TOGETHER = 0.3  # seconds within which several 429s are one message
_LATE = 0.003  # seconds; less than that the window's margin covers
_FURTHEST = 3600.0  # seconds; a moment further away was never written by this program

# sk_live_5, then what follows acct_ in the account's id, then the secret.
_NAMES_ITS_ACCOUNT = re.compile(r"[sr]k_(test|live)_5(1[A-Za-z0-9]{15})[A-Za-z0-9]{40}")

# What a cell's numbers mean. The rest is a ring of the moments of the last requests.
_USED, _NEXT, _FACTOR, _SLOWED, _POSITION, _RING = range(6)
_RING_SIZE = CELL_NUMBERS - _RING


@dataclass(frozen=True, slots=True)
class Stage:
    """One limit and the cell that counts against it."""

    cell: Cell
    limit: float  # requests a second


class RateLimiter:
    """The limits of one account, shared with every process that asks for the same account, mode and base.

    Stripe counts by account, whichever of its keys asks. Today's keys name their account, so two of them
    share a limit; older ones do not, and each is taken for an account of its own.

    ``maximum`` replaces Stripe's global limit, in requests a second. Where it is higher than Stripe's, the
    account has been given more, and its endpoints are taken to have been given more in proportion.
    """

    def __init__(
        self,
        key: Secret,
        base: str,
        account: str | None = None,
        maximum: float | None = None,
        *,
        directory: Path | None = None,
        background_share: float = BACKGROUND_SHARE,
    ) -> None:
        standard = TEST_LIMIT if "_test_" in key.reveal() else LIVE_LIMIT
        self._total = maximum or standard
        self._raised = max(1.0, self._total / standard)
        self._share = background_share
        self._memory: SharedMemory = shared_memory(directory)
        self._name = f"{account_identity(key)} {base} {account or ''}"
        self._stages: dict[tuple[str, bool], Stage] = {}
        self._lock = threading.Lock()

    def waits(self, endpoint: str, *, background: bool = False) -> Iterator[float]:
        """Reserve a turn at each stage, one after the other, and yield the seconds to wait for it.

        The request may leave when the iterator has ended and the last wait is over.
        """
        names = (endpoint, "")
        stages = [self._stage(name, background=True) for name in names] if background else []
        stages += [self._stage(name, background=False) for name in names]
        turns: list[tuple[Stage, float]] = []
        for stage in stages:
            now = time.monotonic()
            start = self._reserve(stage, now)
            turns.append((stage, start))
            if start > now:
                yield start - now
        self._confirm(turns)

    def too_many(self, endpoint: str, reason: str | None = None, code: str | None = None) -> None:
        """Stripe answered 429, with this ``Stripe-Rate-Limited-Reason`` and error code: slow down.

        A lock timeout is a 429 as well, but says nothing about rates.
        """
        if code == "lock_timeout":
            return
        kind = (reason or "").partition("-")[0]
        names = {"global": ("",), "endpoint": (endpoint,), "resource": (endpoint,)}.get(kind, (endpoint, ""))
        now = time.monotonic()
        for name in names:
            with self._memory.locked() as mapping:
                _slow_down(self._stage(name, background=False).cell.numbers(mapping, now), now)

    def rate(self, endpoint: str = "") -> float:
        """Requests a second that the endpoint, or the account as a whole, is allowed now."""
        stage = self._stage(endpoint, background=False)
        now = time.monotonic()
        with self._memory.locked() as mapping:
            return stage.limit * _factor(stage.cell.numbers(mapping, now), now)

    def _stage(self, name: str, *, background: bool) -> Stage:
        """The stage of an endpoint, or of the whole account for the name ""."""
        key = (name, background)
        stage = self._stages.get(key)
        if stage is None:
            with self._lock:
                cell = self._memory.cell(f"{self._name} {name} {background}".encode())
                limit = (endpoint_limit(name) * self._raised) if name else self._total
                stage = Stage(cell, limit * self._share if background else limit)
                self._stages[key] = stage
        return stage

    def _reserve(self, stage: Stage, now: float) -> float:
        with self._memory.locked() as mapping:
            return reserve(stage.cell.numbers(mapping, now), stage.limit, now)

    def _confirm(self, turns: list[tuple[Stage, float]]) -> None:
        """Note when the request really leaves, if that is later than reserved, for the window's sake."""
        now = time.monotonic()
        for stage, start in turns:
            if now - start > _LATE:
                with self._memory.locked() as mapping:
                    confirm(stage.cell.numbers(mapping, now), start, now)


def account_identity(key: Secret) -> str:
    """Tells one account and mode from another, without a part of the key: the same for all its keys."""
    named = _NAMES_ITS_ACCOUNT.match(key.reveal())
    if named is None:
        return key.fingerprint()
    return hashlib.blake2b(" ".join(named.groups()).encode(), digest_size=12).hexdigest()


def endpoint_limit(endpoint: str) -> float:
    """Requests a second that Stripe allows an endpoint by default."""
    slow = endpoint.endswith("/search") or endpoint.startswith("/v1/files")
    return SLOW_ENDPOINT_LIMIT if slow else ENDPOINT_LIMIT


def reserve(cell: memoryview[float], limit: float, now: float) -> float:
    """Take the next free moment, now or later, at which a request may pass."""
    factor = _factor(cell, now)
    rate = limit * factor
    interval = 1.0 / (rate * PACE)
    slack = (max(1, min(BURST_AT_MOST, int(limit / 6))) - 1) * interval if factor >= 1.0 else 0.0
    virtual = max(_moment(cell[_NEXT], now), now)
    in_window = max(1, min(_RING_SIZE, int(rate)))
    position = int(cell[_POSITION]) if 0.0 <= cell[_POSITION] < _RING_SIZE else 0
    earlier = _moment(cell[_RING + (position - in_window) % _RING_SIZE], now)
    start = max(now, virtual - slack, earlier + in_window / rate * WINDOW)
    # Whoever had to wait leaves no credit behind: bursts come after idle times only.
    cell[_NEXT] = (max(virtual, start + slack) if start > now else virtual) + interval
    cell[_RING + position] = start
    cell[_POSITION] = (position + 1) % _RING_SIZE
    cell[_USED] = start
    return start


def confirm(cell: memoryview[float], start: float, actual: float) -> None:
    """Put the actual moment in the place of the reserved one, if that is still known."""
    newest = int(cell[_POSITION]) if 0.0 <= cell[_POSITION] < _RING_SIZE else 0
    for back in range(1, _RING_SIZE):
        index = _RING + (newest - back) % _RING_SIZE
        if cell[index] == start:
            cell[index] = actual
            return
        if cell[index] < start:
            return


def _factor(cell: memoryview[float], now: float) -> float:
    """The part of the limit that is used at present: 1 unless there was a 429 lately."""
    slowed = cell[_SLOWED]
    if not 0.0 < slowed <= now + _FURTHEST or not SLOWEST <= cell[_FACTOR] <= 1.0:
        return 1.0
    return min(1.0, cell[_FACTOR] + max(0.0, now - slowed) * RECOVERY)


def _slow_down(cell: memoryview[float], now: float) -> None:
    factor = _factor(cell, now)
    if factor < 1.0 and now - cell[_SLOWED] < _TOGETHER:
        return
    cell[_FACTOR] = max(SLOWEST, factor * SLOWER)
    cell[_SLOWED] = now
    cell[_USED] = max(cell[_USED], now)


def _moment(value: float, now: float) -> float:
    """A moment read from shared memory; one that cannot be is as good as long ago (also NaN)."""
    return value if value <= now + _FURTHEST else 0.0
