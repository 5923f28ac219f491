from __future__ import annotations

import math
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stripe_fdw.api import rate_limiter
from stripe_fdw.api.rate_limiter import RateLimiter, account_identity, endpoint_limit, reserve_slot
from stripe_fdw.redaction import Secret
from stripe_fdw.shared.memory import CELL_NUMBERS, shared_memory

CUSTOMERS = "/v1/customers"


def cell() -> memoryview[float]:
    return memoryview(bytearray(8 * CELL_NUMBERS)).cast("d")


@pytest.fixture
def limiter(tmp_path: Path) -> RateLimiter:
    return RateLimiter(Secret("sk_test_1"), "https://api.stripe.com", directory=tmp_path / "shared")


def turns(
    limiter: RateLimiter, count: int, endpoint: str = CUSTOMERS, *, background: bool = False
) -> list[float]:
    """Send requests one after the other, as the limiter lets them; return their times in seconds."""
    began = time.monotonic()
    departures = []
    for _ in range(count):
        for seconds in limiter.waits(endpoint, background=background):
            time.sleep(seconds)
        departures.append(time.monotonic() - began)
    return departures


def waiters(limiter: RateLimiter, count: int, endpoint: str = CUSTOMERS) -> list[Generator[float]]:
    """Requests that wait for their turn and have not gone on yet."""
    requests = [limiter.waits(endpoint) for _ in range(count)]
    for request in requests:
        next(request, None)
    return requests


# One limit


@pytest.mark.parametrize("limit", [1.0, 2.5, 20.0, 25.0, 100.0, 1000.0])
def test_a_busy_limit_is_used_to_more_than_95_percent(limit: float) -> None:
    numbers = cell()
    count = int(limit * 40)
    moments = [reserve_slot(numbers, limit, 1000.0) for _ in range(count)]
    assert (count - 1) / (moments[-1] - moments[0]) > 0.95 * limit


@given(st.lists(st.floats(0.0, 3.0), min_size=30, max_size=200), st.sampled_from([1.0, 20.0, 25.0, 100.0]))
def test_no_window_of_a_second_ever_holds_more_than_the_limit(pauses: list[float], limit: float) -> None:
    numbers, now, moments = cell(), 1000.0, []
    for pause in pauses:
        now += pause if pause > 2.5 else pause / 50
        moments.append(reserve_slot(numbers, limit, now))
    assert moments == sorted(moments)
    for moment in moments:
        assert sum(moment <= other < moment + 1.0 for other in moments) <= limit


@pytest.mark.parametrize("capacity", [5, 25])
def test_a_token_bucket_never_runs_dry(capacity: int) -> None:
    numbers, tokens, before = cell(), float(capacity), 1000.0
    for _ in range(1000):
        moment = reserve_slot(numbers, 25.0, 1000.0)
        tokens = min(capacity, tokens + (moment - before) * 25.0) - 1
        before = moment
        assert tokens >= -1e-6


def test_after_an_idle_time_a_few_pass_at_once() -> None:
    numbers = cell()
    first = [reserve_slot(numbers, 25.0, 1000.0) for _ in range(7)]
    assert first[:4] == pytest.approx([1000.0] * 4)
    assert first[4] > 1000.03
    for _ in range(50):
        reserve_slot(numbers, 25.0, 1000.0)
    later = [reserve_slot(numbers, 25.0, 1010.0) for _ in range(7)]
    assert later[:4] == pytest.approx([1010.0] * 4)


@given(st.lists(st.floats(), min_size=CELL_NUMBERS, max_size=CELL_NUMBERS))
def test_nonsense_in_shared_memory_blocks_no_request_for_ever(numbers: list[float]) -> None:
    broken = cell()
    for index, number in enumerate(numbers):
        broken[index] = number
    moment = reserve_slot(broken, 25.0, 1000.0)
    assert 1000.0 <= moment <= 1000.0 + rate_limiter._MAX_AHEAD + 60
    assert math.isfinite(reserve_slot(broken, 25.0, 1000.0))


# Stages


def test_the_limits_are_stripes_or_the_options(tmp_path: Path) -> None:
    def limiter_of(key: str, maximum: float | None = None) -> RateLimiter:
        return RateLimiter(Secret(key), "https://api.stripe.com", None, maximum, directory=tmp_path / "s")

    assert limiter_of("sk_test_a").rate() == 25.0
    assert limiter_of("sk_live_a").rate() == limiter_of("rk_live_a").rate() == 100.0
    assert limiter_of("sk_live_b", 40.0).rate() == 40.0
    assert limiter_of("sk_live_b", 40.0).rate(CUSTOMERS) == 25.0
    assert limiter_of("sk_live_c", 400.0).rate(CUSTOMERS) == 100.0
    assert limiter_of("sk_live_d").rate("/v1/customers/search") == 20.0
    assert endpoint_limit("/v1/files/{file}") == 20.0


def test_a_busy_endpoint_does_not_hold_up_another(tmp_path: Path) -> None:
    limiter = RateLimiter(Secret("sk_live_1"), "b", directory=tmp_path / "shared")
    waiting = waiters(limiter, 100)
    assert sum(limiter.waits("/v1/invoices")) < 0.05
    assert len(waiting) == 100


def test_accounts_do_not_share_limits_but_clients_of_one_do(tmp_path: Path) -> None:
    def limiter_of(account: str) -> RateLimiter:
        return RateLimiter(Secret("sk_test_1"), "b", account, directory=tmp_path / "shared")

    waiting = waiters(limiter_of("acct_1"), 50)
    assert next(limiter_of("acct_1").waits(CUSTOMERS)) > 0.1
    assert sum(limiter_of("acct_2").waits(CUSTOMERS)) == 0
    assert len(waiting) == 50


def test_background_work_takes_half_and_leaves_the_other(limiter: RateLimiter) -> None:
    background = turns(limiter, 12, background=True)
    assert background[-1] > 0.5
    assert sum(limiter.waits(CUSTOMERS)) < 0.1


def test_no_key_stands_in_shared_memory(tmp_path: Path) -> None:
    limiter = RateLimiter(Secret("sk_test_51SecretSecret"), "b", directory=tmp_path / "shared")
    list(limiter.waits(CUSTOMERS))
    for file in (tmp_path / "shared").iterdir():
        assert b"51Secret" not in file.read_bytes()
    assert "51Secret" not in limiter._key_name + limiter._account_name


# 429


def test_on_429_it_slows_down_and_finds_its_way_back(
    limiter: RateLimiter, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 5000.0
    monkeypatch.setattr(rate_limiter.time, "monotonic", lambda: now)
    limiter.slow_down(CUSTOMERS)
    limiter.slow_down(CUSTOMERS)  # another answer to the same overrun
    assert limiter.rate(CUSTOMERS) == limiter.rate() == pytest.approx(25 * rate_limiter.SLOWER)
    now += 1.0
    assert limiter.rate() == pytest.approx(25 * (rate_limiter.SLOWER + rate_limiter.RECOVERY))
    for _ in range(100):
        now += 0.4
        limiter.slow_down(CUSTOMERS)
    assert 1.0 < limiter.rate() < 4.0
    now += 30
    assert limiter.rate() == 25.0


@pytest.mark.parametrize(
    ("reason", "endpoint_is_slower", "account_is_slower"),
    [
        ("global-rate", False, True),
        ("global-concurrency", False, True),
        ("endpoint-rate", True, False),
        ("resource-specific", True, False),
        (None, True, True),
    ],
)
def test_stripes_reason_says_what_to_slow_down(
    limiter: RateLimiter, reason: str | None, endpoint_is_slower: bool, account_is_slower: bool
) -> None:
    limiter.slow_down(CUSTOMERS, reason)
    assert (limiter.rate(CUSTOMERS) < 24) is endpoint_is_slower
    assert (limiter.rate() < 24) is account_is_slower
    assert limiter.rate("/v1/invoices") == 25.0


def test_a_lock_timeout_says_nothing_about_rates(limiter: RateLimiter) -> None:
    limiter.slow_down(CUSTOMERS, None, "lock_timeout")
    assert limiter.rate(CUSTOMERS) == 25.0


# Requests that are canceled, and keys that were never accepted


def test_a_canceled_request_gives_its_slot_to_the_next(limiter: RateLimiter) -> None:
    first = waiters(limiter, 4)  # pass at once
    for _ in range(20):
        canceled = limiter.waits(CUSTOMERS)
        next(canceled, None)  # passes at once where this process was slow
        canceled.close()
    assert next(limiter.waits(CUSTOMERS), 0.0) < 0.2
    assert len(first) == 4


def test_the_slots_given_back_are_taken_in_order_and_hold_to_the_limit(tmp_path: Path) -> None:
    numbers, now = cell(), 1000.0
    slots = [reserve_slot(numbers, 25.0, now) for _ in range(20)]
    for slot in (slots[9], slots[6], slots[15]):
        assert slot is not None
        rate_limiter.give_back(numbers, slot, now)
    assert [reserve_slot(numbers, 25.0, now) for _ in range(3)] == [slots[6], slots[9], slots[15]]
    following = reserve_slot(numbers, 25.0, now)
    assert following is not None
    assert slots[19] is not None
    assert following > slots[19]


def test_slots_are_reserved_a_little_ahead_only(limiter: RateLimiter) -> None:
    waiting = waiters(limiter, 1000)
    others = RateLimiter(
        Secret("sk_test_1"), "https://api.stripe.com", directory=limiter._memory._directories[0]
    )
    began = time.monotonic()
    for seconds in others.waits(CUSTOMERS):
        time.sleep(seconds)
    assert time.monotonic() - began < rate_limiter.HORIZON + 1
    assert len(waiting) == 1000


def test_a_made_up_key_does_not_delay_the_account_that_it_names(tmp_path: Path) -> None:
    def limiter_of(key: Secret) -> RateLimiter:
        return RateLimiter(key, "https://api.stripe.com", directory=tmp_path / "s")

    real, forged = modern("sk_live", ACCOUNT, "xY"), modern("sk_live", ACCOUNT, "zz")
    limiter_of(real).accept()
    waiting = waiters(limiter_of(forged), 200)
    limiter_of(forged).slow_down("")
    assert sum(limiter_of(real).waits(CUSTOMERS)) < 0.05
    assert limiter_of(real).rate() == 100.0
    assert len(waiting) == 200


def test_all_processes_know_that_a_key_was_accepted(tmp_path: Path) -> None:
    first, second = (
        RateLimiter(modern("sk_test", ACCOUNT, secret), "b", directory=tmp_path / "s")
        for secret in ("a", "b")
    )
    first.accept()
    second.accept()
    waiting = waiters(RateLimiter(modern("sk_test", ACCOUNT, "a"), "b", directory=tmp_path / "s"), 30)
    assert next(second.waits(CUSTOMERS)) > 0.1
    assert len(waiting) == 30


def test_a_server_with_a_low_limit_of_its_own_delays_no_other(tmp_path: Path) -> None:
    key = Secret("sk_test_1")
    slow = RateLimiter(key, "b", maximum=0.01, directory=tmp_path / "s")
    waiting = waiters(slow, 20)
    assert sum(RateLimiter(key, "b", directory=tmp_path / "s").waits(CUSTOMERS)) < 0.05
    assert len(waiting) == 20


# Several processes


def test_several_processes_together_keep_within_the_limit(tmp_path: Path) -> None:
    code = f"""
import time
from collections.abc import Generator
from pathlib import Path
from stripe_fdw.api.rate_limiter import RateLimiter
from stripe_fdw.redaction import Secret
limiter = RateLimiter(Secret("sk_test_1"), "b", directory=Path({str(tmp_path / "shared")!r}))
ends = time.monotonic() + 2
while time.monotonic() < ends:
    for seconds in limiter.waits("/v1/customers"):
        time.sleep(seconds)
    print(time.monotonic())
"""
    shared_memory(tmp_path / "shared")
    children = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(4)
    ]
    per_child = [[float(line) for line in child.communicate(timeout=60)[0].split()] for child in children]
    moments = sorted(moment for moments in per_child for moment in moments)
    for moment in moments:
        # More than the limit: here the moment of printing is taken, which may come late on a busy machine.
        assert sum(moment <= other < moment + 1.0 for other in moments) <= 28
    assert all(len(moments) > 5 for moments in per_child)


# Limits of accounts and keys

ACCOUNT = "51AbCdEfGhIjKlMnO"  # what follows sk_test_: 5, and the account's id after acct_


def modern(kind: str, account: str, secret: str) -> Secret:
    return Secret(f"{kind}_{account}{secret * 40}")


def test_two_keys_of_an_account_share_its_limit(tmp_path: Path) -> None:
    first, second, other = (
        RateLimiter(key, "https://api.stripe.com", maximum=10.0, directory=tmp_path / "s")
        for key in (
            modern("sk_test", ACCOUNT, "xY"),
            modern("rk_test", ACCOUNT, "Zz"),
            modern("sk_test", ACCOUNT[:-1] + "9", "xY"),
        )
    )
    first.accept()
    second.accept()
    other.accept()
    assert turns(first, 10)[-1] > 0.7
    assert turns(second, 2)[-1] > 0.05
    assert turns(other, 1)[-1] < 0.05


def test_modes_accounts_and_old_keys_have_limits_of_their_own() -> None:
    keys = [
        modern("sk_test", ACCOUNT, "xY"),
        modern("sk_live", ACCOUNT, "xY"),
        modern("sk_test", ACCOUNT[:-1] + "9", "xY"),
        Secret("sk_test_4eC39HqLyjWDarjtT1zdp7dc"),
        Secret("sk_test_4eC39HqLyjWDarjtT1zdp7dd"),
        Secret("sk_test_51AbCdEfGhIjKlMnOshort"),
        Secret("sk_test_51AbCdEfGhIjKlMnOshorter"),
    ]
    names = {account_identity(key) for key in keys}
    assert len(names) == len(keys)
    assert not any(ACCOUNT[1:] in name for name in names)
