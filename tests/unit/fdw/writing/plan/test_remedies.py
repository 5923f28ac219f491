"""Where Stripe keeps an object, or keeps it as it is, a hint has the SQL that does what can be done."""

from __future__ import annotations

import pytest

from stripe_fdw.catalog import load
from stripe_fdw.fdw.schema.table_names import TableNames
from stripe_fdw.fdw.writing.plan.remedies import instead_of_delete, instead_of_update

LIVE = TableNames("stripe_live")
DELETES: list[tuple[str, dict[str, object], str | None]] = [
    ("invoice", {"status": "open"}, "UPDATE stripe_live.invoice SET status = 'void' WHERE id = 'x_1';"),
    ("invoice", {"status": "uncollectible"}, "SET status = 'void'"),
    (
        "invoice",
        {"status": "paid"},
        "INSERT INTO stripe_live.credit_note (invoice, amount, _params) VALUES ('x_1'",
    ),
    ("invoice", {"status": "void"}, "It is 'void' already"),
    ("invoice", {"status": "draft"}, None),
    ("invoiceitem", {"invoice": {"id": "in_1"}}, "credit_note (invoice, amount) VALUES ('in_1', ...)"),
    ("invoiceitem", {"invoice": None}, None),
    ("product", {"active": True}, "UPDATE stripe_live.product SET active = false WHERE id = 'x_1';"),
    ("product", {"active": False}, "It is inactive already"),
    (
        "subscription_item",
        {"subscription": "sub_1"},
        "DELETE FROM stripe_live.subscription WHERE id = 'sub_1';",
    ),
    ("external_account", {"account": "acct_1"}, "WHERE account = 'acct_1' AND id = '...';"),
    ("subscription", {"status": "canceled"}, "It is 'canceled' already"),
    ("subscription", {"status": "incomplete_expired"}, "It is 'incomplete_expired' already"),
    ("subscription", {"status": "active"}, None),  # what DELETE did is all that there is
    ("customer", {"discount": None}, None),
    ("terminal_reader", {"action": {"type": "x"}}, None),
    # Without a DELETE of Stripe's
    ("payment_intent", {"status": "succeeded"}, "refund (payment_intent) VALUES ('x_1');"),
    ("payment_intent", {"status": "canceled"}, "It is 'canceled' already"),
    ("payment_intent", {"status": "processing"}, "SET status = 'canceled'"),
    ("quote", {"status": "accepted", "subscription": "sub_1"}, "subscription WHERE id = 'sub_1';"),
    ("quote", {"status": "accepted", "subscription": None}, "it can no longer become 'canceled'"),
    ("payout", {"status": "paid"}, "SET status = 'reversed'"),
    ("topup", {"status": "succeeded"}, "From 'succeeded' it can no longer become 'canceled'"),
    ("charge", {"status": "succeeded"}, "INSERT INTO stripe_live.refund (charge) VALUES ('x_1');"),
    ("event", {}, None),
]


@pytest.mark.parametrize(("table", "fields", "expected"), DELETES)
def test_instead_of_a_delete(table: str, fields: dict[str, object], expected: str | None) -> None:
    hint = instead_of_delete(load().resource[table], LIVE, "x_1", fields)
    assert expected in hint if hint and expected else hint is expected


UPDATES: list[tuple[str, dict[str, object], str | None]] = [
    ("invoice", {"status": "open"}, "UPDATE stripe_live.invoice SET status = 'void' WHERE id = 'x_1';"),
    ("invoice", {"status": "paid"}, "INSERT INTO stripe_live.credit_note"),
    ("invoice", {"status": "void"}, "It is 'void', which is final. INSERT another."),
    ("invoice", {"status": "draft"}, None),
    ("invoiceitem", {"invoice": "in_1"}, "VALUES ('in_1', ...)"),
    ("payment_intent", {"status": "requires_capture"}, '"amount_to_capture": ...'),
    ("payment_intent", {"status": "requires_confirmation"}, None),
    ("subscription", {"status": "canceled"}, "which is final. INSERT another."),
    ("subscription", {"status": "active"}, None),
    ("quote", {"status": "open"}, "Cancel it, and INSERT another: UPDATE stripe_live.quote"),
    ("quote", {"status": "accepted", "subscription": "sub_1"}, "UPDATE stripe_live.subscription SET"),
    ("customer", {}, None),
]


@pytest.mark.parametrize(("table", "fields", "expected"), UPDATES)
def test_instead_of_an_update(table: str, fields: dict[str, object], expected: str | None) -> None:
    hint = instead_of_update(load().resource[table], LIVE, "x_1", fields)
    assert expected in hint if hint and expected else hint is expected
