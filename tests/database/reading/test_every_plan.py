"""A join gives the same rows however Postgres goes about it: value by value, or after reading everything."""

from __future__ import annotations

import psycopg
import pytest

WAYS = {
    "all at once": "set enable_nestloop = off",
    "value by value": "set enable_hashjoin = off; set enable_mergejoin = off; set enable_material = off",
}
# An object with several values shows its first one; a value of no object is no key of a nested loop.
JOINS = (
    "select s.id, p.id from stripe_live.price p join stripe_live.subscription s on s.price = p.id",
    "select s.id, p.id from stripe_live.plan p left join stripe_live.subscription s on s.plan = p.id",
    "select i.id, s.id, s.price from stripe_live.subscription_item i join stripe_live.subscription s"
    " on s.price = i.price where i.subscription in"
    " (select id from stripe_live.subscription order by id limit 8)",
    "select p.id, b.id from stripe_live.payout p join stripe_live.balance_transaction b on b.payout = p.id",
    "select c.id, e.id from stripe_live.customer c join stripe_live.billing_credit_balance_transaction e"
    " on e.customer = c.id",
)


@pytest.mark.parametrize("join", JOINS)
def test_a_join_gives_the_same_rows_either_way(db: psycopg.Connection, join: str) -> None:
    answers = []
    for settings in WAYS.values():
        db.execute("reset all")
        db.execute(settings.encode())
        answers.append(sorted(db.execute(join.encode()).fetchall(), key=repr))
    assert answers[0] == answers[1]


def test_a_subscription_shows_its_first_price_whichever_was_asked_for(db: psycopg.Connection) -> None:
    first_prices = dict(db.execute("select id, price from stripe_live.subscription").fetchall())
    prices = sorted(set(first_prices.values()))
    for wanted in (prices, prices[:3], prices[-1:]):
        cursor = db.execute("select id, price from stripe_live.subscription where price = any(%s)", (wanted,))
        assert dict(cursor.fetchall()) == {
            id_: price for id_, price in first_prices.items() if price in wanted
        }
    several = db.execute(
        "select id, _raw #>> '{items,data,1,price,id}' from stripe_live.subscription"
        " where _raw #>> '{items,data,1,price,id}' <> price limit 1"
    ).fetchall()
    for id_, second in several:
        query = "select count(*) from stripe_live.subscription where price = %s and id = %s"
        assert db.execute(query, (second, id_)).fetchall() == [(0,)]
        assert first_prices[id_] != second
    assert several
