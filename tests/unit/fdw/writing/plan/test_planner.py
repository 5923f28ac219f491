"""Rows become exactly the expected requests."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from stripe_fdw.catalog import load
from stripe_fdw.errors import ColumnError, StripeFdwError
from stripe_fdw.fdw.schema.table_names import TableNames
from stripe_fdw.fdw.writing.plan.planner import (
    needs_current_object,
    plan_delete,
    plan_insert,
    plan_update,
)
from stripe_fdw.fdw.writing.plan.row_plan import RowPlan

Values = dict[str, Any]
LIVE = TableNames("stripe_live")


def requests(plan: RowPlan) -> list[str]:
    """Each as ``POST /v1/customers?email=x``."""
    return [str(request.request).replace("%40", "@") for request in plan.requests]


def insert(table: str, **values: Any) -> list[str]:
    return requests(plan_insert(load().resource[table], values, LIVE))


def update(table: str, old_object: Values, **values: Any) -> list[str]:
    old = {"id": old_object["id"], "_raw": old_object}
    old |= {parent.column: old_object.get(parent.column) for parent in load().resource[table].parents}
    return requests(plan_update(load().resource[table], old, values, LIVE))


# -- INSERT ------------------------------------------------------------------------------------------------

INSERTS: list[tuple[str, Values, str]] = [
    ("customer", {}, "/v1/customers"),
    ("customer", {"email": "a@b.c", "name": None}, "/v1/customers?email=a@b.c"),
    ("customer", {"name": "Ä & Ö"}, "/v1/customers?name=%C3%84+%26+%C3%96"),
    ("customer", {"balance": -5}, "/v1/customers?balance=-5"),
    ("customer", {"metadata": {"a": "1", "b": 2, "c": True, "d": None}},
     "/v1/customers?metadata[a]=1&metadata[b]=2&metadata[c]=true"),
    ("customer", {"metadata": {}}, "/v1/customers"),
    ("customer", {"metadata": '{"a": "1"}'}, "/v1/customers?metadata[a]=1"),
    ("customer", {"preferred_locales": ["de", "en"]},
     "/v1/customers?preferred_locales[0]=de&preferred_locales[1]=en"),
    ("customer", {"preferred_locales": []}, "/v1/customers"),
    ("customer", {"address": {"city": "Bonn", "line2": None}}, "/v1/customers?address[city]=Bonn"),
    ("customer", {"default_payment_method": "pm_1"},
     "/v1/customers?invoice_settings[default_payment_method]=pm_1"),
    ("customer", {"default_payment_method": "pm_1", "invoice_settings": {"footer": "x"}},
     "/v1/customers?invoice_settings[default_payment_method]=pm_1&invoice_settings[footer]=x"),
    ("customer", {"_params": {"payment_method": "pm_1"}}, "/v1/customers?payment_method=pm_1"),
    ("customer", {"name": "x", "_params": {"name": "y"}}, "/v1/customers?name=y"),
    ("customer", {"address": {"city": "Bonn", "country": "DE"}, "_params": {"address": {"city": "Ulm"}}},
     "/v1/customers?address[city]=Ulm&address[country]=DE"),
    ("customer", {"_params": {"tax": {"ip_address": None}}}, "/v1/customers?tax[ip_address]="),
    ("customer", {"_params": None, "_idempotency_key": None}, "/v1/customers"),
    ("coupon", {"id": "ten", "percent_off": 10.0, "duration": "once"},
     "/v1/coupons?id=ten&percent_off=10&duration=once"),
    ("coupon", {"percent_off": 12.5, "duration": "once"}, "/v1/coupons?percent_off=12.5&duration=once"),
    ("price", {"product": "prod_1", "currency": "eur", "unit_amount_decimal": Decimal("0.50")},
     "/v1/prices?product=prod_1&currency=eur&unit_amount_decimal=0.5"),
    ("price", {"product": "prod_1", "currency": "eur", "unit_amount": 5, "recurring": {"interval": "month"}},
     "/v1/prices?product=prod_1&currency=eur&unit_amount=5&recurring[interval]=month"),
    ("price", {"product": "prod_1", "currency": "eur", "unit_amount": 5, "recurring_interval": "month"},
     "/v1/prices?product=prod_1&currency=eur&unit_amount=5&recurring[interval]=month"),
    ("subscription", {"customer": "cus_1", "items": [{"price": "p1", "quantity": 2}, {"price": "p2"}]},
     "/v1/subscriptions?customer=cus_1&items[0][price]=p1&items[0][quantity]=2&items[1][price]=p2"),
    ("subscription", {"customer": "cus_1", "price": "p1"},
     "/v1/subscriptions?customer=cus_1&items[0][price]=p1"),
    ("subscription", {"customer": "cus_1", "price": "p1", "trial_end": datetime(2026, 1, 1, tzinfo=UTC)},
     "/v1/subscriptions?customer=cus_1&items[0][price]=p1&trial_end=1767225600"),
    ("subscription", {"customer": "cus_1", "price": "p1", "cancel_at_period_end": True},
     "/v1/subscriptions?customer=cus_1&items[0][price]=p1&cancel_at_period_end=true"),
    ("subscription", {"customer": "cus_1", "price": "p1", "_params": {"trial_period_days": 7}},
     "/v1/subscriptions?customer=cus_1&items[0][price]=p1&trial_period_days=7"),
    ("promotion_code", {"coupon": "TEN", "active": False},
     "/v1/promotion_codes?promotion[coupon]=TEN&promotion[type]=coupon&active=false"),
    ("promotion_code", {"promotion": {"type": "coupon", "coupon": "TEN"}},
     "/v1/promotion_codes?promotion[type]=coupon&promotion[coupon]=TEN"),
    ("refund", {"charge": "ch_1", "amount": 5}, "/v1/refunds?charge=ch_1&amount=5"),
    ("invoiceitem", {"customer": "cus_1", "price": "p1"},
     "/v1/invoiceitems?customer=cus_1&pricing[price]=p1"),
    ("customer_balance_transaction", {"customer": "cus_1", "amount": -5, "currency": "eur"},
     "/v1/customers/cus_1/balance_transactions?amount=-5&currency=eur"),
    ("customer_balance_transaction", {"customer": "a/b?c", "amount": 5, "currency": "eur"},
     "/v1/customers/a%2Fb%3Fc/balance_transactions?amount=5&currency=eur"),
    ("fee_refund", {"fee": "fee_1"}, "/v1/application_fees/fee_1/refunds"),
    ("external_account", {"account": "acct_1", "_params": {"external_account": "tok_1"}},
     "/v1/accounts/acct_1/external_accounts?external_account=tok_1"),
]  # fmt: skip


@pytest.mark.parametrize(("table", "values", "expected"), INSERTS, ids=str)
def test_insert(table: str, values: Values, expected: str) -> None:
    assert insert(table, **values) == [f"POST {expected}"]


def test_items_copied_from_another_subscription_are_sent_without_what_stripe_made_of_them() -> None:
    items = {"object": "list", "has_more": False, "data": [ITEM | {"quantity": 3}]}
    assert insert("subscription", customer="cus_2", items=items) == [
        "POST /v1/subscriptions?customer=cus_2&items[0][quantity]=3&items[0][price]=price_1"
    ]


def test_the_key_is_the_users() -> None:
    customer = load().resource["customer"]
    assert plan_insert(customer, {"_idempotency_key": "order-1"}).idempotency_key == "order-1"
    assert plan_insert(customer, {}).idempotency_key is None


INSERT_ERRORS: list[tuple[str, Values, str, str]] = [
    ("subscription", {}, "23502",
     "subscription cannot be created without items, and customer or customer_account"),
    ("price", {"unit_amount": 5}, "23502",
     "price cannot be created without currency, and product or _params[product_data]"),
    ("subscription", {"customer": "cus_1", "price": "price_1", "items": [{"price": "price_2"}]}, "22023",
     'and "price" give two values for items'),
    ("tax_id", {"customer": "cus_1", "type": "eu_vat", "value": "x"}, "0A000",
     "Insert into stripe_live.customer_tax_id, or set owner_customer."),
    ("transfer", {}, "23502", "currency and destination"),
    ("external_account", {}, "23502", "account and _params[external_account]"),
    ("customer_balance_transaction", {"amount": 5}, "23502", "customer and currency"),
    ("promotion_code", {}, "23502", "without promotion"),
    ("customer", {"id": "cus_1"}, "428C9", '"id" of customer cannot be set'),
    ("customer", {"created": datetime(2026, 1, 1, tzinfo=UTC)}, "428C9", '"created"'),
    ("customer", {"_raw": {"id": "x"}}, "0A000", "It is read-only; set its columns"),
    ("customer", {"delinquent": True, "sources": {}}, "0A000", 'columns "delinquent", "sources"'),
    ("invoice", {"customer": "cus_1", "status": "open"}, "0A000", "status can become 'open', 'paid'"),
    ("event", {"type": "x"}, "0A000", "Stripe creates these itself"),
    ("upcoming_invoice", {"customer": "cus_1"}, "0A000", "Stripe computes it"),
    ("line_item", {"invoice": "in_1"}, "0A000", "stripe_live.invoiceitem"),
    ("customer", {"_params": "no json"}, "22023", '"_params" takes JSON'),
    ("customer", {"_params": [1]}, "22023", '"_params" takes a JSON object of parameters'),
    ("customer", {"_idempotency_key": ""}, "22023", "1 to 255 printable"),
    ("customer", {"_idempotency_key": "k" * 256}, "22023", "(256 characters)"),
    ("customer", {"_idempotency_key": "a\nb"}, "22023", "1 to 255 printable"),
    ("customer", {"_idempotency_key": "ä"}, "22023", "1 to 255 printable"),
    ("customer", {"_idempotency_key": " a"}, "22023", "1 to 255 printable"),
    ("customer", {"address": "Bonn"}, "22023", '"address" takes JSON'),
    ("customer", {"address": [1]}, "22023", '"address" takes an object'),
    ("customer", {"metadata": ["a"]}, "22023", '"metadata" takes an object of texts'),
    ("customer", {"metadata": {"a": {"b": 1}}}, "22023", '"metadata[a]" takes a text'),
    ("customer", {"metadata": {"a[b]": "c"}}, "22023", 'cannot have the key "a[b]"'),
    ("customer", {"balance": Decimal("1.5")}, "22023", '"balance" takes a whole number, not "1.5"'),
    ("customer", {"balance": Decimal("NaN")}, "22003", '"balance" takes a number'),
    ("subscription", {"customer": "c", "items": {"price": "p"}}, "22023", '"items" takes an array'),
    ("subscription", {"customer": "c", "items": [None]}, "22023", '"items[0]" is null'),
    ("subscription", {"customer": "c", "items": [{"price": "p", "quantity": "many"}]}, "22023",
     '"items[0][quantity]" takes a number, not "many"'),
    ("subscription", {"customer": "c", "price": "p", "items": [{"price": "q"}]}, "22023",
     "two values for items"),
    ("subscription", {"customer": "c", "price": "p", "trial_end": "infinity"},
     "22008", '"trial_end" takes a time'),
    ("subscription", {"customer": "c", "price": "p", "trial_end": "soon"}, "22007", "SET datestyle"),
    ("customer_balance_transaction", {"customer": "..", "amount": 5, "currency": "eur"}, "22023",
     "is not an id"),
    ("customer_balance_transaction", {"customer": "", "amount": 5, "currency": "eur"}, "22023",
     "is not an id"),
]  # fmt: skip


@pytest.mark.parametrize(("table", "values", "sqlstate", "text"), INSERT_ERRORS, ids=str)
def test_insert_is_refused(table: str, values: Values, sqlstate: str, text: str) -> None:
    with pytest.raises(StripeFdwError) as caught:
        insert(table, **values)
    assert text in str(caught.value)
    assert caught.value.sqlstate == sqlstate


# -- UPDATE ------------------------------------------------------------------------------------------------

ITEM: Values = {
    "id": "si_1", "object": "subscription_item", "created": 5, "metadata": {}, "quantity": 1,
    "plan": {"id": "price_1", "object": "plan"},
    "price": {"id": "price_1", "object": "price", "active": True},
    "subscription": "sub_1", "tax_rates": [], "discounts": [], "billing_thresholds": None,
}  # fmt: skip
OTHER: Values = ITEM | {"id": "si_2", "price": {"id": "price_2", "object": "price"}, "metadata": {"a": "1"}}
SUBSCRIPTION: Values = {
    "id": "sub_1", "object": "subscription", "status": "active", "customer": "cus_1", "description": "old",
    "metadata": {"a": "1", "b": "2"}, "cancel_at_period_end": False, "trial_end": 1767225600,
    "cancel_at": None,
    "items": {"object": "list", "data": [ITEM, OTHER], "has_more": False, "url": "/v1/subscription_items"},
    "default_payment_method": {"id": "pm_1", "object": "payment_method"}, "application_fee_percent": 12.5,
    "default_tax_rates": [{"id": "txr_1", "object": "tax_rate"}], "discounts": ["di_1"], "days_until_due": 7,
    "automatic_tax": {"enabled": False, "liability": None, "disabled_reason": None},
    "pause_collection": {"behavior": "void", "resumes_at": 1767225600},
    "billing_cycle_anchor": 5, "collection_method": "send_invoice",
}  # fmt: skip
SEATED: Values = ITEM | {"quantity": 5}
SEATS: Values = SUBSCRIPTION | {"items": SUBSCRIPTION["items"] | {"data": [SEATED]}}
CUSTOMER: Values = {
    "id": "cus_1", "object": "customer", "email": "a@b.c", "name": None, "balance": 0, "metadata": {},
    "address": {"city": "Bonn", "country": "DE", "line1": "Weg 1", "line2": None, "postal_code": "53111",
                "state": None},
    "shipping": {"name": "Ada", "phone": "1", "address": {"city": "Bonn", "country": "DE"}},
    "invoice_settings": {"custom_fields": None, "default_payment_method": "pm_1", "footer": "x"},
    "preferred_locales": ["de"], "tax_exempt": "none", "created": 5, "delinquent": False,
    "discount": None,
}  # fmt: skip
INVOICE: Values = {"id": "in_1", "object": "invoice", "status": "draft", "auto_advance": False,
                   "metadata": {}, "description": None, "customer": "cus_1", "due_date": None}  # fmt: skip
INTENT: Values = {"id": "pi_1", "object": "payment_intent", "status": "requires_capture", "amount": 100,
                  "description": "x", "cancellation_reason": None, "metadata": {},
                  "capture_method": "automatic_async"}  # fmt: skip
SUB = "POST /v1/subscriptions/sub_1?"
CUS = "POST /v1/customers/cus_1?"
INV = "POST /v1/invoices/in_1"
PI = "POST /v1/payment_intents/pi_1"

UPDATES: list[tuple[str, Values, Values, list[str]]] = [
    # single values
    ("subscription", SUBSCRIPTION, {}, []),
    ("subscription", SUBSCRIPTION, {"description": "old"}, []),
    ("subscription", SUBSCRIPTION, {"description": "new"}, [SUB + "description=new"]),
    ("subscription", SUBSCRIPTION, {"description": None}, [SUB + "description="]),
    ("subscription", SUBSCRIPTION, {"description": ""}, [SUB + "description="]),
    ("subscription", SUBSCRIPTION, {"cancel_at": None}, []),
    ("subscription", SUBSCRIPTION, {"cancel_at_period_end": True}, [SUB + "cancel_at_period_end=true"]),
    ("subscription", SUBSCRIPTION, {"cancel_at_period_end": False}, []),
    ("subscription", SUBSCRIPTION, {"days_until_due": 14}, [SUB + "days_until_due=14"]),
    ("subscription", SUBSCRIPTION, {"days_until_due": Decimal(7)}, []),
    ("subscription", SUBSCRIPTION, {"application_fee_percent": 12.5}, []),
    ("subscription", SUBSCRIPTION, {"application_fee_percent": 20.0}, [SUB + "application_fee_percent=20"]),
    ("subscription", SUBSCRIPTION, {"application_fee_percent": None}, [SUB + "application_fee_percent="]),
    # times
    ("subscription", SUBSCRIPTION, {"trial_end": datetime(2026, 1, 1, tzinfo=UTC)}, []),
    ("subscription", SUBSCRIPTION,
     {"trial_end": datetime(2026, 1, 1, 9, tzinfo=timezone(timedelta(hours=9)))}, []),
    ("subscription", SUBSCRIPTION, {"trial_end": datetime(2026, 1, 1, 0, 0, 0, 999_999, tzinfo=UTC)}, []),
    ("subscription", SUBSCRIPTION, {"trial_end": datetime(2026, 1, 2, tzinfo=UTC)},
     [SUB + "trial_end=1767312000"]),
    ("subscription", SUBSCRIPTION, {"trial_end": "2026-01-02 09:00:00+09"}, [SUB + "trial_end=1767312000"]),
    ("subscription", SUBSCRIPTION, {"trial_end": date(2026, 1, 2)}, [SUB + "trial_end=1767312000"]),
    ("subscription", SUBSCRIPTION | {"trial_end": 1767312000 + 4000}, {"trial_end": date(2026, 1, 2)}, []),
    ("subscription", SUBSCRIPTION, {"trial_end": 1767312000}, [SUB + "trial_end=1767312000"]),
    ("subscription", SUBSCRIPTION, {"trial_end": "now"}, [SUB + "trial_end=now"]),
    ("subscription", SUBSCRIPTION, {"cancel_at": datetime(2026, 1, 2, tzinfo=UTC)},
     [SUB + "cancel_at=1767312000"]),
    # references
    ("subscription", SUBSCRIPTION, {"default_payment_method": "pm_1"}, []),
    ("subscription", SUBSCRIPTION, {"default_payment_method": "pm_2"}, [SUB + "default_payment_method=pm_2"]),
    ("subscription", SUBSCRIPTION, {"default_payment_method": '{"id": "pm_2", "object": "payment_method"}'},
     [SUB + "default_payment_method=pm_2"]),
    ("subscription", SUBSCRIPTION, {"default_payment_method": None}, [SUB + "default_payment_method="]),
    # metadata
    ("subscription", SUBSCRIPTION, {"metadata": {"b": "2", "a": "1"}}, []),
    ("subscription", SUBSCRIPTION, {"metadata": {"a": 1, "b": "2"}}, []),
    ("subscription", SUBSCRIPTION, {"metadata": {"a": "1"}}, [SUB + "metadata[b]="]),
    ("subscription", SUBSCRIPTION, {"metadata": {"a": "1", "b": None}}, [SUB + "metadata[b]="]),
    ("subscription", SUBSCRIPTION, {"metadata": {"a": "1", "b": "2", "c": None}}, []),
    ("subscription", SUBSCRIPTION, {"metadata": {"a": "2", "c": "3"}},
     [SUB + "metadata[a]=2&metadata[c]=3&metadata[b]="]),
    ("subscription", SUBSCRIPTION, {"metadata": {}}, [SUB + "metadata="]),
    ("subscription", SUBSCRIPTION, {"metadata": None}, [SUB + "metadata="]),
    ("customer", CUSTOMER, {"metadata": None}, []),
    ("customer", CUSTOMER, {"metadata": {}}, []),
    # objects
    ("customer", CUSTOMER, {"address": CUSTOMER["address"]}, []),
    # What is left out of an address, Stripe may lose
    ("customer", CUSTOMER, {"address": CUSTOMER["address"] | {"city": "Ulm"}},
     [CUS + "address[country]=DE&address[line1]=Weg+1&address[postal_code]=53111&address[city]=Ulm"]),
    ("customer", CUSTOMER,
     {"shipping": CUSTOMER["shipping"] | {"address": {"city": "Ulm", "country": "DE"}}},
     [CUS + "shipping[name]=Ada&shipping[phone]=1&shipping[address][country]=DE"
      "&shipping[address][city]=Ulm"]),
    ("subscription", SUBSCRIPTION,
     {"pause_collection": SUBSCRIPTION["pause_collection"] | {"behavior": "keep_as_draft"}},
     [SUB + "pause_collection[resumes_at]=1767225600&pause_collection[behavior]=keep_as_draft"]),
    ("customer", CUSTOMER, {"address": {"city": "Bonn", "country": "DE"}},
     [CUS + "address[city]=Bonn&address[country]=DE&address[line1]=&address[postal_code]="]),
    ("customer", CUSTOMER, {"address": CUSTOMER["address"] | {"line1": None}},
     [CUS + "address[city]=Bonn&address[country]=DE&address[postal_code]=53111&address[line1]="]),
    ("customer", CUSTOMER, {"address": None}, [CUS + "address="]),
    ("customer", CUSTOMER, {"shipping": CUSTOMER["shipping"] | {"phone": "2"}},
     [CUS + "shipping[address][city]=Bonn&shipping[address][country]=DE&shipping[name]=Ada"
      "&shipping[phone]=2"]),
    ("customer", CUSTOMER, {"default_payment_method": "pm_2"},
     [CUS + "invoice_settings[default_payment_method]=pm_2"]),
    ("customer", CUSTOMER, {"default_payment_method": None},
     [CUS + "invoice_settings[default_payment_method]="]),
    ("customer", CUSTOMER, {"default_payment_method": "pm_1"}, []),
    ("customer", CUSTOMER, {"invoice_settings": {"default_payment_method": "pm_1"}},
     [CUS + "invoice_settings[footer]="]),
    ("customer", CUSTOMER, {"name": None, "email": None}, [CUS + "email="]),
    ("customer", CUSTOMER, {"tax_exempt": None}, [CUS + "tax_exempt="]),
    ("subscription", SUBSCRIPTION, {"automatic_tax": {"enabled": True}},
     [SUB + "automatic_tax[enabled]=true"]),
    ("subscription", SUBSCRIPTION, {"automatic_tax_enabled": True}, [SUB + "automatic_tax[enabled]=true"]),
    ("subscription", SUBSCRIPTION, {"pause_collection": None}, [SUB + "pause_collection="]),
    ("subscription", SUBSCRIPTION,
     {"pause_collection": {"behavior": "void", "resumes_at": "2026-01-01T00:00:00Z"}}, []),
    ("subscription", SUBSCRIPTION,
     {"pause_collection": {"behavior": "void", "resumes_at": "2026-01-02T00:00:00Z"}},
     [SUB + "pause_collection[behavior]=void&pause_collection[resumes_at]=1767312000"]),
    ("subscription", SUBSCRIPTION, {"pause_collection": {"behavior": "void"}},
     [SUB + "pause_collection[behavior]=void&pause_collection[resumes_at]="]),
    # lists
    ("customer", CUSTOMER, {"preferred_locales": ["de"]}, []),
    ("customer", CUSTOMER, {"preferred_locales": ["de", "en"]},
     [CUS + "preferred_locales[0]=de&preferred_locales[1]=en"]),
    ("customer", CUSTOMER, {"preferred_locales": []}, [CUS + "preferred_locales="]),
    ("customer", CUSTOMER, {"preferred_locales": None}, [CUS + "preferred_locales="]),
    ("subscription", SUBSCRIPTION, {"default_tax_rates": ["txr_1"]}, []),
    ("subscription", SUBSCRIPTION, {"default_tax_rates": [*SUBSCRIPTION["default_tax_rates"], "txr_2"]},
     [SUB + "default_tax_rates[0]=txr_1&default_tax_rates[1]=txr_2"]),
    ("subscription", SUBSCRIPTION, {"default_tax_rates": None}, [SUB + "default_tax_rates="]),
    ("subscription", SUBSCRIPTION, {"discounts": ["di_1", {"coupon": "TEN"}]},
     [SUB + "discounts[0][discount]=di_1&discounts[1][coupon]=TEN"]),
    ("subscription", SUBSCRIPTION, {"discounts": [{"id": "di_2", "object": "discount"}]},
     [SUB + "discounts[0][discount]=di_2"]),
    ("subscription", SUBSCRIPTION, {"discounts": ["promo_1", "TEN"]},
     [SUB + "discounts[0][promotion_code]=promo_1&discounts[1][coupon]=TEN"]),
    # items
    ("subscription", SUBSCRIPTION, {"items": SUBSCRIPTION["items"]}, []),
    ("subscription", SUBSCRIPTION, {"items": [ITEM, OTHER]}, []),
    ("subscription", SUBSCRIPTION, {"items": [ITEM | {"quantity": 5}, OTHER]},
     [SUB + "items[0][id]=si_1&items[0][quantity]=5"]),
    ("subscription", SUBSCRIPTION,
     {"items": SUBSCRIPTION["items"] | {"data": [ITEM, OTHER | {"quantity": 5}]}},
     [SUB + "items[0][id]=si_2&items[0][quantity]=5"]),
    ("subscription", SUBSCRIPTION, {"items": [{"id": "si_1", "price": "price_3"}, {"id": "si_2"}]},
     [SUB + "items[0][id]=si_1&items[0][price]=price_3"]),
    ("subscription", SUBSCRIPTION, {"items": [ITEM]}, [SUB + "items[0][id]=si_2&items[0][deleted]=true"]),
    ("subscription", SUBSCRIPTION, {"items": [{"price": "price_1", "quantity": 2}, {"price": "price_2"}]},
     [SUB + "items[0][id]=si_1&items[0][quantity]=2"]),
    ("subscription", SUBSCRIPTION, {"items": [{"price": "price_3"}]},
     [SUB + "items[0][price]=price_3&items[1][id]=si_1&items[1][deleted]=true"
      "&items[2][id]=si_2&items[2][deleted]=true"]),
    ("subscription", SUBSCRIPTION, {"items": [ITEM, OTHER | {"metadata": {"b": "2"}}]},
     [SUB + "items[0][id]=si_2&items[0][metadata][b]=2&items[0][metadata][a]="]),
    ("subscription", SUBSCRIPTION, {"items": [SUBSCRIPTION["items"], {"price": "price_3"}]},
     [SUB + "items[0][price]=price_3"]),
    ("subscription", SUBSCRIPTION, {"items": [ITEM, OTHER, {"price": "price_3"}]},
     [SUB + "items[0][price]=price_3"]),
    # _params
    ("subscription", SUBSCRIPTION, {"_params": {"proration_behavior": "none"}},
     [SUB + "proration_behavior=none"]),
    ("subscription", SUBSCRIPTION, {"metadata": {"a": "1", "b": "3"}, "_params": {"metadata": {"c": "4"}}},
     [SUB + "metadata[a]=1&metadata[b]=3&metadata[c]=4"]),
    ("subscription", SUBSCRIPTION, {"_params": {"items": [{"id": "si_1", "quantity": 9}]}},
     [SUB + "items[0][id]=si_1&items[0][quantity]=9"]),
    ("subscription", SUBSCRIPTION, {"_params": {"default_tax_rates": []}}, [SUB + "default_tax_rates="]),
    # what cannot be written stays as it is
    ("subscription", SUBSCRIPTION, {"id": "sub_1", "status": "active", "_raw": SUBSCRIPTION}, []),
    ("customer", CUSTOMER, {"created": datetime(1970, 1, 1, 0, 0, 5, tzinfo=UTC), "delinquent": False}, []),
    # states
    ("invoice", INVOICE, {"status": "open"}, [INV + "/finalize"]),
    ("invoice", INVOICE, {"status": "draft"}, []),
    ("invoice", INVOICE, {"status": "open", "auto_advance": True}, [INV + "/finalize?auto_advance=true"]),
    ("invoice", INVOICE, {"status": "open", "description": "x"}, [INV + "?description=x", INV + "/finalize"]),
    ("invoice", INVOICE, {"status": "open", "description": "x", "auto_advance": True},
     [INV + "?description=x&auto_advance=true", INV + "/finalize"]),
    ("invoice", INVOICE, {"status": "sent"}, [INV + "/send"]),
    ("invoice", INVOICE | {"status": "open"}, {"status": "paid", "_params": {"paid_out_of_band": True}},
     [INV + "/pay?paid_out_of_band=true"]),
    ("invoice", INVOICE | {"status": "open"}, {"status": "void"}, [INV + "/void"]),
    ("invoice", INVOICE | {"status": "open"}, {"status": "uncollectible"}, [INV + "/mark_uncollectible"]),
    ("subscription", SUBSCRIPTION, {"status": "canceled"}, ["DELETE /v1/subscriptions/sub_1"]),
    ("subscription", SUBSCRIPTION, {"status": "canceled", "_params": {"invoice_now": True, "prorate": True}},
     ["DELETE /v1/subscriptions/sub_1?invoice_now=true&prorate=true"]),
    ("subscription", SUBSCRIPTION,
     {"status": "canceled", "description": "x", "_params": {"invoice_now": True}},
     [SUB + "description=x", "DELETE /v1/subscriptions/sub_1?invoice_now=true"]),
    ("subscription", SUBSCRIPTION, {"status": "canceled", "_params": {"description": "x"}},
     [SUB + "description=x", "DELETE /v1/subscriptions/sub_1"]),
    ("subscription", SUBSCRIPTION | {"status": "paused"}, {"status": "active"}, [SUB[:-1] + "/resume"]),
    ("subscription", SUBSCRIPTION | {"status": "trialing"}, {"status": "active"}, [SUB + "trial_end=now"]),
    ("subscription", SUBSCRIPTION | {"status": "trialing"}, {"status": "active", "description": "x"},
     [SUB + "trial_end=now&description=x"]),
    ("subscription", SUBSCRIPTION, {"billing_mode": {"type": "flexible"}},
     [SUB[:-1] + "/migrate?billing_mode[type]=flexible"]),
    ("test_helpers_test_clock", {"id": "clock_1", "frozen_time": 5}, {"frozen_time": "2026-03-01T00:00:00Z"},
     ["POST /v1/test_helpers/test_clocks/clock_1/advance?frozen_time=1772323200"]),
    ("billing_credit_grant", {"id": "credgr_1", "voided_at": None}, {"voided_at": "2026-03-01T00:00:00Z"},
     ["POST /v1/billing/credit_grants/credgr_1/void"]),
    ("webhook_endpoint", {"id": "we_1", "status": "enabled", "url": "https://a"},
     {"status": "disabled", "url": "https://b"},
     ["POST /v1/webhook_endpoints/we_1?disabled=true&url=https%3A%2F%2Fb"]),
    ("payment_intent", INTENT, {"status": "succeeded"}, [PI + "/capture"]),
    ("payment_intent", INTENT, {"status": "succeeded", "_params": {"amount_to_capture": 50}},
     [PI + "/capture?amount_to_capture=50"]),
    ("payment_intent", INTENT | {"status": "requires_confirmation"},
     {"status": "requires_capture", "capture_method": "manual"}, [PI + "/confirm?capture_method=manual"]),
    ("payment_intent", INTENT | {"status": "requires_confirmation"},
     {"status": "requires_capture", "_params": '{"capture_method": "manual"}'},
     [PI + "/confirm?capture_method=manual"]),
    ("payment_intent", INTENT | {"status": "requires_confirmation"}, {"status": "succeeded"},
     [PI + "/confirm"]),
    ("payment_intent", INTENT, {"status": "canceled", "cancellation_reason": "duplicate"},
     [PI + "/cancel?cancellation_reason=duplicate"]),
    ("payment_intent", INTENT, {"status": "canceled", "cancellation_reason": "duplicate", "description": "y"},
     [PI + "?description=y", PI + "/cancel?cancellation_reason=duplicate"]),
    ("quote", {"id": "qt_1", "status": "draft"}, {"status": "open"}, ["POST /v1/quotes/qt_1/finalize"]),
    ("quote", {"id": "qt_1", "status": "open"}, {"status": "accepted"}, ["POST /v1/quotes/qt_1/accept"]),
    ("quote", {"id": "qt_1", "status": "open"}, {"status": "canceled"}, ["POST /v1/quotes/qt_1/cancel"]),
    ("charge", {"id": "ch_1", "captured": False}, {"captured": True}, ["POST /v1/charges/ch_1/capture"]),
    ("review", {"id": "prv_1", "open": True}, {"open": False}, ["POST /v1/reviews/prv_1/approve"]),
    ("dispute", {"id": "dp_1", "status": "needs_response"}, {"status": "lost"},
     ["POST /v1/disputes/dp_1/close"]),
    ("credit_note", {"id": "cn_1", "status": "issued"}, {"status": "void"},
     ["POST /v1/credit_notes/cn_1/void"]),
    ("subscription_schedule", {"id": "sub_sched_1", "status": "active"}, {"status": "released"},
     ["POST /v1/subscription_schedules/sub_sched_1/release"]),
    ("checkout_session", {"id": "cs_1", "status": "open"}, {"status": "expired"},
     ["POST /v1/checkout/sessions/cs_1/expire"]),
    ("promotion_code", {"id": "promo_1", "active": True}, {"active": False},
     ["POST /v1/promotion_codes/promo_1?active=false"]),
    ("price", {"id": "price_1", "active": True}, {"active": False}, ["POST /v1/prices/price_1?active=false"]),
    ("payment_method", {"id": "pm_1", "customer": "cus_1"}, {"customer": None},
     ["POST /v1/payment_methods/pm_1/detach"]),
    ("payment_method", {"id": "pm_1", "customer": None}, {"customer": "cus_1"},
     ["POST /v1/payment_methods/pm_1/attach?customer=cus_1"]),
    ("payment_method", {"id": "pm_1", "customer": None, "metadata": {}},
     {"metadata": {"a": "b"}, "customer": "cus_1"},
     ["POST /v1/payment_methods/pm_1/attach?customer=cus_1", "POST /v1/payment_methods/pm_1?metadata[a]=b"]),
    ("payment_method", {"id": "pm_1", "customer": "cus_1", "metadata": {}},
     {"metadata": {"a": "b"}, "customer": None},
     ["POST /v1/payment_methods/pm_1?metadata[a]=b", "POST /v1/payment_methods/pm_1/detach"]),
    ("customer", CUSTOMER | {"discount": {"id": "di_1", "object": "discount"}}, {"discount": None},
     ["DELETE /v1/customers/cus_1/discount"]),
    # parents
    ("customer_balance_transaction", {"id": "cbtxn_1", "customer": "cus_1", "description": None},
     {"description": "x"}, ["POST /v1/customers/cus_1/balance_transactions/cbtxn_1?description=x"]),
    ("fee_refund", {"id": "fr_1", "fee": "fee_1", "metadata": {}}, {"metadata": {"a": "b"}},
     ["POST /v1/application_fees/fee_1/refunds/fr_1?metadata[a]=b"]),
    ("subscription_item", ITEM, {"quantity": 4}, ["POST /v1/subscription_items/si_1?quantity=4"]),
    ("subscription_item", ITEM, {"price": "price_1"}, []),
    # What another price starts anew
    ("subscription_item", SEATED, {"price": "price_2"},
     ["POST /v1/subscription_items/si_1?price=price_2&quantity=5"]),
    ("subscription_item", SEATED, {"price": "price_2", "quantity": 5},
     ["POST /v1/subscription_items/si_1?price=price_2&quantity=5"]),
    ("subscription_item", SEATED, {"price": "price_2", "quantity": 1},
     ["POST /v1/subscription_items/si_1?price=price_2&quantity=1"]),
    ("subscription_item", SEATED, {"price": "price_2", "quantity": None},
     ["POST /v1/subscription_items/si_1?price=price_2"]),
    ("subscription_item", SEATED, {"price": "price_2", "_params": {"quantity": 7}},
     ["POST /v1/subscription_items/si_1?price=price_2&quantity=7"]),
    ("subscription_item", ITEM, {"price": "price_2"}, ["POST /v1/subscription_items/si_1?price=price_2"]),
    ("subscription_item", ITEM | {"quantity": None}, {"price": "price_2"},
     ["POST /v1/subscription_items/si_1?price=price_2"]),
    ("subscription_item", SEATED, {"price": "price_1", "quantity": 5}, []),
    ("subscription", SEATS, {"items": SEATS["items"] | {"data": [SEATED | {"price": "price_9"}]}},
     [SUB + "items[0][id]=si_1&items[0][price]=price_9&items[0][quantity]=5"]),
    ("subscription", SEATS, {"items": [{"id": "si_1", "price": "price_9"}]},
     [SUB + "items[0][id]=si_1&items[0][price]=price_9&items[0][quantity]=5"]),
    ("subscription", SEATS, {"items": [{"id": "si_1", "price": "price_9", "quantity": 5}]},
     [SUB + "items[0][id]=si_1&items[0][price]=price_9&items[0][quantity]=5"]),
    ("subscription", SEATS, {"items": [{"id": "si_1", "price": "price_9", "quantity": None}]},
     [SUB + "items[0][id]=si_1&items[0][price]=price_9"]),
    # An empty list deletes what is there
    ("subscription", SEATS, {"items": []}, [SUB + "items[0][id]=si_1&items[0][deleted]=true"]),
    ("subscription", SEATS, {"items": None}, [SUB + "items[0][id]=si_1&items[0][deleted]=true"]),
    ("subscription", SEATS, {"items": SEATS["items"] | {"data": []}},
     [SUB + "items[0][id]=si_1&items[0][deleted]=true"]),
    ("person", {"id": "person_1", "account": "acct_1", "first_name": "A"}, {"first_name": "B"},
     ["POST /v1/accounts/acct_1/persons/person_1?first_name=B"]),
    ("coupon", {"id": "10% off/now", "name": "x"}, {"name": "y"},
     ["POST /v1/coupons/10%25%20off%2Fnow?name=y"]),
]  # fmt: skip


@pytest.mark.parametrize(("table", "old_object", "values", "expected"), UPDATES, ids=str)
def test_update(table: str, old_object: Values, values: Values, expected: list[str]) -> None:
    assert update(table, old_object, **values) == expected


UPDATE_ERRORS: list[tuple[str, Values, Values, str, str]] = [
    ("subscription", SUBSCRIPTION, {"id": "sub_2"}, "428C9", '"id" of subscription cannot be changed'),
    ("subscription", SUBSCRIPTION, {"customer": "cus_2"}, "0A000", "It can only be set in INSERT"),
    ("subscription", SUBSCRIPTION, {"_raw": {}}, "0A000", "It is read-only; set its columns"),
    ("customer", CUSTOMER, {"currency": "eur"}, "0A000", "Writable: "),
    ("customer", CUSTOMER, {"currency": "eur"}, "0A000", "HINT: Stripe sets currency."),
    ("customer", CUSTOMER, {"emails": "x"}, "0A000", "Writable: email,"),
    ("customer", CUSTOMER, {"emails": "x"}, "0A000", "_params takes any further parameter"),
    ("charge", {"id": "ch_1", "refunded": False}, {"refunded": True}, "0A000",
     "INSERT INTO stripe_live.refund (charge, amount)"),
    ("charge", {"id": "ch_1", "status": "succeeded"}, {"status": "failed"}, "0A000",
     "UPDATE stripe_live.payment_intent"),
    ("invoice", INVOICE, {"total": 5}, "0A000", "INSERT INTO stripe_live.invoiceitem"),
    ("invoice", INVOICE, {"customer": "cus_2"}, "0A000", "customer"),
    ("invoice", INVOICE, {"status": "void"}, "55000", "'void' can be reached from 'open', 'uncollectible'"),
    ("invoice", INVOICE | {"status": "paid"}, {"status": "draft"}, "55000",
     "No change from 'paid' is possible."),
    ("invoice", INVOICE | {"status": "void"}, {"status": "open"}, "55000",
     "No change from 'void' is possible."),
    ("invoice", INVOICE, {"status": "opem"}, "55000",
     "UPDATE stripe_live.invoice SET status = 'open' WHERE id = 'in_1';"),
    ("invoice", INVOICE, {"status": None}, "55000", "from 'draft' to NULL"),
    ("charge", {"id": "ch_1", "captured": True}, {"captured": False}, "55000", "from true to false"),
    ("subscription", SUBSCRIPTION, {"collection_method": None},
     "23502", '"collection_method" cannot be unset'),
    ("subscription", SUBSCRIPTION, {"cancel_at_period_end": None}, "23502", "cannot be unset"),
    ("product", {"id": "prod_1", "name": "x"}, {"name": None}, "23502", '"name" cannot be unset'),
    ("product", {"id": "prod_1", "name": "x"}, {"name": ""}, "23502", '"name" cannot be unset'),
    ("subscription", SUBSCRIPTION, {"days_until_due": None}, "23502", "cannot be unset"),
    ("subscription", SUBSCRIPTION, {"automatic_tax": None}, "23502", "Set its keys to null one by one."),
    ("subscription", SUBSCRIPTION | {"automatic_tax": {"enabled": True, "liability": {"type": "self"}}},
     {"automatic_tax": {"enabled": True}}, "23502", '"automatic_tax[liability]" cannot be unset'),
    ("customer", CUSTOMER, {"shipping": {"name": "Ada"}}, "23502", "Keep what the object has: shipping ||"),
    ("subscription", SUBSCRIPTION, {"trial_end": float("inf")}, "22008", "takes a time that comes"),
    ("subscription", SUBSCRIPTION, {"metadata": "x"}, "22023", '"metadata" takes JSON'),
    ("subscription", SUBSCRIPTION | {"items": {"object": "list", "data": [ITEM], "has_more": True}},
     {"items": [{"price": "p"}]}, "0A000", '"items" has more objects than this row contains'),
    ("subscription", SUBSCRIPTION, {"items": "[1"}, "22023", '"items" takes JSON'),
    ("event", {"id": "evt_1", "type": "x"}, {"type": "y"}, "0A000", "cannot update event"),
    ("event", {"id": "evt_1"}, {"_params": {"a": 1}}, "0A000", "cannot update event"),
    ("upcoming_invoice", {"id": "upcoming_in_1"}, {"description": "x"}, "0A000", "Stripe computes it"),
    ("subscription", SUBSCRIPTION, {"price": "price_9"}, "0A000",
     "It is a part of items: change its row in stripe_live.subscription_item."),
    ("tax_id", {"id": "txi_1", "value": "x"}, {"value": "y"}, "0A000", "DELETE it and INSERT another."),
    ("customer_balance_transaction", {"id": "cbtxn_1"}, {"description": "x"},
     "HV00L", '"customer" is not known'),
]  # fmt: skip


@pytest.mark.parametrize(("table", "old_object", "values", "sqlstate", "text"), UPDATE_ERRORS, ids=str)
def test_update_is_refused(table: str, old_object: Values, values: Values, sqlstate: str, text: str) -> None:
    with pytest.raises(StripeFdwError) as caught:
        update(table, old_object, **values)
    assert text in str(caught.value)
    assert caught.value.sqlstate == sqlstate


def test_the_writable_columns_are_listed_the_closest_first_and_not_all() -> None:
    with pytest.raises(ColumnError) as caught:
        update("account", {"id": "acct_1"}, charges_enabled=True)
    assert len((caught.value.detail or "").split(", ")) <= 21
    with pytest.raises(ColumnError) as caught:
        update("customer", CUSTOMER, individual_names="x")
    assert (caught.value.detail or "").startswith("Writable: individual_name, ")


def test_an_object_that_was_not_read_is_changed_without_comparing() -> None:
    customer = load().resource["customer"]
    plan = plan_update(customer, {"id": "cus_1"}, {"email": "x", "name": "y"})
    assert requests(plan) == [CUS + "email=x&name=y"]
    assert plan.current is None
    assert not needs_current_object(customer, {"email": "x", "_params": {}, "_idempotency_key": "k"})


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("customer", "metadata"),
        ("customer", "id"),
        ("customer", "discount"),
        ("invoice", "status"),
        ("event", "type"),
        ("subscription_item", "price"),
    ],
)
def test_changes_of_objects_states_and_read_only_columns_need_the_current_object(
    table: str, column: str
) -> None:
    assert needs_current_object(load().resource[table], {column: "x"})


def test_the_object_may_come_as_its_text() -> None:
    old = {"id": "cus_1", "_raw": '{"id": "cus_1", "email": "a", "metadata": {"a": "1"}}'}
    plan = plan_update(load().resource["customer"], old, {"email": "a", "metadata": {}})
    assert requests(plan) == [CUS + "metadata="]
    assert plan.current == {"id": "cus_1", "email": "a", "metadata": {"a": "1"}}


def test_a_table_without_the_column_id_has_it_in_the_object() -> None:
    old = {"_raw": {"id": "cus_1", "email": "a"}}
    assert requests(plan_update(load().resource["customer"], old, {"email": "b"})) == [CUS + "email=b"]
    assert requests(plan_delete(load().resource["customer"], old)) == ["DELETE /v1/customers/cus_1"]
    with pytest.raises(ColumnError, match="without an id"):
        plan_delete(load().resource["customer"], {"id": None})


# -- DELETE ------------------------------------------------------------------------------------------------

DELETIONS = [
    ("customer", {"id": "cus_1"}, "/v1/customers/cus_1"),
    ("subscription", {"id": "sub_1"}, "/v1/subscriptions/sub_1"),
    ("invoice", {"id": "in_1"}, "/v1/invoices/in_1"),
    ("coupon", {"id": "a/b"}, "/v1/coupons/a%2Fb"),
    ("external_account", {"id": "ba_1", "account": "acct_1"}, "/v1/accounts/acct_1/external_accounts/ba_1"),
    ("customer_tax_id", {"id": "txi_1", "customer": "cus_1"}, "/v1/customers/cus_1/tax_ids/txi_1"),
]


@pytest.mark.parametrize(("table", "old", "path"), DELETIONS, ids=str)
def test_delete(table: str, old: Values, path: str) -> None:
    assert requests(plan_delete(load().resource[table], old)) == [f"DELETE {path}"]


@pytest.mark.parametrize("status", ["canceled", "incomplete_expired"])
def test_deleting_an_ended_subscription_needs_no_request(status: str) -> None:
    old = {"id": "sub_1", "_raw": SUBSCRIPTION | {"status": status}}
    assert requests(plan_delete(load().resource["subscription"], old)) == []


NOT_DELETED = [
    ("price", "UPDATE stripe_live.price SET active = false WHERE id = 'x_1';"),
    ("payment_intent", "UPDATE stripe_live.payment_intent SET status = 'canceled' WHERE id = 'x_1';"),
    ("checkout_session", "SET status = 'expired'"),
    ("payment_method", "UPDATE stripe_live.payment_method SET customer = NULL WHERE id = 'x_1';"),
    ("credit_note", "SET status = 'void'"),
    ("charge", "INSERT INTO stripe_live.refund (charge) VALUES ('x_1');"),
    ("promotion_code", "SET active = false"),
    ("event", "stripe_live.call"),
]


@pytest.mark.parametrize(
    ("table", "status", "word"),
    [("quote", "open", "canceled"), ("quote", "canceled", ""), ("refund", "succeeded", "")],
)
def test_the_hint_is_an_end_that_can_be_reached(table: str, status: str, word: str) -> None:
    with pytest.raises(StripeFdwError) as caught:
        plan_delete(load().resource[table], {"id": "x_1", "_raw": {"id": "x_1", "status": status}})
    assert (caught.value.hint or "").startswith("UPDATE") == bool(word)
    assert word in (caught.value.hint or "")


@pytest.mark.parametrize(("table", "hint"), NOT_DELETED)
def test_a_refused_delete_hints_at_what_can_be_done(table: str, hint: str) -> None:
    with pytest.raises(StripeFdwError, match=f"cannot delete {table} x_1") as caught:
        plan_delete(load().resource[table], {"id": "x_1"}, LIVE)
    assert hint in (caught.value.hint or "")
    assert caught.value.sqlstate == "0A000"


def test_a_plan_prints_as_its_requests() -> None:
    invoice = load().resource["invoice"]
    old = {"id": "in_1", "_raw": {"id": "in_1", "status": "draft", "description": None}}
    plan = plan_update(invoice, old, {"description": "May", "status": "open"})
    assert str(plan) == "POST /v1/invoices/in_1?description=May; POST /v1/invoices/in_1/finalize"
    assert (plan.target, plan.invalidates) == ("in_1", "invoice")
    assert str(plan_update(invoice, old, {"description": None})) == "no request"


@pytest.mark.parametrize("table", ["customer", "product"])
def test_an_empty_id_is_not_given(table):
    assert insert(table, id="", name="Ada") == insert(table, name="Ada")
    assert insert(table, id=None, name="Ada") == insert(table, name="Ada")
