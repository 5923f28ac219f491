"""Requests of writes: statements, and exactly the requests that they make."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from stripe_simulator.process import SimulatorProcess
from support.database import KEY, Servers
from support.written_objects import Made, World, filled

CASES: list[tuple[str, list[str]]] = [
    # INSERT
    ("insert into customer default values", ["POST /v1/customers"]),
    ("insert into customer (email) values ('x@y.z')", ["POST /v1/customers email=x@y.z"]),
    ("insert into customer (name, email) values ('Ä + ü', null)", ["POST /v1/customers name=Ä + ü"]),
    ("insert into customer (name) values ('a'), ('b')",
     ["POST /v1/customers name=a", "POST /v1/customers name=b"]),
    ("insert into customer (name) select 'c' || i from generate_series(1, 3) i",
     ["POST /v1/customers name=c1", "POST /v1/customers name=c2", "POST /v1/customers name=c3"]),
    ("insert into customer (name) select 'x' where false", []),
    ("insert into customer (name, balance) values ('a', -500) returning id",
     ["POST /v1/customers name=a&balance=-500"]),
    ("with new as (insert into customer (name) values ('a') returning id)"
     " select id from new", ["POST /v1/customers name=a"]),
    ("""insert into customer (metadata) values ('{"order_id": "6735", "n": 5, "ok": true, "no": null}')""",
     ["POST /v1/customers metadata[n]=5&metadata[ok]=true&metadata[order_id]=6735"]),
    ("insert into customer (metadata) values ('{}')", ["POST /v1/customers"]),
    ("insert into customer (metadata) values ('null')", ["POST /v1/customers"]),
    ("""insert into customer (metadata, _params)
        values ('{"a": 0.12345678901234567890, "b": 1.50, "c": 12345678901234567890123}',
                '{"invoice_settings": {"footer": 0.00001000}}')""",
     ["POST /v1/customers metadata[a]=0.12345678901234567890&metadata[b]=1.50"
      "&metadata[c]=12345678901234567890123&invoice_settings[footer]=0.00001000"]),
    ("update customer set metadata = 'null' where id = '<cus>'",
     ["GET /v1/customers/<cus>", "POST /v1/customers/<cus> metadata="]),
    ("update customer set metadata = metadata || '{\"n\": 0.10}' where id = '<cus>'",
     ["GET /v1/customers/<cus>", "POST /v1/customers/<cus> metadata[n]=0.10"]),
    ("update payment_intent set status = 'requires_capture', capture_method = 'manual'"
     " where id = '<pi_to_confirm>'",
     ["GET /v1/payment_intents/<pi_to_confirm>",
      "POST /v1/payment_intents/<pi_to_confirm>/confirm capture_method=manual"]),
    ("""insert into customer (address, preferred_locales)
        values ('{"city": "Bonn", "line2": null}', '["de", "en"]')""",
     ["POST /v1/customers address[city]=Bonn&preferred_locales[0]=de&preferred_locales[1]=en"]),
    ("""insert into customer (name, _params) values ('a', '{"name": "b", "tax_exempt": "none"}')""",
     ["POST /v1/customers name=b&tax_exempt=none"]),
    ("""insert into coupon (id, percent_off, duration) values ('<word>', 12.5, 'once')""",
     ["POST /v1/coupons id=<word>&percent_off=12.5&duration=once"]),
    ("""insert into price (product, currency, unit_amount_decimal, recurring)
        values ('<prod>', 'eur', 0.50, '{"interval": "month"}')""",
     ["POST /v1/prices product=<prod>&currency=eur&unit_amount_decimal=0.5&recurring[interval]=month"]),
    ("""insert into price (product, currency, unit_amount, recurring_interval)
        values ('<prod>', 'eur', 9007199254740993, 'month')""",
     ["POST /v1/prices product=<prod>&currency=eur&unit_amount=9007199254740993&recurring[interval]=month"]),
    ("""insert into subscription (customer, items)
        values ('<cus_who_pays>', '[{"price": "<price>", "quantity": 2}]')""",
     ["POST /v1/subscriptions customer=<cus_who_pays>&items[0][price]=<price>&items[0][quantity]=2"]),
    ("""insert into subscription (customer, price, trial_end)
        values ('<cus>', '<price>', '2026-12-24 12:00:00+00')""",
     ["POST /v1/subscriptions customer=<cus>&items[0][price]=<price>&trial_end=1798113600"]),
    ("""insert into subscription (customer, items, cancel_at_period_end, _params)
        select '<cus>', jsonb_build_array(jsonb_build_object('price', '<price>')), true,
               '{"trial_period_days": 7}'""",
     ["POST /v1/subscriptions customer=<cus>&items[0][price]=<price>&cancel_at_period_end=true"
      "&trial_period_days=7"]),
    ("insert into promotion_code (coupon, active) values ('<coupon>', false)",
     ["POST /v1/promotion_codes promotion[coupon]=<coupon>&promotion[type]=coupon&active=false"]),
    ("insert into customer_balance_transaction (customer, amount, currency) values ('<cus>', -5, 'eur')",
     ["POST /v1/customers/<cus>/balance_transactions amount=-5&currency=eur"]),
    ("insert into invoice (customer, description, auto_advance) values ('<cus>', 'x', false)",
     ["POST /v1/invoices customer=<cus>&description=x&auto_advance=false"]),
    ("insert into invoiceitem (customer, amount, currency, invoice) values ('<cus>', 500, 'eur', '<inv>')",
     ["POST /v1/invoiceitems customer=<cus>&amount=500&currency=eur&invoice=<inv>"]),
    # UPDATE: single values
    ("update customer set name = 'Eve' where id = '<cus>'",
     ["GET /v1/customers/<cus>", "POST /v1/customers/<cus> name=Eve"]),
    ("update customer set name = 'Ada' where id = '<cus>'", ["GET /v1/customers/<cus>"]),
    ("update customer set name = name, email = email, metadata = metadata, created = created, id = id"
     " where id = '<cus>'", ["GET /v1/customers/<cus>"]),
    ("update customer set name = 'Eve', email = 'ada@b.c', phone = '1' where id = '<cus>'",
     ["GET /v1/customers/<cus>", "POST /v1/customers/<cus> name=Eve"]),
    ("update customer set name = 'Eve' where id = 'cus_none'", ["GET /v1/customers/cus_none"]),
    ("update customer set name = 'Eve' where false", []),
    ("update customer set name = upper(name) where id in ('<cus>', '<cus2>')",
     ["GET /v1/customers/<cus>", "GET /v1/customers/<cus2>",
      "POST /v1/customers/<cus> name=ADA", "POST /v1/customers/<cus2> name=ADA"]),
    ("update customer set phone = null where id = '<cus>'",
     ["GET /v1/customers/<cus>", "POST /v1/customers/<cus> phone="]),
    ("update customer set description = null where id = '<cus>'", ["GET /v1/customers/<cus>"]),
    ("update customer set balance = balance - 500 where id = '<cus>'",
     ["GET /v1/customers/<cus>", "POST /v1/customers/<cus> balance=-500"]),
    ("update subscription set cancel_at_period_end = true where id = '<sub>'",
     ["GET /v1/subscriptions/<sub>", "POST /v1/subscriptions/<sub> cancel_at_period_end=true"]),
    ("update subscription set cancel_at = '2030-01-01 00:00:00+00' where id = '<sub>'",
     ["GET /v1/subscriptions/<sub>", "POST /v1/subscriptions/<sub> cancel_at=1893456000"]),
    ("update subscription set trial_end = '2030-01-01 09:00:00+09' where id = '<sub>'",
     ["GET /v1/subscriptions/<sub>", "POST /v1/subscriptions/<sub> trial_end=1893456000"]),
    ("update price set active = false where id = '<price>'",
     ["GET /v1/prices/<price>", "POST /v1/prices/<price> active=false"]),
    ("update customer set default_payment_method = null where id = '<cus>'", ["GET /v1/customers/<cus>"]),
    # UPDATE: which rows
    ("update customer set name = 'n' from (values ('<cus>', 'p')) v (id, plan) where customer.id = v.id",
     ["GET /v1/customers/<cus>", "POST /v1/customers/<cus> name=n"]),
    ("update customer set name = (select 'sub' || 1) where id = (select '<cus>')",
     ["GET /v1/customers/<cus>", "POST /v1/customers/<cus> name=sub1"]),
    ("""update subscription set metadata = '{"order_id": "6735"}' where customer = '<cus_with_sub>'""",
     ["GET /v1/subscriptions customer=<cus_with_sub>&status=all&limit=100",
      "POST /v1/subscriptions/<sub_of_it> metadata[order_id]=6735"]),
    ("update subscription s set description = c.name from customer c"
     " where s.customer = c.id and c.id = '<cus_with_sub>' and s.id = '<sub_of_it>'",
     ["*", "POST /v1/subscriptions/<sub_of_it> description=Ada"]),
    # UPDATE: jsonb
    ("""update customer set metadata = '{"a": "1", "c": "3"}' where id = '<cus>'""",
     ["GET /v1/customers/<cus>", "POST /v1/customers/<cus> metadata[c]=3&metadata[b]="]),
    ("""update customer set metadata = metadata || '{"c": 3}' where id = '<cus>'""",
     ["GET /v1/customers/<cus>", "POST /v1/customers/<cus> metadata[c]=3"]),
    ("update customer set metadata = metadata - 'a' where id = '<cus>'",
     ["GET /v1/customers/<cus>", "POST /v1/customers/<cus> metadata[a]="]),
    ("update customer set metadata = null where id = '<cus>'",
     ["GET /v1/customers/<cus>", "POST /v1/customers/<cus> metadata="]),
    ("update customer set metadata = '{}' where id = '<cus>'",
     ["GET /v1/customers/<cus>", "POST /v1/customers/<cus> metadata="]),
    ("update customer set address = jsonb_set(address, '{city}', '\"Ulm\"') where id = '<cus>'",
     ["GET /v1/customers/<cus>", "POST /v1/customers/<cus> address[city]=Ulm&address[country]=DE"]),
    ("update customer set address = address - 'country' where id = '<cus>'",
     ["GET /v1/customers/<cus>", "POST /v1/customers/<cus> address[city]=Bonn&address[country]="]),
    ("update customer set address = null where id = '<cus>'",
     ["GET /v1/customers/<cus>", "POST /v1/customers/<cus> address="]),
    ("""update customer set preferred_locales = '["de"]' where id = '<cus>'""",
     ["GET /v1/customers/<cus>", "POST /v1/customers/<cus> preferred_locales[0]=de"]),
    ("update subscription set items = items where id = '<sub>'", ["GET /v1/subscriptions/<sub>"]),
    ("update subscription set items = jsonb_set(items, '{data,0,quantity}', '5') where id = '<sub>'",
     ["GET /v1/subscriptions/<sub>", "POST /v1/subscriptions/<sub> items[0][id]=<si>&items[0][quantity]=5"]),
    ("""update subscription set items = '[{"price": "<price>", "quantity": 5}, {"price": "<price2>"}]'
        where id = '<sub>'""",
     ["GET /v1/subscriptions/<sub>",
      "POST /v1/subscriptions/<sub> items[0][id]=<si>&items[0][quantity]=5&items[1][price]=<price2>"]),
    ("""update subscription set items = '[{"price": "<price2>"}]' where id = '<sub>'""",
     ["GET /v1/subscriptions/<sub>",
      "POST /v1/subscriptions/<sub> items[0][price]=<price2>&items[1][id]=<si>&items[1][deleted]=true"]),
    ("update subscription set items = jsonb_set(items, '{data,0,price}', '\"<price2>\"')"
     " where id = '<sub_of_5>'",
     ["GET /v1/subscriptions/<sub_of_5>",
      "POST /v1/subscriptions/<sub_of_5>"
      " items[0][id]=<si_of_5>&items[0][price]=<price2>&items[0][quantity]=5"]),
    ("update subscription_item set price = '<price2>' where id = '<si_of_5>'",
     ["GET /v1/subscription_items/<si_of_5>",
      "POST /v1/subscription_items/<si_of_5> price=<price2>&quantity=5"]),
    ("update subscription_item set price = '<price2>', quantity = null where id = '<si_of_5>'",
     ["GET /v1/subscription_items/<si_of_5>", "POST /v1/subscription_items/<si_of_5> price=<price2>"]),
    ("update subscription_item set quantity = 7 where id = '<si>'",
     ["GET /v1/subscription_items/<si>", "POST /v1/subscription_items/<si> quantity=7"]),
    ("update subscription set automatic_tax_enabled = false where id = '<sub>'",
     ["GET /v1/subscriptions/<sub>"]),
    # UPDATE: _params
    ("""update subscription
        set _params = '{"proration_behavior": "none", "items": [{"id": "<si>", "quantity": 3}]}'
        where id = '<sub>'""",
     ["GET /v1/subscriptions/<sub>",
      "POST /v1/subscriptions/<sub> items[0][id]=<si>&items[0][quantity]=3&proration_behavior=none"]),
    ("""update customer set name = 'n', _params = '{"tax": {"ip_address": null}}' where id = '<cus>'""",
     ["GET /v1/customers/<cus>", "POST /v1/customers/<cus> name=n&tax[ip_address]="]),
    # UPDATE: states
    ("update invoice set status = 'open' where id = '<inv>'",
     ["GET /v1/invoices/<inv>", "POST /v1/invoices/<inv>/finalize"]),
    ("update invoice set status = 'open', auto_advance = false, description = 'x' where id = '<inv>'",
     ["GET /v1/invoices/<inv>", "POST /v1/invoices/<inv> description=x", "POST /v1/invoices/<inv>/finalize"]),
    ("update invoice set status = 'draft' where id = '<inv>'", ["GET /v1/invoices/<inv>"]),
    ("update subscription set status = 'canceled' where id = '<sub>'",
     ["GET /v1/subscriptions/<sub>", "DELETE /v1/subscriptions/<sub>"]),
    ("""update subscription set status = 'canceled', _params = '{"invoice_now": true}' where id = '<sub>'""",
     ["GET /v1/subscriptions/<sub>", "DELETE /v1/subscriptions/<sub> invoice_now=true"]),
    ("update payment_intent set status = 'canceled', cancellation_reason = 'duplicate' where id = '<pi>'",
     ["GET /v1/payment_intents/<pi>", "POST /v1/payment_intents/<pi>/cancel cancellation_reason=duplicate"]),
    ("update payment_intent set status = 'succeeded' where id = '<pi_to_confirm>'",
     ["GET /v1/payment_intents/<pi_to_confirm>", "POST /v1/payment_intents/<pi_to_confirm>/confirm"]),
    ("update payment_intent set status = 'succeeded', _params = '{\"return_url\": \"https://a.b\"}'"
     " where id = '<pi_of_dashboard>'",
     ["GET /v1/payment_intents/<pi_of_dashboard>",
      "POST /v1/payment_intents/<pi_of_dashboard>/confirm return_url=https://a.b"]),
    ("""update payment_intent
        set status = 'succeeded', description = 'x', _params = '{"amount_to_capture": 400}'
        where id = '<pi_to_capture>'""",
     ["GET /v1/payment_intents/<pi_to_capture>", "POST /v1/payment_intents/<pi_to_capture> description=x",
      "POST /v1/payment_intents/<pi_to_capture>/capture amount_to_capture=400"]),
    ("update setup_intent set status = 'canceled', cancellation_reason = 'abandoned' where id = '<seti>'",
     ["GET /v1/setup_intents/<seti>", "POST /v1/setup_intents/<seti>/cancel cancellation_reason=abandoned"]),
    ("update payment_method set customer = '<cus>' where id = '<pm>'",
     ["GET /v1/payment_methods/<pm>", "POST /v1/payment_methods/<pm>/attach customer=<cus>"]),
    ("""update payment_method set customer = '<cus>', metadata = '{"a": "b"}' where id = '<pm>'""",
     ["GET /v1/payment_methods/<pm>", "POST /v1/payment_methods/<pm>/attach customer=<cus>",
      "POST /v1/payment_methods/<pm> metadata[a]=b"]),
    ("update payment_method set customer = null where id = '<pm_of_cus>'",
     ["GET /v1/payment_methods/<pm_of_cus>", "POST /v1/payment_methods/<pm_of_cus>/detach"]),
    ("update quote set status = 'open', description = 'x' where id = '<quote>'",
     ["GET /v1/quotes/<quote>", "POST /v1/quotes/<quote> description=x",
      "POST /v1/quotes/<quote>/finalize"]),
    ("update quote set status = 'canceled' where id = '<quote_open>'",
     ["GET /v1/quotes/<quote_open>", "POST /v1/quotes/<quote_open>/cancel"]),
    ("update subscription_schedule set status = 'released' where id = '<sched>'",
     ["GET /v1/subscription_schedules/<sched>", "POST /v1/subscription_schedules/<sched>/release"]),
    ("update checkout_session set status = 'expired' where id = '<cs>'",
     ["GET /v1/checkout/sessions/<cs>", "POST /v1/checkout/sessions/<cs>/expire"]),
    ("update invoice set status = 'sent' where id = '<inv_open>'",
     ["GET /v1/invoices/<inv_open>", "POST /v1/invoices/<inv_open>/send"]),
    ("""update invoice set status = 'paid', _params = '{"paid_out_of_band": true}' where id = '<inv_open>'""",
     ["GET /v1/invoices/<inv_open>", "POST /v1/invoices/<inv_open>/pay paid_out_of_band=true"]),
    ("update invoice set status = 'void' where id = '<inv_open>'",
     ["GET /v1/invoices/<inv_open>", "POST /v1/invoices/<inv_open>/void"]),
    ("update invoice set status = 'uncollectible' where id = '<inv_open>'",
     ["GET /v1/invoices/<inv_open>", "POST /v1/invoices/<inv_open>/mark_uncollectible"]),
    ("update subscription set pause_collection = '{\"behavior\": \"void\"}' where id = '<sub>'",
     ["GET /v1/subscriptions/<sub>", "POST /v1/subscriptions/<sub> pause_collection[behavior]=void"]),
    ("update promotion_code set active = false where id = '<promo>'",
     ["GET /v1/promotion_codes/<promo>", "POST /v1/promotion_codes/<promo> active=false"]),
    # DELETE
    ("delete from customer where id = '<cus>'", ["GET /v1/customers/<cus>", "DELETE /v1/customers/<cus>"]),
    ("delete from customer where id in ('<cus>', '<cus2>')",
     ["GET /v1/customers/<cus>", "GET /v1/customers/<cus2>",
      "DELETE /v1/customers/<cus>", "DELETE /v1/customers/<cus2>"]),
    ("delete from customer where id = 'cus_none'", ["GET /v1/customers/cus_none"]),
    ("delete from subscription where id = '<sub>'",
     ["GET /v1/subscriptions/<sub>", "DELETE /v1/subscriptions/<sub>"]),
    ("delete from subscription s using customer c where c.id = s.customer and c.id = '<cus_with_sub>'"
     " and s.id = '<sub_of_it>' returning c.name",
     ["*", "DELETE /v1/subscriptions/<sub_of_it>"]),
    ("delete from subscription where id = '<sub_canceled>'", ["GET /v1/subscriptions/<sub_canceled>"]),
    ("delete from invoice where id = '<inv>'", ["GET /v1/invoices/<inv>", "DELETE /v1/invoices/<inv>"]),
    ("delete from coupon where id = '<coupon>'", ["GET /v1/coupons/<coupon>", "DELETE /v1/coupons/<coupon>"]),
]  # fmt: skip


@pytest.mark.parametrize(("statement", "expected"), CASES, ids=[case[0] for case in CASES])
def test_a_statement_makes_exactly_these_requests(
    live: psycopg.Connection,
    world: World,
    new_requests: Made,
    host: str,
    statement: str,
    expected: list[str],
) -> None:
    query, wanted = filled(statement, world), [filled(request, world) for request in expected]
    new_requests()
    live.execute(query.encode())
    requests = new_requests()
    if host == "multicorn2":  # its UPDATE reads all columns, also those that have to be expanded
        requests = [
            request.partition(" expand[")[0] if request.startswith("GET") else request for request in requests
        ]
    if wanted[:1] == ["*"]:  # a join reads as the planner likes
        requests, wanted = [request for request in requests if not request.startswith("GET")], wanted[1:]
    assert ordered(requests) == ordered(wanted)


# The requests that EXPLAIN announces for a statement
EXPLAINED: list[tuple[str, str]] = [
    ("insert into customer (name) values ('a')", "POST /v1/customers"),
    ("update customer set name = 'x'", "POST /v1/customers/{customer}"),
    ("update customer set _params = '{}'", "POST /v1/customers/{customer}"),
    ("update customer set discount = null", "DELETE /v1/customers/{customer}/discount"),
    ("update payment_method set customer = null, metadata = '{}'",
     "POST /v1/payment_methods/{payment_method}, POST /v1/payment_methods/{payment_method}/detach"),
    ("delete from customer", "DELETE /v1/customers/{customer}"),
    ("update refund set amount = 5", "none: Stripe has no such operation"),
    # A state that the plan knows: the operations that lead to it
    ("update invoice set status = 'void'", "POST /v1/invoices/{invoice}/void"),
    ("update invoice set status = lower('VOID'), description = 'x' where id = 'in_1'",
     "POST /v1/invoices/{invoice}, POST /v1/invoices/{invoice}/void"),
    ("update payment_intent set status = 'succeeded'",
     "POST /v1/payment_intents/{intent}/capture, POST /v1/payment_intents/{intent}/confirm"),
    ("update payment_method set customer = null", "POST /v1/payment_methods/{payment_method}/detach"),
    ("update payment_method set customer = 'cus_1'", "POST /v1/payment_methods/{payment_method}/attach"),
    ("update invoice set status = 'viod'", "none: no operation changes status to 'viod'"),
    # A state that depends on the row
    ("update invoice set status = case when total > 0 then 'open' else 'void' end",
     "POST /v1/invoices/{invoice}/finalize, POST /v1/invoices/{invoice}/pay,"
     " POST /v1/invoices/{invoice}/mark_uncollectible, POST /v1/invoices/{invoice}/void,"
     " POST /v1/invoices/{invoice}/send: those that the value of status needs"),
    ("delete from charge", "none: Stripe has no such operation"),
]  # fmt: skip


@pytest.mark.parametrize(("statement", "expected"), EXPLAINED, ids=[case[0] for case in EXPLAINED])
def test_explain_names_the_operations(
    live: psycopg.Connection, host: str, new_requests: Made, statement: str, expected: str
) -> None:
    lines = [row[0].strip() for row in live.execute(f"explain {statement}".encode())]
    assert (f"Stripe Write: {expected}" in lines) == (host == "bundled")
    assert new_requests() == []


def test_explain_knows_the_state_that_a_parameter_gives(live: psycopg.Connection, host: str) -> None:
    if host == "multicorn2":
        return  # shows nothing of a write
    prepared = "prepare change(text) as update invoice set status = $1 where id = 'in_1'"
    live.execute(prepared.encode())
    voided = "Stripe Write: POST /v1/invoices/{invoice}/void"
    for mode in ("force_custom_plan", "force_generic_plan"):
        live.execute(f"set plan_cache_mode = {mode}".encode())
        lines = [row[0].strip() for row in live.execute("explain execute change('void')")]
        assert voided in lines, mode
    live.execute("deallocate change")
    live.execute("reset plan_cache_mode")


def test_explain_names_all_operations_of_a_state_that_a_trigger_may_change(
    live: psycopg.Connection, host: str
) -> None:
    if host == "multicorn2":
        return
    with live.transaction(force_rollback=True):
        live.execute("create function stay() returns trigger language plpgsql as 'begin return new; end'")
        live.execute("create trigger stay before update on invoice for each row execute function stay()")
        lines = [row[0].strip() for row in live.execute("explain update invoice set status = 'void'")]
    assert any(line.endswith("/send: those that the value of status needs") for line in lines)


def test_explain_has_what_the_answer_to_a_write_is_expanded_by(live: psycopg.Connection, host: str) -> None:
    if host == "multicorn2":
        return

    def expanded(statement: str) -> list[str]:
        lines = [row[0] for row in live.execute(f"explain {statement}".encode())]
        end = next(n for n, line in enumerate(lines) if "->" in line)  # of the node that writes
        return [line.strip() for line in lines[:end] if "Stripe Expand" in line]

    price = "insert into price (product) select 'prod_1'"
    assert expanded(f"{price} returning id") == []
    assert expanded(f"{price} returning currency_options") == ["Stripe Expand: currency_options"]
    assert expanded(f"{price} returning *") == ["Stripe Expand: currency_options, tiers"]
    assert expanded("update price set nickname = 'x' returning tiers") == ["Stripe Expand: tiers"]
    assert expanded("delete from coupon returning applies_to") == []  # it is read before
    with live.transaction(force_rollback=True):
        live.execute("create function stay() returns trigger language plpgsql as 'begin return new; end'")
        live.execute("create trigger stay after insert on price for each row execute function stay()")
        assert expanded(price) == ["Stripe Expand: currency_options, tiers"]


def test_explain_analyze_counts_the_requests_of_a_write(
    live: psycopg.Connection, host: str, stripe: SimulatorProcess, new_requests: Made, world: World
) -> None:
    if host == "multicorn2":
        return  # shows nothing of a write
    statement = "insert into customer (name) select 'n' || i from generate_series(1, 3) i"
    stripe.control("POST", "/faults", {"kind": "status", "status": 500, "method": "POST", "count": 1})
    node = analyzed(live, statement)
    assert (node["Stripe Requests Made"], node["Stripe Retries"]) == (3, 1)
    assert node["Stripe Bytes Received"] > 500
    assert node["Stripe Time Waiting on Limits"] >= 0
    assert len(new_requests()) == 4
    # The requests of each node are its own, with those that read what a row needs.
    both = (
        "with a as (insert into customer (name) values ('a')), b as (insert into customer (name)"
        " select 'b' from generate_series(1, 2)) update customer set name = 'c' where id = '<cus>'"
    )
    node = analyzed(live, filled(both, world))
    assert node["Stripe Requests Made"] == 1
    assert [plan["Stripe Requests Made"] for plan in node["Plans"]] == [1, 2, 1]  # the last is the scan
    node = analyzed(live, filled("delete from customer where id = '<cus>'", world))
    assert (node["Stripe Write"], node["Stripe Requests Made"]) == ("DELETE /v1/customers/{customer}", 1)


def test_explain_analyze_waits_for_the_writes_that_it_counts(
    db: psycopg.Connection, host: str, servers: Servers, stripe: SimulatorProcess
) -> None:
    if host == "multicorn2":
        return  # sends one request at a time, and shows nothing of a write
    eight = {"max_requests_per_second": 10_000, "write_concurrency": 8}
    server = servers("customer", mapping={"api_key": KEY}, api_base=stripe.url, **eight)
    statement = f"insert into {server.name}.customer (name) select 'n' from generate_series(1, 5)"
    assert analyzed(db, statement)["Stripe Requests Made"] == 5


def analyzed(connection: psycopg.Connection, statement: str) -> dict[str, Any]:
    """Run a statement and return the node that writes, with what it has cost."""
    plans = connection.execute(f"explain (analyze, format json) {statement}".encode()).fetchone()
    assert plans is not None
    node: dict[str, Any] = plans[0][0]["Plan"]
    return node


def ordered(requests: list[str]) -> list[str]:
    """Readings before writings, which keep their order; of each its parameters in alphabetical order."""
    sorted_ones = [_sorted(request) for request in requests]
    readings = sorted(request for request in sorted_ones if request.startswith("GET"))
    return readings + [request for request in sorted_ones if not request.startswith("GET")]


def _sorted(request: str) -> str:
    method, path, *params = request.split(" ", 2)
    return " ".join([method, path, *("&".join(sorted(item.split("&"))) for item in params)])
