"""A condition with a value that no object is known to have: a NOTICE says which are known."""

from __future__ import annotations

import psycopg
import pytest

from support.database import rows


@pytest.fixture
def notices(db: psycopg.Connection) -> list[str]:
    """The notices that came so far: message, detail and hint."""
    received: list[str] = []

    def note(diag: psycopg.errors.Diagnostic) -> None:
        parts = (diag.severity, diag.message_primary, diag.message_detail, diag.message_hint)
        received.append(" | ".join(filter(None, parts)))

    db.add_notice_handler(note)
    return received


def test_a_misspelt_value_brings_the_known_ones(db: psycopg.Connection, notices: list[str]) -> None:
    assert rows(db, "select id from stripe_live.subscription where status = 'activ'") == []
    assert notices == [
        "NOTICE | 'activ': not among the known values of subscription.status"
        " | Known: active, canceled, incomplete, incomplete_expired, past_due, paused, trialing, unpaid."
        " | Perhaps you meant 'active'."
    ]


def test_a_column_that_stripe_does_not_filter_by_has_it_too(
    db: psycopg.Connection, notices: list[str]
) -> None:
    assert rows(db, "select id from stripe_live.price where billing_scheme in ('tierd', 'per_unit') limit 1")
    assert rows(db, "select id from stripe_live.charge where status = 'xyz' and false") == []
    assert notices == [
        "NOTICE | 'tierd': not among the known values of price.billing_scheme | Known: per_unit, tiered."
        " | Perhaps you meant 'tiered'."
    ]


def test_many_values_are_counted(db: psycopg.Connection, notices: list[str]) -> None:
    unknown = ", ".join(f"'{letter * 200}'" for letter in "abcde")
    assert rows(db, f"select id from stripe_live.subscription where status in ({unknown})") == []
    [notice] = notices
    assert f"'{'a' * 60}...'" in notice
    assert " and 2 more: not among" in notice
    assert len(notice) < 600


def test_it_comes_once_for_a_statement(db: psycopg.Connection, notices: list[str]) -> None:
    joined = """
        select c.id from (select id from stripe_live.customer limit 3) c
          join lateral (select id from stripe_live.subscription s
                         where s.customer = c.id and s.status = 'activ' offset 0) s on true
    """
    assert rows(db, joined) == []
    assert len(notices) == 1
    assert rows(db, joined) == []
    assert len(notices) == 2


@pytest.mark.parametrize(
    "condition",
    [
        "status = 'active'",
        "status in ('active', 'past_due')",
        "status <> 'activ'",
        "status like 'activ%'",
        "status = null",
        "customer = 'activ'",
        "metadata ->> 'status' = 'activ'",
    ],
)
def test_nothing_is_said_of_other_conditions(
    db: psycopg.Connection, notices: list[str], condition: str
) -> None:
    rows(db, f"select id from stripe_live.subscription where {condition} limit 1")
    assert notices == []


def test_explain_says_nothing(db: psycopg.Connection, notices: list[str]) -> None:
    rows(db, "explain select id from stripe_live.subscription where status = 'activ'")
    assert notices == []
