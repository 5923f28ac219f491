"""What is shown of events: what became of them, what waits, and what has failed."""

from __future__ import annotations

import json
import re

import psycopg

from support.commands import run_command
from support.database import rows

STORED = """
    insert into stripe_sync.inbox
           (schema, id, created, account, type, livemode, source, body, outcome, reason, received_at, done_at)
    values ('stripe_copy', %s, now(), '', 'customer.updated', false, %s, '{}', %s, %s,
            now() - interval '1 minute' * %s, now() - interval '1 minute' * %s)
"""


def test_events_of_each_outcome_are_counted_with_the_last_failure(
    db: psycopg.Connection, database: str
) -> None:
    db.execute("select stripe_sync.make_inbox_partition(now())")
    for number, (source, outcome) in enumerate(
        [
            ("webhook", "applied"), ("poll", "stale"), ("poll", "refetched"), ("poll", "ignored"),
            ("poll", "failed"), ("poll", "failed"), ("poll", None), ("poll", None),
        ]
    ):  # fmt: skip
        reason = f"refused {number}" if outcome == "failed" else None
        db.execute(STORED.encode(), (f"evt_{number}", source, outcome, reason, number, number))
    db.execute("insert into stripe_sync.event_position (schema, polled_at) values ('stripe_copy', now())")
    db.execute("select stripe_sync.follow_account('acct_1')")
    db.execute("update stripe_sync.connected_account set error = 'No such account'")
    try:
        found = rows(
            db,
            "select waiting, applied, stale, refetched, ignored, failed, last_failure, connected_accounts,"
            " connected_error, waiting_for between '7 min' and '8 min',"
            " last_webhook_at > now() - interval '9 s' from stripe_sync.event_status",
        )
        failure = "evt_4 (customer.updated): refused 4"
        refused = "acct_1: No such account"
        assert found == [(2, 1, 1, 1, 1, 2, failure, 1, refused, True, True)]
        shown = run_command("status", environment={"DATABASE_URL": database}).stdout
        *_, header, line = shown.splitlines()
        assert header.split()[:4] == ["events", "of", "waiting", "for"]
        assert re.match(r"stripe +2 +0:07:\d\d +1 +1 +1 +1 +2 ", line)
        assert line.endswith(failure)
        described = json.loads(run_command("status", "--json", environment={"DATABASE_URL": database}).stdout)
        assert set(described) == {"copies", "events", "views"}
        [events] = described["events"]
        assert (events["server"], events["failed"], events["last_failure"]) == ("stripe", 2, failure)
        assert {item["kind"] for item in described["copies"]} == {"copy"}
        # An error of polling comes before it.
        db.execute("update stripe_sync.event_position set error = 'Invalid key'")
        assert "Invalid key" in run_command("status", environment={"DATABASE_URL": database}).stdout
    finally:
        db.execute("truncate stripe_sync.connected_account")
