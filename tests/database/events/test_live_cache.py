"""Events that are applied reach other sessions: their live caches, and what they listen to."""

from __future__ import annotations

import json
from collections.abc import Iterator

import psycopg
import pytest

from stripe_fdw.jobs.following import apply_events, poll_events
from stripe_simulator.process import SimulatorProcess
from support.bare_stripe import BareStripe
from support.database import KEY, rows
from support.waiting import hang_guard

from .conftest import Working

WAIT = "select stripe_sync.wait('20 seconds')"


@pytest.fixture
def sessions(live_dsn: str, live_stripe: SimulatorProcess) -> Iterator[list[psycopg.Connection]]:
    """Two sessions on a server whose answers are cached for an hour."""
    live_stripe.control("POST", "/reset")
    with (
        psycopg.connect(live_dsn, autocommit=True) as one,
        psycopg.connect(live_dsn, autocommit=True) as other,
    ):
        one.execute("truncate stripe_sync.inbox, stripe_sync.event_position, stripe_sync.refetch,"
                    " stripe_copy.customer")  # fmt: skip
        yield [one, other]


def test_the_next_query_of_every_session_shows_the_new_value(
    sessions: list[psycopg.Connection], live_stripe: SimulatorProcess, working: Working
) -> None:
    api = BareStripe(live_stripe.url, KEY)
    changed, same = (api.post("customers", name="Ada")["id"] for _ in range(2))
    one = f"select name from stripe_live.customer where id = '{changed}'"
    other = f"select name from stripe_live.customer where id = '{same}'"
    every = "select count(*) from stripe_live.customer where name = 'Eve'"

    def seen() -> list[list[tuple[object, ...]]]:
        return [rows(session, query) for session in sessions for query in (one, other, every)]

    with working(poll_events, apply_events), hang_guard(30):
        sessions[0].execute(WAIT)
        before = seen()
        assert before == [[("Ada",)], [("Ada",)], [(0,)]] * 2
        api.post(f"customers/{changed}", name="Eve")
        assert seen() == before  # the cache holds for an hour, and no event has come
        sessions[0].execute("update stripe_copy.customer set _as_of = _as_of - interval '1 minute'")
        sessions[0].execute(WAIT)
        live_stripe.control("DELETE", "/requests")
        assert seen() == [[("Eve",)], [("Ada",)], [(1,)]] * 2
    # What no event reported is still answered by the caches.
    assert f"/v1/customers/{same}" not in [item["path"] for item in live_stripe.requests()]


def test_what_a_user_writes_is_told_by_its_event_and_not_by_the_users_transaction(
    sessions: list[psycopg.Connection], live_stripe: SimulatorProcess, working: Working
) -> None:
    db, listener = sessions
    api = BareStripe(live_stripe.url, KEY)
    customer = api.post("customers", name="Ada")["id"]
    with working(poll_events, apply_events), hang_guard(30):
        db.execute(WAIT)
        db.execute("update stripe_copy.customer set _as_of = _as_of - interval '1 minute'")
    listener.execute("listen stripe_changes")
    db.execute("update stripe.customer set name = 'Eve' where id = %s", (customer,))
    assert [each.payload for each in listener.notifies(timeout=0.05)] == []
    db.execute("truncate stripe_sync.refetch")
    with working(poll_events, apply_events), hang_guard(30):
        db.execute(WAIT)
    told = [json.loads(each.payload) for each in listener.notifies(timeout=0.05)]
    assert [change["ids"] for change in told] == [[customer]]
    listener.execute("unlisten stripe_changes")
