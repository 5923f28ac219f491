"""What has to hold in the end: copies equal Stripe, and each event has an outcome."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import psycopg
import urllib3

from chaos.system import System
from stripe_fdw.catalog import load
from support.database import KEY, rows
from support.waiting import wait_until

_QUIET_SECONDS: Final = 180
_OPEN: Final = (
    "select (select count(*) from stripe_sync.inbox where outcome is null or next_attempt_at is not null)"
    " + (select count(*) from stripe_sync.refetch) + (select count(*) from stripe_sync.incomplete)"
)
# Compared with Stripe's lists without any of our code: a list's parameters.
LISTED: Final[dict[str, str]] = {
    "customer": "customers?",
    "product": "products?",
    "price": "prices?",
    "coupon": "coupons?",
    "subscription": "subscriptions?status=all&",
    "invoice": "invoices?",
    "charge": "charges?",
    "payment_intent": "payment_intents?",
    "refund": "refunds?",
}
_WITHOUT_EVENTS: Final = {"invoiceitem": "invoiceitems?"}  # of its changes


def wait_for_events(system: System) -> None:
    """Wait as a program does that has just changed Stripe."""
    with psycopg.connect(system.dsn, autocommit=True) as connection:
        connection.execute("select stripe_sync.wait(%s)", (f"{_QUIET_SECONDS} s",))


def wait_until_quiet(system: System) -> None:
    """Wait until what sends no events is refreshed as well, and no object is in doubt."""
    system.command("refresh", "--changes")

    def is_quiet() -> bool:
        with psycopg.connect(system.dsn) as connection:
            return rows(connection, _OPEN) == [(0,)]

    wait_until(is_quiet, "an end of all events and doubts", _QUIET_SECONDS)


def differences(system: System, copies: list[str], *, by_events: bool = False) -> Iterator[str]:
    """Yield what the copies and Stripe's objects differ in, as this module compares them.

    Some lists hide objects, such as those on a test clock: these are asked for one by one. With ``by_events``
    only of objects whose changes have events.
    """
    catalog = load()
    with psycopg.connect(system.dsn) as connection:
        paths = LISTED if by_events else LISTED | _WITHOUT_EVENTS
        for name, path in paths.items():
            if name not in copies:
                continue
            ignored = {*catalog.resource[name].volatile, "client_secret"}
            query = f"select id, _raw from stripe_copy.{name} where not _deleted and _account = ''"
            copied = dict(rows(connection, query))
            for item in _listed(system, path):
                raw = copied.pop(item["id"], None)
                if raw is None:
                    yield f"{name} {item['id']} is not copied, or as deleted"
                else:
                    yield from _differing(name, item, raw, ignored)
            for key, raw in copied.items():
                item = _get(system, f"{path.partition('?')[0]}/{key}")
                if "error" in item or item.get("deleted"):
                    yield f"{name} {key} is copied, and Stripe does not have it"
                else:
                    yield from _differing(name, item, raw, ignored)


def _differing(name: str, item: dict[str, Any], raw: dict[str, Any], ignored: set[str]) -> Iterator[str]:
    for field in sorted(item.keys() - ignored):
        if item[field] != raw.get(field):
            has = f"Stripe has {item[field]}, the copy {raw.get(field)}"
            yield f"{name} {item['id']}, {field}: {has}"


def history(system: System, name: str, key: str) -> list[str]:
    """Return what the database knows of an object: its row's evidence, and the events about it."""
    with psycopg.connect(system.dsn) as connection:
        of_row = f"select _deleted, _as_of, _event from stripe_copy.{name} where id = %s"
        of_events = (
            "select created, received_at, done_at, source, type, id, outcome, reason from stripe_sync.inbox"
            " where body->'data'->'object'->>'id' = %s order by position"
        )
        found = [row for query in (of_row, of_events) for row in connection.execute(query.encode(), (key,))]
    return [f"    {' '.join(map(str, row))}" for row in found]


def _get(system: System, path: str) -> dict[str, Any]:
    url = f"{system.simulator.url}/v1/{path}"
    return dict(urllib3.request("GET", url, headers={"Authorization": f"Bearer {KEY}"}).json())


def _listed(system: System, path: str) -> Iterator[dict[str, Any]]:
    after = ""
    while True:
        page = _get(system, f"{path}limit=100{after}")
        yield from page["data"]
        if not page["has_more"]:
            return
        after = f"&starting_after={page['data'][-1]['id']}"


def outcomes(system: System) -> tuple[Counter[str], list[str]]:
    """Return the events by outcome, and what is wrong: events without one, and events that failed."""
    with psycopg.connect(system.dsn) as connection:
        inbox = {
            key: (outcome, reason)
            for key, outcome, reason in rows(connection, "select id, outcome, reason from stripe_sync.inbox")
        }
    counted = Counter(f"{outcome}" for outcome, _ in inbox.values())
    wrong = [
        f"{key} is {outcome}: {reason}"
        for key, (outcome, reason) in inbox.items()
        if outcome in (None, "failed")
    ]
    # Those that were before the copies are in them; the rest was stored.
    first = min(inbox, default="")
    wrong += [
        f"{event['id']} of {event['type']} is not in the inbox"
        for event in _listed(system, "events?")
        if event["id"] not in inbox and event["id"] > first
    ]
    return counted, wrong


def logged(system: System) -> list[str]:
    """Return what the logs hold that must not be: deadlocks and failures of our code."""
    server = system.cluster.log.read_text(errors="replace")
    wrong = re.findall(r".*deadlock detected.*", server)
    wrong += re.findall(r".*(?:server process|background worker).*was terminated by signal (?!9).*", server)
    wrong += [line for line in system.printed().splitlines() if "Traceback" in line]
    wrong += ["a key was printed"] if KEY in server + system.printed() else []
    return wrong
