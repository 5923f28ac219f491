"""Spot checks of well-known tables against Stripe's documentation."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stripe_fdw.catalog import Column, Filter, Freshness, Kind, Parameter, load

TABLES = load().resource


def column(path: str) -> Column:
    table, name = path.split(".")
    return TABLES[table].column[name]


def pushed(path: str) -> Filter:
    table, name = path.split(".")
    return TABLES[table].filter[name]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("customer.id", Kind.TEXT),
        ("customer.created", Kind.TIME),
        ("customer.balance", Kind.INTEGER),
        ("customer.address", Kind.JSON),
        ("customer.metadata", Kind.JSON),
        ("customer.livemode", Kind.BOOLEAN),
        ("subscription.cancel_at_period_end", Kind.BOOLEAN),
        ("subscription.trial_end", Kind.TIME),
        ("subscription.billing_cycle_anchor", Kind.TIME),
        ("subscription.items", Kind.JSON),
        ("subscription.application_fee_percent", Kind.FLOAT),
        ("subscription_item.price", Kind.REFERENCE),
        ("subscription_item.current_period_end", Kind.TIME),
        ("price.unit_amount", Kind.INTEGER),
        ("price.unit_amount_decimal", Kind.DECIMAL),
        ("invoice.next_payment_attempt", Kind.TIME),
        ("invoice.amount_due", Kind.INTEGER),
        ("charge.customer", Kind.REFERENCE),
        ("charge.payment_method_details", Kind.JSON),
        ("payment_intent.latest_charge", Kind.REFERENCE),
        ("coupon.redeem_by", Kind.TIME),
        ("coupon.percent_off", Kind.FLOAT),
        ("balance_transaction.available_on", Kind.TIME),
        ("issuing_authorization.card", Kind.REFERENCE),
        ("account.individual", Kind.JSON),  # written as an object, so it is read as one
    ],
)
def test_columns_have_the_kind_that_the_api_gives_them(path: str, kind: Kind) -> None:
    assert column(path).kind is kind


@pytest.mark.parametrize(
    ("path", "tables"),
    [
        ("subscription.customer", ("customer",)),
        ("subscription.latest_invoice", ("invoice",)),
        ("subscription_item.subscription", ("subscription",)),
        ("subscription_item.price", ("price",)),
        ("invoice.subscription", ("subscription",)),
        ("line_item.invoice", ("invoice",)),
        ("line_item.price", ("price",)),
        ("invoice_payment.payment_intent", ("payment_intent",)),
        ("charge.payment_intent", ("payment_intent",)),
        ("price.product", ("product",)),
        ("promotion_code.coupon", ("coupon",)),
        ("fee_refund.fee", ("application_fee",)),
        ("transfer_reversal.transfer", ("transfer",)),
        ("financial_connections_transaction.account", ("financial_connections_account",)),
        ("person.account", ("account",)),
    ],
)
def test_references_name_the_table_to_join(path: str, tables: tuple[str, ...]) -> None:
    assert column(path).kind is Kind.REFERENCE
    assert column(path).references == tables


@pytest.mark.parametrize(
    ("path", "where"),
    [
        ("subscription.price", ("items", "data", "price", "id")),
        ("subscription.plan", ("items", "data", "plan", "id")),
        ("invoice.subscription", ("parent", "subscription_details", "subscription")),
        ("price.recurring_interval", ("recurring", "interval")),
        ("checkout_session.customer_details_email", ("customer_details", "email")),
        ("invoiceitem.created", ("date",)),
        ("balance_transaction.payout", ()),
        ("checkout_session_line_item.session", ()),
    ],
)
def test_columns_without_a_field_say_where_their_value_is(path: str, where: tuple[str, ...]) -> None:
    assert column(path).path == where


@pytest.mark.parametrize(
    ("path", "table"),
    [
        ("subscription.items", "subscription_item"),
        ("invoice.lines", "line_item"),
        ("charge.refunds", "refund"),
        ("customer.tax_ids", "customer_tax_id"),
        ("quote.line_items", "quote_line_item"),
        ("upcoming_invoice.lines", ""),
        ("subscription.discounts", ""),
    ],
)
def test_embedded_lists_name_the_table_that_has_all_of_them(path: str, table: str) -> None:
    assert column(path).full_list_table == table


def test_a_subscription_is_as_over_as_its_first_item() -> None:
    assert column("subscription.current_period_end").aggregate == "min"
    assert column("subscription.current_period_start").aggregate == "max"


def test_canceled_subscriptions_are_listed() -> None:
    assert TABLES["subscription"].defaults == (("status", "all"),)
    assert pushed("subscription.status").values == column("subscription.status").values
    assert "ended" not in pushed("subscription.status").values


def test_inactive_prices_are_listed_beside_the_active_ones() -> None:
    assert TABLES["price"].defaults == (("active", "true"),)
    assert TABLES["price"].further_lists == ((("active", "false"),),)
    assert TABLES["payment_method"].further_lists == ((("type", "custom"),),)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("subscription.customer", Filter("customer", "customer", reveals=True)),
        ("customer.created", Filter("created", "created", range=True)),
        ("customer.email", Filter("email", "email")),
        ("issuing_cardholder.email", Filter("email", "email", exact=False)),
        ("price.currency", Filter("currency", "currency", exact=False)),
        ("promotion_code.code", Filter("code", "code", exact=False)),
        ("price.lookup_key", Filter("lookup_keys", "lookup_key", equal=False, any_of=True, max_values=10)),
        ("event.type", Filter("types", "type", equal=False, any_of=True, max_values=20)),
        ("subscription_item.subscription", Filter("subscription", "subscription", required=True)),
        (
            "tax_id.owner_customer",
            Filter("owner[customer]", "owner_customer", extra_parameters=(("owner[type]", "customer"),)),
        ),
        (
            "price.recurring_usage_type",
            Filter("recurring[usage_type]", "recurring_usage_type", values=("licensed", "metered")),
        ),
        ("payout.status", Filter("status", "status", values=("pending", "paid", "failed", "canceled"))),
        ("topup.amount", Filter("amount", "amount", range=True)),
    ],
)
def test_filters_are_sent_as_the_list_takes_them(path: str, expected: Filter) -> None:
    assert pushed(path) == expected


@pytest.mark.parametrize("path", ["charge.transfer_group", "balance_transaction.source", "product.id"])
def test_filters_that_could_lose_rows_are_not_used(path: str) -> None:
    table, name = path.split(".")
    assert name in TABLES[table].column
    assert name not in TABLES[table].filter


def test_operations_are_found_by_what_they_do() -> None:
    subscription = TABLES["subscription"]
    assert subscription.delete is not None
    assert subscription.delete.name == "cancel"
    assert subscription.search_path == "/v1/subscriptions/search"
    customer = TABLES["customer"]
    assert customer.create is not None
    assert customer.update is not None
    email = next(item for item in customer.update.parameters if item.name == "email")
    assert (email.kind, email.required) == (Kind.TEXT, False)
    price = TABLES["price"].create
    assert price is not None
    assert [item.name for item in price.parameters if item.required] == ["currency"]
    assert TABLES["price"].delete is None


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("customer", Parameter("address", Kind.JSON, unsettable=True, replaced_whole=True)),
        ("customer", Parameter("email", Kind.TEXT)),
        ("customer", Parameter("metadata", Kind.JSON, unsettable=True)),
        ("subscription", Parameter("trial_end", Kind.TIME, values=("now",))),
        ("subscription", Parameter("description", Kind.TEXT, unsettable=True)),
        ("subscription", Parameter("application_fee_percent", Kind.FLOAT, unsettable=True)),
        ("subscription", Parameter("items", Kind.JSON, is_list=True)),
        ("invoiceitem", Parameter("unit_amount_decimal", Kind.DECIMAL)),
    ],
)
def test_parameters_take_what_the_sdk_says(table: str, expected: Parameter) -> None:
    update = TABLES[table].update
    assert update is not None
    assert expected in [replace(item, shape="") for item in update.parameters]


def test_a_parameter_of_another_form_than_its_column_is_not_written_through_it() -> None:
    subscription = TABLES["subscription"]
    assert subscription.create is not None
    assert subscription.update is not None
    anchor = subscription.column["billing_cycle_anchor"]
    takes = [
        item.accepts(anchor)
        for operation in (subscription.create, subscription.update)
        for item in operation.parameters
        if item.name == anchor.name
    ]
    assert takes == [True, False]


def test_states_are_reached_by_operations() -> None:
    states = {(item.column, item.value): item.operation.path for item in TABLES["invoice"].transitions}
    assert states == {
        ("status", "open"): "/v1/invoices/{invoice}/finalize",
        ("status", "paid"): "/v1/invoices/{invoice}/pay",
        ("status", "uncollectible"): "/v1/invoices/{invoice}/mark_uncollectible",
        ("status", "void"): "/v1/invoices/{invoice}/void",
        ("status", "sent"): "/v1/invoices/{invoice}/send",
    }


@pytest.mark.parametrize(
    ("table", "path", "parent"),
    [
        ("line_item", "/v1/invoices/{invoice}/lines", "invoice"),
        ("credit_note_line_item", "/v1/credit_notes/{credit_note}/lines", "credit_note"),
        ("quote_line_item", "/v1/quotes/{quote}/line_items", "quote"),
        ("customer_tax_id", "/v1/customers/{customer}/tax_ids", "customer"),
        ("customer_source", "/v1/customers/{customer}/sources", "customer"),
        ("external_account", "/v1/accounts/{account}/external_accounts", "account"),
        ("fee_refund", "/v1/application_fees/{id}/refunds", "application_fee"),
        ("tax_transaction_line_item", "/v1/tax/transactions/{transaction}/line_items", ""),
    ],
)
def test_lists_inside_objects_are_tables_with_a_parent(table: str, path: str, parent: str) -> None:
    assert TABLES[table].list_path == path
    assert [item.resource for item in TABLES[table].parents] == [parent]


@pytest.mark.parametrize(
    ("table", "fresh"),
    [
        ("customer", Freshness.EVENTS),
        ("line_item", Freshness.EVENTS),
        ("event", Freshness.APPEND),
        ("balance_transaction", Freshness.RESCAN),
        ("invoiceitem", Freshness.RESCAN),
        ("tax_code", Freshness.RESCAN),
    ],
)
def test_freshness_is_what_stripe_tells(table: str, fresh: Freshness) -> None:
    assert TABLES[table].freshness is fresh


def test_events_find_their_table_also_under_other_names() -> None:
    assert "customer.subscription.updated" in TABLES["subscription"].events
    assert "charge.dispute.created" in TABLES["dispute"].events
    assert "issuing_card.updated" in TABLES["issuing_card"].events
    assert "invoice.upcoming" not in TABLES["invoice"].events


def test_the_upcoming_invoice_is_an_invoice_that_is_asked_for() -> None:
    upcoming = TABLES["upcoming_invoice"]
    assert upcoming.preview
    assert upcoming.list_path == "/v1/invoices/create_preview"
    assert upcoming.one_of == ("customer", "customer_account", "subscription", "schedule")
    assert set(TABLES["invoice"].column) < set(upcoming.column)


def test_areas_are_the_products() -> None:
    assert {"billing", "payments", "connect", "issuing", "treasury", "tax", "core"} <= set(load().areas)
    assert TABLES["subscription"].area == "billing"
    assert TABLES["checkout_session"].area == "checkout"
    assert TABLES["customer"].area == "core"
