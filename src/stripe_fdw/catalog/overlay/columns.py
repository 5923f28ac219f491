"""Columns, references and times that the SDK's types do not show."""

from __future__ import annotations

from stripe_fdw.catalog.model import Column, Kind

# Columns for values that are nested deeper in the object: table → columns.
_PRICING = ("pricing", "price_details")
# What is sold, where the object holds its price as a whole.
_PRODUCT_OF_PRICE = Column("product", Kind.REFERENCE, ("price", "product"), references=("product",))
DERIVED_COLUMNS: dict[str, tuple[Column, ...]] = {
    # Most queries on a customer's payments start with it.
    "customer": (
        Column(
            "default_payment_method",
            Kind.REFERENCE,
            ("invoice_settings", "default_payment_method"),
            references=("payment_method",),
        ),
    ),
    "subscription_item": (_PRODUCT_OF_PRICE,),
    "checkout_session_line_item": (_PRODUCT_OF_PRICE,),
    "payment_link_line_item": (_PRODUCT_OF_PRICE,),
    "quote_line_item": (_PRODUCT_OF_PRICE,),
    "quote_computed_upfront_line_item": (_PRODUCT_OF_PRICE,),
    # Since 2025-03-31.basil under `parent`.
    "invoice": (
        Column("quote", Kind.REFERENCE, ("parent", "quote_details", "quote"), references=("quote",)),
    ),
    # Since 2025-03-31.basil under `parent` and `pricing`.
    "line_item": (
        Column("price", Kind.REFERENCE, (*_PRICING, "price"), references=("price",)),
        Column("product", Kind.REFERENCE, (*_PRICING, "product"), references=("product",)),
        Column(
            "subscription_item",
            Kind.REFERENCE,
            ("parent", "subscription_item_details", "subscription_item"),
            references=("subscription_item",),
        ),
    ),
    "invoiceitem": (
        Column("price", Kind.REFERENCE, (*_PRICING, "price"), references=("price",)),
        Column("product", Kind.REFERENCE, (*_PRICING, "product"), references=("product",)),
        Column(
            "subscription",
            Kind.REFERENCE,
            ("parent", "subscription_details", "subscription"),
            references=("subscription",),
        ),
        Column(
            "subscription_item",
            Kind.REFERENCE,
            ("parent", "subscription_details", "subscription_item"),
            references=("subscription_item",),
        ),
    ),
    # The SDK has these fields in a class for each type of event.
    "v2_core_event": (
        Column("data", Kind.JSON, ("data",)),
        Column("related_object", Kind.JSON, ("related_object",)),
    ),
}

# Text fields that hold the id of an object of another name: (table, column) → table.
REFERENCES: dict[tuple[str, str], str] = {
    ("apps_install", "created_by"): "account",
    ("billing_meter_event_summary", "meter"): "billing_meter",
    ("checkout_session", "recovered_from"): "checkout_session",
    ("financial_connections_transaction", "account"): "financial_connections_account",  # not Connect's
    ("identity_verification_report", "verification_session"): "identity_verification_session",
    ("identity_verification_session", "related_customer"): "customer",
    ("issuing_card", "financial_account"): "treasury_financial_account",
    ("payment_record", "latest_payment_attempt_record"): "payment_attempt_record",
    ("radar_value_list_item", "value_list"): "radar_value_list",
    ("reporting_report_run", "report_type"): "reporting_report_type",
    ("subscription_schedule", "released_subscription"): "subscription",
    ("tax_association", "calculation"): "tax_calculation",
    ("tax_association", "payment_intent"): "payment_intent",
    ("terminal_location", "configuration_overrides"): "terminal_configuration",
    ("treasury_credit_reversal", "financial_account"): "treasury_financial_account",
    ("treasury_debit_reversal", "financial_account"): "treasury_financial_account",
    ("treasury_inbound_transfer", "financial_account"): "treasury_financial_account",
    ("treasury_outbound_payment", "financial_account"): "treasury_financial_account",
    ("treasury_outbound_transfer", "financial_account"): "treasury_financial_account",
    ("treasury_received_credit", "financial_account"): "treasury_financial_account",
    ("treasury_received_debit", "financial_account"): "treasury_financial_account",
    ("treasury_transaction", "financial_account"): "treasury_financial_account",
    ("treasury_transaction_entry", "financial_account"): "treasury_financial_account",
    ("v2_core_account_person", "account"): "v2_core_account",
    ("v2_money_management_adjustment", "financial_account"): "v2_money_management_financial_account",
    ("v2_money_management_financial_address", "financial_account"): "v2_money_management_financial_account",
    ("v2_money_management_outbound_payment", "payout_intent"): "v2_money_management_payout_intent",
    ("v2_money_management_payout_method", "latest_outbound_setup_intent"): (
        "v2_money_management_outbound_setup_intent"
    ),
    ("v2_money_management_received_credit", "financial_account"): "v2_money_management_financial_account",
    ("v2_money_management_transaction", "financial_account"): "v2_money_management_financial_account",
    ("v2_money_management_transaction_entry", "transaction"): "v2_money_management_transaction",
}

# Objects that have an id, but are in no table of that id, so that their columns are jsonb: table → fields.
WHOLE_OBJECTS: dict[str, frozenset[str]] = {
    "token": frozenset({"bank_account", "card"}),  # what the token stands for, before it is used
}

# Integers whose name or description suggests a time wrongly: (table, column) → reason.
NOT_TIMES: dict[tuple[str, str], str] = {}

# Integers in nested parameters whose names suggest another kind: name → kind.
NESTED_KINDS = {
    "divide_by": Kind.INTEGER,  # how many units are sold as one
    "monthly_anchor": Kind.INTEGER,  # a day of the month
    "start": Kind.TIME,  # of a period, as is its end
    "end": Kind.TIME,
    "timestamp": Kind.TIME,
}

# Fields of objects that the SDK's class of the object does not have.
UNDECLARED: frozenset[tuple[str, str]] = frozenset(
    {("v2_core_event", "data"), ("v2_core_event", "related_object")}
)
