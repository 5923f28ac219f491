"""Tables of the events that Stripe sends, and how copies of a table are kept up to date."""

from __future__ import annotations

from stripe_fdw.catalog.model import Freshness

# Events whose type does not begin with the name of the object they contain: prefix → table.
EVENT_TABLES = {
    "account.external_account": "external_account",
    "application_fee.refund": "fee_refund",
    "charge.dispute": "dispute",
    "charge.refund": "refund",
    "customer.discount": "discount",
    "customer.source": "customer_source",
    "customer.subscription": "subscription",
    "customer.tax_id": "customer_tax_id",
    "sigma.scheduled_query_run": "scheduled_query_run",
    "source.mandate_notification": "source_mandate_notification",
}

# Events about objects that are in no table: prefix → reason.
EVENTS_WITHOUT_TABLE = {
    "account.application": "contains the application, which has no list",
    "billing_portal.session": "sessions of the portal have no list",
    "financial_connections.authorization": "authorizations have no list",
    "invoice.upcoming": "contains a preview, which has no id",
    "reserve": "reserves have no list",
}

# Tables whose events leave out changes, or that need no events: table → (freshness, reason).
FRESHNESS: dict[str, tuple[Freshness, str]] = {
    "event": (Freshness.APPEND, "an event never changes but for its count of pending webhooks"),
    "file": (Freshness.APPEND, "files never change"),
    "customer_balance_transaction": (Freshness.APPEND, "only its description and metadata can change"),
    "balance_transaction": (Freshness.RESCAN, "turns from pending to available without an event"),
    "tax_transaction_line_item": (Freshness.APPEND, "a committed tax transaction never changes"),
    "account": (Freshness.RESCAN, "events report its changes, but not its creation and deletion"),
    "billing_alert": (Freshness.RESCAN, "the only event is sent when it is triggered"),
    "capability": (Freshness.RESCAN, "events report its changes, but not its request"),
    "checkout_session": (Freshness.RESCAN, "events report its end, but not its creation"),
    "invoice_payment": (Freshness.RESCAN, "the only event is sent when it is paid"),
    "issuing_personalization_design": (Freshness.RESCAN, "events report its changes, but not its creation"),
    "reporting_report_run": (Freshness.RESCAN, "events report its end, but not its start"),
    "terminal_reader": (Freshness.RESCAN, "events report only its actions"),
    "three_d_secure_authentication": (Freshness.RESCAN, "events report its steps, but not its creation"),
    "invoiceitem": (Freshness.RESCAN, "events report its creation and deletion, but not its changes"),
    "climate_product": (Freshness.RESCAN, "events report only new products and prices"),
    "reporting_report_type": (Freshness.RESCAN, "short, and the only event is sent when new data arrive"),
    "product_feature": (Freshness.RESCAN, "no event reports its creation or its removal"),
}

# Objects with a limited retention: table -> days for which they are listed.
LISTED_DAYS = {
    "event": 30,  # https://docs.stripe.com/api/events
}

# Rows that are part of an object and change with it: table → the table whose events report them.
EVENTS_OF = {
    "checkout_session_line_item": "checkout_session",
    "credit_note_line_item": "credit_note",
    "fee_refund": "application_fee",
    "line_item": "invoice",
    "payment_intent_amount_details_line_item": "payment_intent",
    "payment_link_line_item": "payment_link",
    "quote_computed_upfront_line_item": "quote",
    "quote_line_item": "quote",
    "subscription_item": "subscription",
    "transfer_reversal": "transfer",
}

# The note of tables that have events, but none for a plain update.
NO_UPDATE_EVENT = "No event reports a plain update: copies see it at the next refresh or event."

# Objects that never change: their `.created` event reports everything.
IMMUTABLE = {
    "billing_credit_balance_transaction",
    "customer_cash_balance_transaction",
    "scheduled_query_run",  # the event is sent when the run is finished
}
