"""Impossible changes: each is an error before any request leaves, and names what is possible."""

from __future__ import annotations

import re

import psycopg
import pytest

from stripe_simulator.process import SimulatorProcess
from support.database import PLAIN, failing, in_hints, said
from support.written_objects import Made, World, filled


def refuse(live: psycopg.Connection, statement: str) -> tuple[str, str]:
    """The error that a statement ends with: its text, and its SQLSTATE."""
    error = failing(live, statement)
    return said(error).replace("Error in python: PlainError ", ""), str(error.sqlstate)


REFUSED: list[tuple[str, str, str]] = [
    # Missing columns
    ("insert into subscription default values", "23502",
     "subscription cannot be created without items, and customer or customer_account"),
    ("insert into price (currency) values ('eur')", "23502",
     "price cannot be created without product or _params[product_data], and unit_amount"),
    ("insert into customer_balance_transaction (amount) values (5)", "23502",
     "customer_balance_transaction cannot be created without customer and currency"),
    ("insert into promotion_code (code) values ('X')", "23502", "cannot be created without promotion"),
    # Columns that cannot be written
    ("insert into customer (id) values ('cus_1')", "428C9", 'column "id" of customer cannot be set'),
    ("insert into customer (name, created, delinquent) values ('a', now(), true)", "428C9",
     'columns "created", "delinquent" of customer cannot be set when it is created'),
    ("""insert into customer (_raw) values ('{"name": "a"}')""", "0A000", 'column "_raw" of customer'),
    ("insert into invoice (customer, status) values ('<cus>', 'open')", "0A000",
     "status can become 'open', 'paid', 'uncollectible', 'void', 'sent'"),
    ("insert into event (type) values ('x')", "0A000", "cannot insert into event"),
    ("update customer set id = 'cus_2' where id = '<cus>'", "428C9",
     'column "id" of customer cannot be changed'),
    ("update customer set currency = 'eur' where id = '<cus>'", "0A000", "Writable: address, balance, "),
    ("""update customer set _raw = '{"a": 1}' where id = '<cus>'""", "0A000", 'column "_raw" of customer'),
    ("update price set unit_amount = 700 where id = '<price>'", "0A000", "It can only be set in INSERT"),
    ("update subscription set customer = '<cus2>' where id = '<sub>'", "0A000",
     "It can only be set in INSERT"),
    ("update event set type = 'x' where id = '<evt>'", "0A000", "cannot update event"),
    ("delete from price where id = '<price>'", "0A000",
     "UPDATE stripe_live.price SET active = false WHERE id = '<price>';"),
    ("delete from payment_intent where id = '<pi>'", "0A000",
     "UPDATE stripe_live.payment_intent SET status = 'canceled' WHERE id = '<pi>';"),
    ("delete from event where id = '<evt>'", "0A000", "stripe_live.call"),
    # States
    ("update invoice set status = 'void' where id = '<inv>'", "55000", "'draft' to 'void'"),
    ("update invoice set status = 'void' where id = '<inv>'", "55000",
     "it can become 'open', 'paid', 'sent'."),
    ("update invoice set status = 'opne' where id = '<inv>'", "55000",
     "UPDATE stripe_live.invoice SET status = 'open' WHERE id = '<inv>';"),
    ("update payment_intent set status = 'requires_capture' where id = '<pi_to_confirm>'", "55000",
     "'requires_capture' needs capture_method = 'manual'; it is 'automatic_async'."),
    ("""update customer set discount = '{"coupon": "x"}' where id = '<cus>'""", "55000",
     """from NULL to '{"coupon":"""),
    ("update invoice set status = null where id = '<inv>'", "55000", "'draft' to NULL"),
    ("update payment_intent set status = 'requires_action' where id = '<pi>'", "55000", "cannot go from"),
    ("update subscription set status = 'past_due' where id = '<sub>'", "55000", "cannot go from 'active'"),
    # Values
    ("insert into subscription (customer, price, trial_end) values ('<cus>', '<price>', 'infinity')", "22008",
     '"trial_end" takes a time that comes'),
    ("update subscription set trial_end = '-infinity' where id = '<sub>'", "22008",
     '"trial_end" takes a time'),
    ("update subscription set cancel_at = '200000-01-01' where id = '<sub>'", "22008",
     '"cancel_at" takes a time that Stripe has'),
    ("update subscription set cancel_at = '0044-03-15 BC' where id = '<sub>'", "22008",
     '"cancel_at" takes a time that'),
    ("""insert into customer (metadata) values ('{"a": 1e2000}')""", "22003", "out of range"),
    ("insert into coupon (percent_off, duration) values ('NaN', 'once')", "22003",
     '"percent_off" takes a number'),
    ("""insert into customer (metadata) values ('{"a": {"b": 1}}')""", "22023", '"metadata[a]" takes a text'),
    ("insert into customer (metadata) values ('[1]')", "22023", '"metadata" takes an object of texts'),
    ("insert into customer (address) values ('[1]')", "22023", '"address" takes an object'),
    ("update customer set address = '5' where id = '<cus>'", "22023",
     '"address" takes a JSON object or array'),
    ("""insert into subscription (customer, items) values ('<cus>', '{"price": "<price>"}')""", "22023",
     '"items" takes an array'),
    ("""insert into subscription (customer, items)
        values ('<cus>', '[{"price": "<price>", "quantity": "2x"}]')""",
     "22023", '"items[0][quantity]" takes a number, not "2x"'),
    ("""insert into subscription (customer, price, items)
        values ('<cus>', '<price>', '[{"price": "<price>"}]')""",
     "22023", "two values for items"),
    ("update customer set balance = null where id = '<cus>'", "23502", '"balance" cannot be unset'),
    ("update product set name = null where id = '<prod>'", "23502", '"name" cannot be unset'),
    ("update subscription set cancel_at_period_end = null where id = '<sub>'", "23502", "cannot be unset"),
    ("insert into customer (_params) values ('[1]')", "22023", '"_params" takes a JSON object'),
    ("insert into customer (_idempotency_key) values ('')", "22023", "1 to 255 printable ASCII characters"),
    ("insert into customer (_idempotency_key) values (repeat('k', 256))", "22023", "(256 characters)"),
    ("insert into customer_balance_transaction (customer, amount, currency) values ('..', 5, 'eur')", "22023",
     '"customer" is not an id'),
]  # fmt: skip


@pytest.mark.parametrize(
    ("statement", "sqlstate", "expected_text"), REFUSED, ids=[case[0] for case in REFUSED]
)
def test_an_impossible_change_is_an_error_before_any_request_leaves(
    live: psycopg.Connection,
    host: str,
    schema: str,
    world: World,
    new_requests: Made,
    statement: str,
    sqlstate: str,
    expected_text: str,
) -> None:
    query, expected = filled(statement, world), filled(expected_text, world)
    expected = expected.replace("stripe_live.", f"{in_hints(host, schema)}.")
    new_requests()
    message, state = refuse(live, query)
    assert expected in message
    assert state == (sqlstate if host == "bundled" else PLAIN)
    assert [request for request in new_requests() if not request.startswith("GET")] == []


# Refusals of Stripe's: statement, SQLSTATE, text of the message
STRIPES: list[tuple[str, str, str]] = [
    ("insert into subscription (customer, price) values ('cus_none', '<price>')", "23503",
     "No such customer: 'cus_none'"),
    ("insert into subscription (customer, price) values ('<cus>', 'price_none')", "23503",
     "No such price: 'price_none'"),
    ("insert into customer_balance_transaction (customer, amount, currency) values ('cus_none', 5, 'eur')",
     "23503", "No such customer: 'cus_none'"),
    ("update subscription_item set price = 'price_none' where id = '<si>'", "23503",
     "No such price: 'price_none'"),
    ("update payment_intent set status = 'succeeded' where id = '<pi_of_dashboard>'", "23502",
     "needs a `return_url`"),
    ("update payment_method set customer = 'cus_none' where id = '<pm>'", "23503",
     "No such customer: 'cus_none'"),
    ("insert into customer (email) values ('nonsense')", "22023", "Invalid email address: nonsense"),
    ("""insert into customer (_params) values ('{"nmae": "x"}')""", "22023", "unknown parameter: nmae"),
    ("insert into coupon (id, percent_off, duration) values ('<coupon>', 5, 'once')", "23505",
     "already exists"),
    ("update subscription set items = '[]' where id = '<sub>'", "HV000",
     "must have at least one active"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("statement", "sqlstate", "expected_text"), STRIPES, ids=[case[0] for case in STRIPES]
)
def test_a_refusal_of_stripes_has_an_sqlstate_that_says_why(
    live: psycopg.Connection, host: str, world: World, statement: str, sqlstate: str, expected_text: str
) -> None:
    message, state = refuse(live, filled(statement, world))
    assert filled(expected_text, world) in message
    assert state == (sqlstate if host == "bundled" else PLAIN)


# Changes that the object's state does not allow, and the beginning of the statement that the hint has instead
STATES: list[tuple[str, str]] = [
    ("delete from invoice where id = '<inv_open>'", "UPDATE invoice SET status = 'void'"),
    ("delete from invoice where id = '<inv_paid>'", "INSERT INTO credit_note (invoice, amount, _params)"),
    ("update invoice set description = 'x' where id = '<inv_open>'", "UPDATE invoice SET status = 'void'"),
    ("update invoice set description = 'x' where id = '<inv_paid>'", "INSERT INTO credit_note"),
    ("update invoice set status = 'void' where id = '<inv_paid>'", "INSERT INTO credit_note"),
    ("delete from invoiceitem where id = '<ii_final>'", "INSERT INTO credit_note"),
    ("update invoiceitem set amount = 7 where id = '<ii_final>'", "INSERT INTO credit_note"),
    ("delete from product where id = (select product from price where id = '<price>')",
     "UPDATE product SET active = false"),
    ("delete from subscription_item where id = '<si>'", "DELETE FROM subscription"),
    ("update quote set description = 'x' where id = '<quote_open>'", "UPDATE quote SET status = 'canceled'"),
    ("update payment_intent set amount = 5 where id = '<pi_to_capture>'",
     "UPDATE payment_intent SET status = 'succeeded', _params"),
]  # fmt: skip


@pytest.mark.parametrize(("statement", "expected"), STATES, ids=[case[0] for case in STATES])
def test_the_hint_on_a_state_is_a_statement_that_succeeds(
    live: psycopg.Connection, host: str, schema: str, world: World, statement: str, expected: str
) -> None:
    message, _ = refuse(live, filled(statement, world))
    table, named = rf"{in_hints(host, schema)}\.", f"{in_hints(host, schema)}."
    found = re.search(rf"(INSERT INTO|UPDATE|DELETE FROM) {table}.*;", message)
    assert found, message
    assert found[0].replace(named, "").startswith(expected)
    instead = found[0].replace(named, f"{schema}.").replace("...", "100")
    assert live.execute(instead.encode()).rowcount == 1


def test_hints_follow_the_names_of_a_table_and_of_its_schema(
    live: psycopg.Connection, host: str, schema: str, world: World
) -> None:
    price, named = filled("<price>", world), '"Meine {id}"."Preis ""neu""\'"'
    try:
        for change, table in (
            (f"create schema mine; alter table {schema}.price set schema mine", "mine.price"),
            ('alter schema mine rename to "Meine {id}"', '"Meine {id}".price'),
            ('alter table "Meine {id}".price rename to "Preis ""neu""\'"', named),
        ):
            live.execute(change.encode())
            shown = table if host == "bundled" else "<schema>.price"
            refusal, _ = refuse(live, f"delete from {table} where id = '{price}'")
            assert f"UPDATE {shown} SET active = false WHERE id = '{price}';" in refusal
    finally:
        live.execute(f"alter table {named} rename to price".encode())
        live.execute(
            f'alter table "Meine {{id}}".price set schema {schema}; drop schema "Meine {{id}}"'.encode()
        )


def test_a_row_that_is_gone_when_it_is_changed_is_no_data(
    live: psycopg.Connection, host: str, world: World, stripe: SimulatorProcess
) -> None:
    statement = filled("update customer set name = 'x' where id = '<cus>'", world)
    fault = {"kind": "status", "status": 404, "code": "resource_missing", "message": "No such customer"}
    stripe.control("POST", "/faults", fault | {"method": "POST", "path": f"/v1/customers/{world['cus']}"})
    message, state = refuse(live, statement)
    assert "No such customer" in message
    assert state == ("P0002" if host == "bundled" else PLAIN)


def test_stripes_code_and_parameter_are_where_clients_look_for_constraint_and_column(
    live: psycopg.Connection, host: str, world: World, stripe: SimulatorProcess
) -> None:
    error = failing(live, "insert into customer (email) values ('nonsense')")
    names = (error.diag.constraint_name, error.diag.column_name)
    assert names == (("email_invalid", "email") if host == "bundled" else (None, None))
    statement = filled("update payment_intent set description = 'x' where id = '<pi>'", world)
    declined = {"status": 402, "code": "card_declined", "message": "Your card was declined."}
    stripe.control("POST", "/faults", {"kind": "status", "method": "POST"} | declined)
    error = failing(live, statement)
    assert error.sqlstate == ("ST402" if host == "bundled" else PLAIN)
    assert error.diag.constraint_name == ("card_declined" if host == "bundled" else None)
    assert "answered 402" in (error.diag.message_detail or "")


def test_the_row_with_a_bad_value_is_named(live: psycopg.Connection, new_requests: Made) -> None:
    statement = """insert into customer (name, metadata) values ('a', '{}'), ('b', '[1]'), ('c', '{}')"""
    message, _ = refuse(live, statement)
    assert "row 2 failed" in message
    assert '"metadata" takes an object of texts' in message
    assert new_requests() == ["POST /v1/customers name=a"]
