"""Which events tell of which table, and how copies of a table stay fresh."""

from __future__ import annotations

from stripe_fdw.catalog.model import Freshness

# Event names that do not begin with the name of the object they carry: beginning → table.
EVENT_TABLES = {
    "account.external_account": "external_account",
    "application_fee.refund": "fee_refund",
    "charge.dispute": "dispute",
    "charge.refund": "refund",
    "customer.source": "customer_source",
    "customer.subscription": "subscription",
    "customer.tax_id": "customer_tax_id",
    "sigma.scheduled_query_run": "scheduled_query_run",
}

# Events that tell of no row: beginning → why.
EVENTS_WITHOUT_TABLE = {
    "account.application": "carries the application, which has no list",
    "balance": "one object an account, no list",
    "balance_settings": "one object an account, no list",
    "billing_portal.session": "sessions of the portal have no list",
    "cash_balance": "one object a customer, no list",
    "customer.discount": "carries the discount, which has no list; the customer's own event comes, too",
    "entitlements.active_entitlement_summary": "carries a summary, not the rows",
    "financial_connections.authorization": "authorizations have no list",
    "invoice.upcoming": "carries a preview, which has no id",
    "mandate": "mandates have no list",
    "reserve": "reserves have no list",
    "source": "sources have no list of their own; a customer's come with customer.source",
    "tax.settings": "one object an account, no list",
}

# Tables of which the events do not tell the whole truth, or of which none are needed: table → (how, why).
FRESHNESS: dict[str, tuple[Freshness, str]] = {
    "event": (Freshness.APPEND, "an event never changes but for its count of pending webhooks"),
    "file": (Freshness.APPEND, "files never change"),
    "customer_balance_transaction": (Freshness.APPEND, "only its description and metadata can change"),
    "balance_transaction": (Freshness.RESCAN, "turns from pending to available without an event"),
    "tax_transaction_line_item": (Freshness.APPEND, "a committed tax transaction never changes"),
    "account": (Freshness.RESCAN, "its changes are told, its creation and deletion are not"),
    "billing_alert": (Freshness.RESCAN, "told only when it is triggered"),
    "capability": (Freshness.RESCAN, "its changes are told, its request is not"),
    "checkout_session": (Freshness.RESCAN, "its end is told, its creation is not"),
    "invoice_payment": (Freshness.RESCAN, "told only when it is paid"),
    "issuing_personalization_design": (Freshness.RESCAN, "its changes are told, its creation is not"),
    "reporting_report_run": (Freshness.RESCAN, "its end is told, its start is not"),
    "terminal_reader": (Freshness.RESCAN, "only its actions are told"),
    "three_d_secure_authentication": (Freshness.RESCAN, "its steps are told, its creation is not"),
    "invoiceitem": (Freshness.RESCAN, "its creation and deletion are told, its changes are not"),
    "climate_product": (Freshness.RESCAN, "only new products and prices are told"),
    "reporting_report_type": (Freshness.RESCAN, "short, and told only when new data arrive"),
    "product_feature": (Freshness.RESCAN, "neither its creation nor its removal is told"),
}

# Rows that lie inside an object and change with it: table → the table whose events tell of them.
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

# What is noted of tables that Stripe tells of, but not when one of its rows is only updated.
SILENT_UPDATES = "No event tells of a plain update: copies see it at the next refresh or event."

# Objects that never change once they are: their `.created` event tells all there is to tell.
IMMUTABLE = {
    "billing_credit_balance_transaction",
    "customer_cash_balance_transaction",
    "scheduled_query_run",  # the event is sent when the run is finished
}
