"""Rate limits of Stripe's accounts and endpoints, kept by all processes of this machine together.

Limits and their names: https://docs.stripe.com/rate-limits. A request passes *stages* one after the other:
the share of background requests, its endpoint, its account. At each it reserves the next free slot, a moment
in time, and waits for it. So requests pass in the order in which they came, and a busy endpoint does not hold
up the others. Slots are reserved at most HORIZON seconds ahead, and given back by requests that are canceled
meanwhile: whatever a session does, it delays others by no more than that.

A stage spaces requests evenly. After an idle time it lets a few pass at once. It never lets more pass than
the limit in any window of a second and a little, because a packet may come late. On 429 it multiplies its
rate by SLOWER, and gains RECOVERY of its limit each second until it is back at the whole limit.
"""

from __future__ import annotations

import hashlib
import math
import random
import re
import threading
import time
from collections.abc import Generator
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from stripe_fdw.redaction import Secret
from stripe_fdw.shared.memory import CELL_NUMBERS, Cell, SharedMemory, shared_memory
from stripe_fdw.shared.ratios import Ratio

LIVE_LIMIT = 100.0  # requests a second
TEST_LIMIT = 25.0
ENDPOINT_LIMIT = 25.0
SLOW_ENDPOINT_LIMIT = 20.0  # search, files
BACKGROUND_SHARE = 0.5

WINDOW = 1.02  # seconds in which at most a second's worth of requests leaves
PACE = 1.03  # of a limit: a little quicker than the window allows, so that late requests can be caught up
MAX_BURST = 4  # requests
SLOWER = 0.8
SLOWEST = 0.05  # of a limit
RECOVERY = 0.05  # of a limit, a second
HORIZON = 2.0  # seconds ahead that slots are reserved
_RETRY = 0.2  # seconds, on average, until a request looks again whether a slot within the horizon is free
_SAME_OVERRUN = 0.3  # seconds within which several 429s slow a stage down once
_LATE = 0.003  # seconds; less than that the window's margin covers
_MAX_AHEAD = 3600.0  # seconds; a slot further in the future was never written by this program

# sk_live_5, then what follows acct_ in the account's id, then the secret.
_KEY_WITH_ACCOUNT = re.compile(r"[sr]k_(test|live)_5(1[A-Za-z0-9]{15})[A-Za-z0-9]{40}")

# Indexes into a cell's numbers. Some hold slots that were given back, the rest a ring of the last slots.
_USED, _NEXT, _FACTOR, _SLOWED, _POSITION, _FREED = range(6)
_RING = _FREED + 8
_RING_SIZE = CELL_NUMBERS - _RING


class Stage(Struct, frozen=True):
    """One limit and the cell in which its slots are reserved."""

    cell: Cell
    limit: float  # requests a second


class Budget(Protocol):
    """A further limit of background requests, which other machines share."""

    def waits(self) -> Generator[float]:
        """Reserve a slot and yield the seconds to wait for it; closing the iterator gives it back."""


class RateLimiter:
    """The limits of one account, shared with every process that uses the same account, mode and base.

    Stripe counts by account, whichever of its keys is used. Today's keys name their account, so two of them
    share a limit as soon as Stripe has accepted both; older ones do not, and each is taken for an account of
    its own. A key that Stripe has not accepted may name any account, and must not delay that account's
    requests.

    ``maximum`` replaces Stripe's limit of the account, in requests a second. Where it is higher than
    Stripe's, the account was granted more, and its endpoints are taken to have more in proportion. Limits
    that differ are kept apart.
    """

    def __init__(
        self,
        key: Secret,
        api_base: str,
        account: str | None = None,
        maximum: float | None = None,
        *,
        directory: Path | None = None,
        background_share: float = BACKGROUND_SHARE,
    ) -> None:
        standard = TEST_LIMIT if "_test_" in key.reveal() else LIVE_LIMIT
        self.account_limit = maximum or standard
        self._endpoint_factor = max(1.0, self.account_limit / standard)
        self._background_share = background_share
        self.budget: Budget | None = None  # of background requests on all machines
        self._memory: SharedMemory = shared_memory(directory)
        self._key_name, self._account_name = (
            f"{identity} {api_base} {account or ''} {self.account_limit:g}"
            for identity in (key.fingerprint(), account_identity(key))
        )
        self._accepted = Ratio(self._memory, f"accepted {key.fingerprint()} {api_base}".encode())
        self._is_accepted = self._key_name == self._account_name
        self._stages: dict[tuple[str, bool, bool], Stage] = {}
        self._lock = threading.Lock()

    def waits(self, endpoint: str, *, background: bool = False) -> Generator[float]:
        """Reserve a slot at each stage, one after the other, and yield the seconds to wait for it.

        The request may leave when the iterator has ended and the last wait is over. Closing the iterator
        during a wait gives the slot back.
        """
        if background and self.budget is not None:
            yield from self.budget.waits()
        names = (endpoint, "")
        stages = [self._stage(name, background=True) for name in names] if background else []
        stages += [self._stage(name, background=False) for name in names]
        reserved: list[tuple[Stage, float]] = []
        for stage in stages:
            while (slot := self._reserve(stage, now := time.monotonic())) is None:
                yield random.uniform(0.5, 1.5) * _RETRY  # noqa: S311 - so that not all look at the same time
            reserved.append((stage, slot))
            if slot > now:
                try:
                    yield slot - now
                except GeneratorExit:
                    self._give_back(stage, slot)
                    raise
        self._correct(reserved)

    def accept(self) -> None:
        """Note that Stripe has accepted the key: from now on its requests count as those of its account."""
        if self._uses_account:
            return
        self._accepted.learn(1.0, 1.0, 1.0)
        self._is_accepted = True
        self._reserve(self._stage("", background=False), time.monotonic())  # the answered request counts too

    def slow_down(self, endpoint: str, reason: str | None = None, code: str | None = None) -> None:
        """Lower the rate after a 429 with this ``Stripe-Rate-Limited-Reason`` and error code.

        A lock timeout is a 429 as well, but does not mean that requests come too fast.
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
        """Return the requests a second that the endpoint, or for "" the account, is allowed now."""
        stage = self._stage(endpoint, background=False)
        now = time.monotonic()
        with self._memory.locked() as mapping:
            return stage.limit * _factor(stage.cell.numbers(mapping, now), now)

    @property
    def background_rate(self) -> float:
        """The requests a second that the account allows to background work."""
        return self.account_limit * self._background_share

    def _stage(self, name: str, *, background: bool) -> Stage:
        """Return the stage of an endpoint, or of the account for the name ""."""
        account = self._uses_account
        key = (name, background, account)
        stage = self._stages.get(key)
        if stage is None:
            with self._lock:
                owner = self._account_name if account else self._key_name
                cell = self._memory.cell(f"{owner} {name} {background}".encode())
                limit = (endpoint_limit(name) * self._endpoint_factor) if name else self.account_limit
                stage = Stage(cell, limit * self._background_share if background else limit)
                self._stages[key] = stage
        return stage

    @property
    def _uses_account(self) -> bool:
        """True if Stripe has accepted the key, in this process or in another one."""
        if not self._is_accepted:
            self._is_accepted = self._accepted.read() is not None
        return self._is_accepted

    def _reserve(self, stage: Stage, now: float) -> float | None:
        with self._memory.locked() as mapping:
            return reserve_slot(stage.cell.numbers(mapping, now), stage.limit, now, now + HORIZON)

    def _give_back(self, stage: Stage, slot: float) -> None:
        now = time.monotonic()
        with self._memory.locked() as mapping:
            give_back(stage.cell.numbers(mapping, now), slot, now)

    def _correct(self, reserved: list[tuple[Stage, float]]) -> None:
        """Record when the request really leaves, where that is later than its slot: the window counts it."""
        now = time.monotonic()
        for stage, slot in reserved:
            if now - slot > _LATE:
                with self._memory.locked() as mapping:
                    correct_slot(stage.cell.numbers(mapping, now), slot, now)


def account_identity(key: Secret) -> str:
    """Return a text that all keys of an account and mode share, and that holds no part of the key."""
    match = _KEY_WITH_ACCOUNT.match(key.reveal())
    if match is None:
        return key.fingerprint()
    return hashlib.blake2b(" ".join(match.groups()).encode(), digest_size=12).hexdigest()


def endpoint_limit(endpoint: str) -> float:
    """Return the requests a second that Stripe allows an endpoint by default."""
    slow = endpoint.endswith("/search") or endpoint.startswith("/v1/files")
    return SLOW_ENDPOINT_LIMIT if slow else ENDPOINT_LIMIT


def reserve_slot(cell: memoryview[float], limit: float, now: float, latest: float = math.inf) -> float | None:
    """Reserve the next free slot, now or later, at which a request may pass, and return it.

    Return None, and reserve nothing, if it is later than ``latest``.
    """
    factor = _factor(cell, now)
    rate = limit * factor
    interval = 1.0 / (rate * PACE)
    slack = (max(1, min(MAX_BURST, int(limit / 6))) - 1) * interval if factor >= 1.0 else 0.0
    virtual = max(_valid_moment(cell[_NEXT], now), now)
    in_window = max(1, min(_RING_SIZE, int(rate)))
    position = int(cell[_POSITION]) if 0.0 <= cell[_POSITION] < _RING_SIZE else 0
    earlier = _valid_moment(cell[_RING + (position - in_window) % _RING_SIZE], now)
    slot = max(now, virtual - slack, earlier + in_window / rate * WINDOW)
    given_back = [index for index in range(_FREED, _RING) if now <= cell[index] < slot]
    if given_back:
        earliest = min(given_back, key=lambda index: cell[index])
        slot, cell[earliest] = cell[earliest], 0.0
        return slot
    if slot > latest:
        return None
    # A request that had to wait leaves no slack to the next: bursts come after idle times only.
    cell[_NEXT] = (max(virtual, slot + slack) if slot > now else virtual) + interval
    cell[_RING + position] = slot
    cell[_POSITION] = (position + 1) % _RING_SIZE
    cell[_USED] = slot
    return slot


def give_back(cell: memoryview[float], slot: float, now: float) -> None:
    """Let another request have a slot that is not used: the next one that comes takes it."""
    if slot <= now:
        return
    for index in range(_FREED, _RING):
        if not now <= cell[index] <= now + _MAX_AHEAD:
            cell[index] = slot
            return


def correct_slot(cell: memoryview[float], slot: float, actual: float) -> None:
    """Replace a reserved slot by the actual moment, if it is still in the ring."""
    newest = int(cell[_POSITION]) if 0.0 <= cell[_POSITION] < _RING_SIZE else 0
    for back in range(1, _RING_SIZE):
        index = _RING + (newest - back) % _RING_SIZE
        if cell[index] == slot:
            cell[index] = actual
            return
        if cell[index] < slot:
            return


def _factor(cell: memoryview[float], now: float) -> float:
    """Return the part of the limit that is used at present: 1 unless there was a 429 lately."""
    slowed = cell[_SLOWED]
    if not 0.0 < slowed <= now + _MAX_AHEAD or not SLOWEST <= cell[_FACTOR] <= 1.0:
        return 1.0
    return min(1.0, cell[_FACTOR] + max(0.0, now - slowed) * RECOVERY)


def _slow_down(cell: memoryview[float], now: float) -> None:
    factor = _factor(cell, now)
    if factor < 1.0 and now - cell[_SLOWED] < _SAME_OVERRUN:
        return
    cell[_FACTOR] = max(SLOWEST, factor * SLOWER)
    cell[_SLOWED] = now
    cell[_USED] = max(cell[_USED], now)


def _valid_moment(value: float, now: float) -> float:
    """Return a moment read from shared memory, and 0 for an impossible one (too far ahead, or NaN)."""
    return value if value <= now + _MAX_AHEAD else 0.0
