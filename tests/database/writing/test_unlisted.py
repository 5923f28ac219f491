"""Writes to objects that Stripe does not list: settings, balances of a parent, tokens, and discounts."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from stripe_simulator.process import SimulatorProcess
from support.database import column, create, failing, in_hints, one, rows, said

pytestmark = pytest.mark.usefixtures("restored")
Requests = Callable[[], list[str]]


def written(requests: Requests) -> list[str]:
    return [request for request in requests() if not request.startswith("GET ")]


def test_settings_of_the_account_are_updated(db: psycopg.Connection, requests: Requests) -> None:
    """The change is read again, and a second time nothing is sent."""
    behavior = "select defaults ->> 'tax_behavior' from stripe_live.tax_settings"
    wanted = "exclusive" if one(db, behavior) == "inclusive" else "inclusive"
    update = f"""update stripe_live.tax_settings
                   set defaults = '{{"provider": "stripe", "tax_behavior": "{wanted}", "tax_code": null}}'"""
    db.execute(update.encode())
    assert written(requests) == ["POST /v1/tax/settings"]
    assert one(db, behavior) == wanted
    db.execute(update.encode())
    assert written(requests) == []


def test_an_update_returns_the_row(db: psycopg.Connection) -> None:
    query = """update stripe_live.balance_settings
                  set _params = '{"payments": {"debit_negative_balances": false}}'
               returning payments ->> 'debit_negative_balances', object"""
    assert rows(db, query) == [("false", "balance_settings")]


def test_a_row_that_a_join_repeats_is_updated_once(db: psycopg.Connection, requests: Requests) -> None:
    behavior = one(db, "select defaults ->> 'tax_behavior' from stripe_live.tax_settings")
    wanted = "exclusive" if behavior == "inclusive" else "inclusive"
    db.execute(
        f"""update stripe_live.tax_settings s
               set defaults = '{{"provider": "stripe", "tax_behavior": "{wanted}", "tax_code": null}}'
              from (values (1), (2), (3)) v (number) where v.number > 0""".encode()
    )
    assert written(requests) == ["POST /v1/tax/settings"]


def test_a_single_object_of_a_parent_is_updated(db: psycopg.Connection, requests: Requests) -> None:
    customer = column(db, "select id from stripe_live.customer")[3]
    mode = "select settings ->> 'reconciliation_mode' from stripe_live.cash_balance"
    wanted = "automatic" if one(db, f"{mode} where customer = '{customer}'") == "manual" else "manual"
    settings = f'{{"reconciliation_mode": "{wanted}"}}'
    requests()
    db.execute(
        f"update stripe_live.cash_balance set settings = '{settings}' where customer = '{customer}'".encode()
    )
    assert written(requests) == [f"POST /v1/customers/{customer}/cash_balance"]
    assert one(db, f"{mode} where customer = '{customer}'") == wanted


def test_what_does_not_name_its_parent_is_updated_all_the_same(
    db: psycopg.Connection, requests: Requests
) -> None:
    first, second = column(db, "select id from stripe_live.treasury_financial_account")[:2]
    requested = """select deposit_insurance ->> 'requested'
                     from stripe_live.treasury_financial_account_features where financial_account = """
    before = [one(db, f"{requested} '{account}'") for account in (first, second)]
    wanted = "false" if before[0] == "true" else "true"
    requests()
    db.execute(
        f"""update stripe_live.treasury_financial_account_features
               set deposit_insurance = '{{"requested": {wanted}}}'
             where financial_account = '{first}'""".encode()
    )
    assert written(requests) == [f"POST /v1/treasury/financial_accounts/{first}/features"]
    assert one(db, f"{requested} '{first}'") == wanted
    assert one(db, f"{requested} '{second}'") == before[1]


def test_tokens_and_calculations_are_inserted(db: psycopg.Connection) -> None:
    query = """insert into stripe_live.token (_params)
               values ('{"card": {"number": "4242424242424242", "exp_month": 8, "exp_year": 2034}}')
               returning id, type, card ->> 'last4'"""
    [(identifier, kind, last4)] = rows(db, query)
    assert (kind, last4) == ("card", "4242")
    assert one(db, f"select used from stripe_live.token where id = '{identifier}'") is False
    query = """insert into stripe_live.tax_calculation (currency, line_items, customer_details)
               values ('usd', '[{"amount": 700, "reference": "L1"}]',
                       '{"address": {"country": "US"}, "address_source": "billing"}')
               returning id, amount_total"""
    [(identifier, total)] = rows(db, query)
    assert total == 700
    assert one(db, f"select currency from stripe_live.tax_calculation where id = '{identifier}'") == "usd"


@pytest.fixture
def discounted(calm: SimulatorProcess) -> tuple[str, str]:
    """A subscription's discount: its customer and the subscription."""
    coupon = create(calm, "coupons", {"percent_off": 20, "duration": "forever"})
    customer = create(calm, "customers", {"name": "Ada"})
    recurring = {
        "currency": "usd",
        "unit_amount": 500,
        "recurring[interval]": "month",
        "product_data[name]": "Tea",
    }
    price = create(calm, "prices", recurring)
    sent = {
        "customer": customer["id"],
        "items[0][price]": price["id"],
        "discounts[0][coupon]": coupon["id"],
        "collection_method": "send_invoice",
        "days_until_due": 30,
    }
    return str(customer["id"]), str(create(calm, "subscriptions", sent)["id"])


def test_a_subscription_s_discount_is_its_column(
    db: psycopg.Connection, requests: Requests, discounted: tuple[str, str], host: str
) -> None:
    customer, subscription = discounted
    requests()
    error = failing(db, f"delete from stripe_live.discount where customer = '{customer}'")
    assert "cannot delete discount" in str(error)
    table = f"{in_hints(host, 'stripe_live')}.subscription"
    assert f"UPDATE {table} SET discounts = '[...]' WHERE id = '{subscription}'" in said(error)
    assert written(requests) == []


@pytest.mark.parametrize(
    ("command", "hint"),
    [
        ("insert into stripe_live.card (id) values ('card_1')", "{live}.customer_source"),
        ("insert into stripe_live.discount (id) values ('di_1')", "UPDATE {live}.subscription"),
        ("insert into stripe_live.tax_transaction (id) values ('tax_1')", "create_from_calculation"),
        ("delete from stripe_live.balance_settings", "{live}.call"),
        ("update stripe_live.balance set livemode = true", "{live}.call"),
    ],
)
def test_what_cannot_be_written_says_what_can_be_done(
    db: psycopg.Connection, requests: Requests, host: str, command: str, hint: str
) -> None:
    assert hint.format(live=in_hints(host, "stripe_live")) in str(failing(db, command))
    assert written(requests) == []
