"""Billing: invoices, subscriptions, quotes, credit notes, metering, the customer portal."""
