"""Events that wait are applied: what becomes of the copies, and of each event."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from stripe_fdw.catalog import load
from stripe_fdw.copies.apply import Evidence, apply
from stripe_fdw.copies.install import install_copies
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.events.applier import is_applier
from stripe_fdw.events.event import Event
from support.database import rows
from support.inbox import NOON, Inbox, event, product


def test_events_wait_until_the_account_is_known(db: psycopg.Connection, inbox: Inbox) -> None:
    db.execute("delete from stripe_sync.account")
    assert inbox.take(event("product.created", product())) == [(None, None)]


def test_a_copy_that_was_just_made_has_its_events(db: psycopg.Connection, inbox: Inbox) -> None:
    """A refresh may have filled it meanwhile: the next batch knows of it."""
    refund = {"id": "re_1", "object": "refund", "status": "pending"}
    assert inbox.take(event("refund.created", refund)) == [("ignored", "refund is not copied")]
    with db.transaction(force_rollback=True):
        list(install_copies(db, Schemas(), ["refund"]))
        assert inbox.take(event("refund.updated", {**refund, "status": "failed"}, 9)) == [("applied", None)]


def test_a_failure_and_a_lock_together_lose_no_event(inbox: Inbox, database: str) -> None:
    """A part that meets a lock is rolled back and written again: what it had applied does not count."""
    names = [f"prod_{number}" for number in range(8)]
    inbox.take(*(event("product.created", product("Ada", name)) for name in names))
    inbox.db.execute("alter table stripe_copy.product add constraint no_eve check (name <> 'Eve')")
    try:
        with psycopg.connect(database) as user:
            user.execute("select from stripe_copy.product where id = any (%s) for update", (names[5:],))
            found = inbox.take(
                *(
                    event("product.updated", product("Eve" if name == "prod_1" else "Bob", name), 9)
                    for name in names
                )
            )
            assert [outcome for outcome, _ in found] == [
                "applied", "failed", "applied", "applied", "applied", None, None, None,
            ]  # fmt: skip
    finally:
        inbox.db.execute("alter table stripe_copy.product drop constraint no_eve")
    inbox.db.execute(
        "update stripe_sync.inbox set next_attempt_at = now() where done_at is null or attempts > 0"
    )
    inbox.take()
    assert [name for _, name, _ in inbox.names()] == ["Bob", "Eve", *["Bob"] * 6]


def test_an_event_is_in_the_copy(inbox: Inbox) -> None:
    created, updated = event("product.created", product()), event("product.updated", product("Eve"), 9)
    assert inbox.take(created, updated) == [("stale", f"{updated.id} is later"), ("applied", None)]
    assert rows(inbox.db, "select name, _event, _as_of from stripe_copy.product") == [
        ("Eve", updated.id, datetime.fromtimestamp(NOON + 9, UTC))
    ]
    assert inbox.take(event("product.updated", product("Bob"), 5)) == [
        ("stale", "the copy has a later state")
    ]
    assert inbox.names() == [("prod_1", "Eve", False)]
    assert inbox.doubts() == []


def test_a_deletion_before_its_creation_and_an_update_after_it(inbox: Inbox) -> None:
    assert inbox.take(event("product.deleted", product(), 9)) == [("applied", None)]
    assert inbox.take(event("product.created", product(), 1))[0][0] == "stale"
    assert inbox.names() == [("prod_1", None, True)]
    inbox.take(event("product.updated", product("Eve"), 30))
    assert inbox.names() == [("prod_1", "Eve", False)]


@pytest.mark.parametrize("one_by_one", [True, False])
def test_events_of_one_second_in_every_order_end_with_the_last(inbox: Inbox, one_by_one: bool) -> None:
    """Each names the state before it, or the object is asked for."""
    for number, order in enumerate(itertools.permutations(range(3))):
        identifier = f"prod_{number}"
        events = [
            event("product.created", product("a", identifier)),
            event("product.updated", product("b", identifier), previous={"name": "a"}),
            event("product.updated", product("c", identifier), previous={"name": "b"}),
        ]
        chosen = [events[place] for place in order]
        for part in [[each] for each in chosen] if one_by_one else [chosen]:
            inbox.take(*part)
    wrong = {identifier for identifier, name, _ in inbox.names() if name != "c"}
    assert wrong <= {identifier for _, identifier in inbox.doubts()}
    assert one_by_one or (wrong, inbox.doubts()) == (set(), [])


def changed(kind: str, status: str, type_: str) -> Event:
    return event(type_, {"id": f"x_{kind}", "object": kind, "status": status})


@pytest.mark.parametrize(
    ("kind", "earlier", "later"),
    [
        ("subscription", "customer.subscription.created incomplete", "customer.subscription.updated active"),
        ("subscription", "customer.subscription.updated past_due", "customer.subscription.deleted canceled"),
        ("invoice", "invoice.created draft", "invoice.finalized open"),
        ("invoice", "invoice.updated open", "invoice.paid paid"),
        ("charge", "charge.pending pending", "charge.failed failed"),
    ],
)
@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("is_reversed", [True, False])
def test_between_two_events_of_one_second_the_rank_decides_for_now(
    inbox: Inbox,
    kind: str,
    earlier: str,
    later: str,
    *,
    at_once: bool,
    is_reversed: bool,
) -> None:
    """A creation comes first, a state that the object stays in last; the object is asked for all the same."""
    inbox.db.execute("truncate stripe_copy.charge")
    events = [changed(kind, *told.split()[::-1]) for told in (earlier, later)]
    events = events[::-1] if is_reversed else events
    for part in [events] if at_once else [[each] for each in events]:
        inbox.take(*part)
    assert rows(inbox.db, f"select status from stripe_copy.{kind}") == [(later.split()[1],)]
    assert inbox.doubts() == [(kind, f"x_{kind}")]


def test_a_response_of_the_same_second_stays(inbox: Inbox) -> None:
    """What was written through the database, or asked for, is not replaced by a state of the same second."""
    at = datetime.fromtimestamp(NOON, UTC)
    item = {"id": "x_invoice", "object": "invoice", "status": "open"}
    with inbox.db.transaction():
        apply(inbox.db, Schemas(), load().resource["invoice"], [item], Evidence(at))
    inbox.take(changed("invoice", "paid", "invoice.paid"))
    assert rows(inbox.db, "select status from stripe_copy.invoice") == [("open",)]
    assert inbox.doubts() == [("invoice", "x_invoice")]


def test_what_a_copy_does_not_need_is_ignored_with_the_reason(inbox: Inbox) -> None:
    assert inbox.take(
        event("payout.paid", {"id": "po_1", "object": "payout"}),
        event("invoice.upcoming", {"object": "invoice"}),
        event("balance.available", {"object": "balance"}),
        event("billing.alert.triggered", {"id": "x", "object": "billing.alert_triggered"}),
    ) == [
        ("ignored", "payout is not copied"),
        ("ignored", "its object has no id"),
        ("ignored", "balance is not copied"),
        ("ignored", "billing_alert is not copied"),
    ]


def test_expand_only_field_refreshed_after_update(inbox: Inbox) -> None:
    """No event has what Stripe sends only on request, which may have changed with the rest."""
    item = {"id": "cus_1", "object": "customer"}
    inbox.take(event("customer.created", {**item, "tax": {"ip_address": "1.2.3.4"}}))
    inbox.db.execute("truncate stripe_sync.refetch")
    inbox.take(event("customer.updated", {**item, "name": "Ada"}, 9))
    assert rows(inbox.db, "select name, tax from stripe_copy.customer") == [
        ("Ada", {"ip_address": "1.2.3.4"})
    ]
    assert inbox.doubts() == [("customer", "cus_1")]
    inbox.db.execute("truncate stripe_sync.refetch")
    inbox.take(event("customer.updated", {**item, "name": "Ada"}, 12))
    assert inbox.doubts() == []


def test_events_of_the_other_mode_are_ignored(inbox: Inbox) -> None:
    live = event("product.created", product("Eve"), livemode=True)
    assert inbox.take(live, event("product.created", product())) == [
        ("ignored", "it is of live mode, and the copies are not"),
        ("applied", None),
    ]


def test_an_event_of_another_version_is_asked_for(inbox: Inbox) -> None:
    older = event("product.updated", product(None), 5, api_version="2020-08-27")
    assert (
        inbox.take(older, event("product.renamed", product(identifier="prod_2"))) == [("refetched", None)] * 2
    )
    assert inbox.names() == []
    assert inbox.doubts() == [("product", "prod_1"), ("product", "prod_2")]


def test_platform_and_connected_accounts_keep_apart(inbox: Inbox) -> None:
    inbox.take(
        event("product.created", product("Ada")),
        event("product.created", product("Eve"), account="acct_9"),
    )
    assert rows(inbox.db, "select _account, name from stripe_copy.product order by 1") == [
        ("", "Ada"),
        ("acct_9", "Eve"),
    ]


def test_removed_item_is_deleted(inbox: Inbox) -> None:
    def subscription(*items: str) -> dict[str, Any]:
        data = [{"id": each, "object": "subscription_item", "subscription": "sub_1"} for each in items]
        return {
            "id": "sub_1",
            "object": "subscription",
            "items": {"object": "list", "data": data, "has_more": False},
        }

    inbox.take(
        event("customer.subscription.created", subscription("si_1", "si_2")),
        event("product.created", product(), 3),
    )
    removed = event("customer.subscription.updated", subscription("si_2"), 9)
    inbox.take(removed)
    assert rows(inbox.db, "select id, _deleted, _event from stripe_copy.subscription_item order by id")[
        0
    ] == (
        "si_1",
        True,
        removed.id,
    )
    # A parent that is older leaves them alone.
    inbox.take(event("customer.subscription.updated", subscription("si_3"), 4))
    assert rows(inbox.db, "select id from stripe.subscription_item") == [("si_2",)]


def test_one_event_that_fails_holds_up_no_other(inbox: Inbox) -> None:
    inbox.db.execute("alter table stripe_copy.product add constraint no_eve check (name <> 'Eve')")
    try:
        found = inbox.take(*(
            event("product.created", product(name, f"prod_{name}")) for name in ("Ada", "Eve", "Bob")
        ))  # fmt: skip
        assert [outcome for outcome, _ in found] == ["applied", "failed", "applied"]
        assert "no_eve" in (found[1][1] or "")
        waits = "select attempts, next_attempt_at - done_at from stripe_sync.inbox where outcome = 'failed'"
        ((attempts, wait),) = rows(inbox.db, waits)
        assert attempts == 1
        assert 14 < wait.total_seconds() < 16
    finally:
        inbox.db.execute("alter table stripe_copy.product drop constraint no_eve")
    inbox.db.execute("update stripe_sync.inbox set next_attempt_at = now() where outcome = 'failed'")
    assert inbox.take() == []
    assert [identifier for identifier, _, _ in inbox.names()] == ["prod_Ada", "prod_Bob", "prod_Eve"]


def test_an_event_that_fails_outside_of_its_row_holds_up_no_other(inbox: Inbox) -> None:
    """As one that no notification can name, that no index holds, or that has a list in place of a text."""
    long = "".join(map(str, range(5000)))
    told = [event("product.updated", product("Bob", f"prod_{number}"), 9) for number in range(4)]
    bad = [
        event("product.updated", product("Eve"), account="a" * 9000),
        event("product.renamed", product("Eve", long)),
        event("charge.updated", {"id": "ch_1", "object": "charge", "status": ["failed"]}),
        event("charge.updated", {"id": "ch_1", "object": "charge", "status": ["failed"]}, amount=1),
    ]
    found = inbox.take(*itertools.chain(*zip(told, bad, strict=True)))
    assert [outcome for outcome, _ in found[::2]] == ["applied"] * 4
    assert [outcome for outcome, _ in found[1:4:2]] == ["failed"] * 2
    reasons = [str(reason) for _, reason in found[1::2]]
    assert "payload string too long" in reasons[0]
    assert "index row" in reasons[1]
    assert None not in dict(found)


def test_a_row_that_a_user_has_locked_is_applied_later(inbox: Inbox, database: str) -> None:
    inbox.take(event("product.created", product()), event("product.created", product(identifier="prod_2")))
    with psycopg.connect(database) as user:
        user.execute("select from stripe_copy.product where id = 'prod_1' for update")
        found = inbox.take(
            event("product.updated", product("Eve"), 9),
            event("product.updated", product("Eve", "prod_2"), 9),
        )
        assert found == [(None, None), ("applied", None)]
    inbox.db.execute("update stripe_sync.inbox set next_attempt_at = now() where outcome is null")
    inbox.take()
    assert [name for _, name, _ in inbox.names()] == ["Eve", "Eve"]


def test_an_event_that_is_applied_twice_has_one_effect(inbox: Inbox) -> None:
    events = [event("product.created", product()), event("product.updated", product("Eve"), 5)]
    inbox.take(*events)
    before = rows(inbox.db, "select ctid, xmin, _event from stripe_copy.product")
    inbox.db.execute("update stripe_sync.inbox set outcome = null")
    inbox.take(*events)
    assert rows(inbox.db, "select ctid, xmin, _event from stripe_copy.product") == before


def test_listeners_are_told_what_changed(inbox: Inbox, database: str) -> None:
    def told(listener: psycopg.Connection) -> Iterator[dict[str, Any]]:
        for notification in listener.notifies(timeout=0.2):
            yield json.loads(notification.payload)

    with psycopg.connect(database, autocommit=True) as listener:
        listener.execute("listen stripe_changes")
        same = event("product.created", product(), 5)
        inbox.take(same, event("product.created", product(identifier="prod_2")))
        assert list(told(listener)) == [
            {"server": "stripe", "resource": "product", "account": "", "ids": ["prod_1", "prod_2"]}
        ]
        inbox.take(event("product.updated", product(), 9))  # as it is already
        assert list(told(listener)) == []
        inbox.take(
            *(event("product.created", product(identifier=f"prod_x{number}")) for number in range(101))
        )
        assert list(told(listener)) == [{"server": "stripe", "resource": "product", "account": ""}]
        # Ids that do not fit into a notification are left out as well.
        inbox.take(event("product.created", product(identifier="prod_" + "y" * 8000)))
        assert list(told(listener)) == [{"server": "stripe", "resource": "product", "account": ""}]
        # A write through a view sends no notification: its event does, though it changes nothing.
        at = datetime.fromtimestamp(NOON + 50, UTC)
        with inbox.db.transaction():
            apply(inbox.db, Schemas(), load().resource["product"], [product("Eve", "prod_1")], Evidence(at))
        inbox.take(event("product.updated", product("Eve", "prod_1"), 50))
        assert [change["ids"] for change in told(listener)] == [["prod_1"]]


def test_one_session_applies_and_others_stand_by(db: psycopg.Connection, database: str) -> None:
    assert is_applier(db, Schemas())
    with psycopg.connect(database, autocommit=True) as other:
        assert not is_applier(other, Schemas())
        assert is_applier(other, Schemas("stripe_eu", "stripe_eu"))  # each server has its own
        db.execute("select pg_advisory_unlock_all()")
        assert is_applier(other, Schemas())


def test_slow_page_does_not_outdate_event(inbox: Inbox) -> None:
    """A page that was read before an event, and is committed after it, leaves the state of the event."""
    inbox.take(event("product.updated", product("Eve"), 9))
    at = datetime.fromtimestamp(NOON + 5, UTC)
    with inbox.db.transaction():
        apply(inbox.db, Schemas(), load().resource["product"], [product("Ada")], Evidence(at))
    assert inbox.names() == [("prod_1", "Eve", False)]


def subscription(key: str, clock: str | None, **fields: Any) -> dict[str, Any]:
    return {"id": key, "object": "subscription", "test_clock": clock, **fields}


def test_a_deleted_test_clock_has_asked_for_what_was_on_it(inbox: Inbox) -> None:
    clock = {"id": "clock_1", "object": "test_helpers.test_clock"}
    created = "customer.subscription.created"
    inbox.take(event(created, subscription("sub_1", "clock_1")))
    inbox.db.execute("truncate stripe_sync.refetch")
    other = event(created, subscription("sub_2", None))
    assert inbox.take(event("test_helpers.test_clock.deleted", clock, 9), other) == [
        ("refetched", None),
        ("applied", None),
    ]
    assert inbox.doubts() == [("subscription", "sub_1")]


def test_an_object_on_a_test_clock_that_is_new_is_asked_for(inbox: Inbox) -> None:
    assert inbox.take(event("customer.subscription.created", subscription("sub_1", "clock_1"))) == [
        ("applied", None)
    ]
    assert inbox.doubts() == [("subscription", "sub_1")]
    inbox.db.execute("truncate stripe_sync.refetch")
    changed = subscription("sub_1", "clock_1", status="active")
    assert inbox.take(event("customer.subscription.updated", changed, 5)) == [("applied", None)]
    assert inbox.doubts() == []
