"""Columns whose values Stripe sends only where a request expands them, of which the SDK does not say so.

Stripe's API reference marks these fields as expandable, and its specification does not require them in a
response. https://docs.stripe.com/api/expanding_objects
"""

from __future__ import annotations

# (table, column) → what to expand.
EXPANSIONS: dict[tuple[str, str], str] = {
    # Recorded: a coupon or a price that was created with these came back without them.
    ("coupon", "applies_to"): "applies_to",
    ("coupon", "currency_options"): "currency_options",
    ("price", "currency_options"): "currency_options",
    ("price", "tiers"): "tiers",
    ("plan", "tiers"): "tiers",  # the same objects in the older API
    # Recorded: customers come without any of these. Left out by default since API version 2020-08-27.
    ("customer", "cash_balance"): "cash_balance",
    ("customer", "invoice_credit_balance"): "invoice_credit_balance",
    ("customer", "sources"): "sources",
    ("customer", "subscriptions"): "subscriptions",
    ("customer", "tax"): "tax",
    ("customer", "tax_ids"): "tax_ids",
    ("charge", "refunds"): "refunds",  # left out by default since API version 2022-11-15
    # Since 2025-03-31.basil, in place of an invoice's payment intent.
    ("invoice", "confirmation_secret"): "confirmation_secret",
    # Of the amounts in a shipping rate, those in other currencies have to be expanded inside the object.
    ("shipping_rate", "fixed_amount"): "fixed_amount.currency_options",
    # https://docs.stripe.com/stripe-apps/store-secrets: a list shows names; the payload has to be asked for.
    ("apps_secret", "payload"): "payload",
    # https://docs.stripe.com/identity/access-verification-results
    ("identity_verification_session", "verified_outputs"): "verified_outputs",
    # https://docs.stripe.com/issuing/purchases/transactions: what the merchant reports about the purchase.
    ("issuing_transaction", "purchase_details"): "purchase_details",
    # https://docs.stripe.com/issuing/controls/token-management
    ("issuing_token", "network_data"): "network_data",
    ("tax_calculation", "line_items"): "line_items",
    ("tax_transaction", "line_items"): "line_items",
    # https://docs.stripe.com/tax/custom: line_items.data.tax_breakdown
    ("tax_calculation_line_item", "tax_breakdown"): "tax_breakdown",
    # https://docs.stripe.com/treasury/moving-money: what moved the money, and what the account may do.
    ("treasury_financial_account", "features"): "features",
    ("treasury_transaction", "flow_details"): "flow_details",
    ("treasury_transaction_entry", "flow_details"): "flow_details",
    # Version 2 of the API calls it include, and its SDK lists the values: some fields take several.
    ("v2_core_account", "configuration"): (
        "configuration.customer,configuration.merchant,configuration.recipient"
    ),
    ("v2_core_account", "defaults"): "defaults",
    ("v2_core_account", "future_requirements"): "future_requirements",
    ("v2_core_account", "identity"): "identity",
    ("v2_core_account", "requirements"): "requirements",
    ("v2_core_event_destination", "webhook_endpoint"): "webhook_endpoint.url",
    ("v2_money_management_financial_account", "storage"): "storage.deposit_insurance_eligibility",
}

# Expansions that no list accepts, though their fields do not say so: the lists have no parameter include.
ONLY_BY_ID: frozenset[str] = frozenset({"v2_core_account"})

# Card data, secrets of apps and what identity documents say: only a statement that names them asks for them.
SECRETS: frozenset[tuple[str, str]] = frozenset(
    {
        ("apps_secret", "payload"),
        ("identity_verification_session", "verified_outputs"),
        ("issuing_card", "cvc"),
        ("issuing_card", "number"),
    }
)
