"""List parameters that the SDK's types describe incompletely, and the fields of the search API."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FilterNote:
    """Differences of a list's parameter from a plain "the field equals this value"."""

    left_out: str = ""  # the reason why it is no filter
    column: str = ""  # the column it selects on, if of another name
    path: tuple[str, ...] | None = None  # the keys that lead to the value in the object
    aggregate: str = ""
    references: tuple[str, ...] = ()
    values: tuple[str, ...] = ()  # the only values that it accepts
    not_values: tuple[str, ...] = ()  # literals that are no values of the column
    exact: bool | None = None  # None: exact, unless NEVER_EXACT has it
    defaulted: bool = False  # required, but LIST_DEFAULTS has a value for it
    extra_parameters: tuple[tuple[str, str], ...] = ()
    required: bool = False  # though the SDK says otherwise
    substitute: str = ""  # where it is required: a column whose filter may stand for it
    reveals: bool = False  # without it, the list hides some of the objects that it shows with it
    max_values: int = 0


# Parameters of any list that order it and select nothing.
ANY_FILTER_LEFT_OUT = {"order_by": "orders rows"}

# Filters of any list that Stripe may compare leniently (letter case, several currencies of one price): the
# response holds the rows that the qual selects, and maybe more.
NEVER_EXACT = {"currency", "email", "url", "domain_name", "phone_number"}

FILTERS: dict[tuple[str, str], FilterNote] = {
    ("customer", "email"): FilterNote(exact=True),  # documented as case-sensitive, on this field
    # Objects on a test clock are listed only with the clock or their customer.
    ("customer", "test_clock"): FilterNote(reveals=True),
    ("quote", "customer"): FilterNote(reveals=True),
    ("quote", "test_clock"): FilterNote(reveals=True),
    ("subscription", "customer"): FilterNote(reveals=True),
    ("subscription", "test_clock"): FilterNote(reveals=True),
    ("subscription_schedule", "customer"): FilterNote(reveals=True),
    # Payment methods that are attached are listed only with their customer.
    ("payment_method", "customer"): FilterNote(required=True, substitute="customer_account"),
    # The summary is that of all metered prices, by LIST_DEFAULTS: the others are parts of it.
    ("billing_credit_balance_summary", "customer"): FilterNote(required=True, substitute="customer_account"),
    ("billing_credit_balance_summary", "filter[applicability_scope][price_type]"): FilterNote(
        left_out="has one value"
    ),
    ("billing_credit_balance_summary", "filter[applicability_scope][prices]"): FilterNote(
        left_out="the credit for some prices"
    ),
    ("billing_credit_balance_summary", "filter[credit_grant]"): FilterNote(left_out="one grant"),
    ("billing_credit_balance_summary", "filter[type]"): FilterNote(left_out="which of these is sent"),
    ("subscription", "status"): FilterNote(not_values=("all", "ended")),  # `all`, and `ended` of two states
    ("tax_registration", "status"): FilterNote(not_values=("all",)),
    # Since 2025-03-31.basil a subscription's period stands on its items; the filters' docs say which counts.
    ("subscription", "current_period_end"): FilterNote(
        path=("items", "data", "current_period_end"), aggregate="min"
    ),
    ("subscription", "current_period_start"): FilterNote(
        path=("items", "data", "current_period_start"), aggregate="max"
    ),
    ("subscription", "price"): FilterNote(path=("items", "data", "price", "id"), references=("price",)),
    ("subscription", "plan"): FilterNote(path=("items", "data", "plan", "id"), references=("plan",)),
    # Since 2025-03-31.basil under `parent`.
    ("invoice", "subscription"): FilterNote(
        path=("parent", "subscription_details", "subscription"), references=("subscription",)
    ),
    # Invoice items call their creation `date`.
    ("invoiceitem", "created"): FilterNote(path=("date",)),
    # Since 2025-09-30.clover under `promotion`.
    ("promotion_code", "coupon"): FilterNote(path=("promotion", "coupon"), references=("coupon",)),
    ("promotion_code", "code"): FilterNote(exact=False),  # documented as case-insensitive
    ("invoice_payment", "payment[payment_intent]"): FilterNote(
        column="payment_intent", path=("payment", "payment_intent"), references=("payment_intent",)
    ),
    ("invoice_payment", "payment[payment_record]"): FilterNote(
        column="payment_record", path=("payment", "payment_record"), references=("payment_record",)
    ),
    # A shipping rate can have several currencies; its amount is in one.
    ("shipping_rate", "currency"): FilterNote(path=("fixed_amount", "currency")),
    ("billing_alert", "meter"): FilterNote(
        path=("usage_threshold", "meter"), references=("billing_meter",)
    ),
    ("balance_transaction", "payout"): FilterNote(references=("payout",)),  # not in the object
    ("balance_transaction", "source"): FilterNote(
        left_out="about associated objects: neither all of one source nor only those of it"
    ),
    ("charge", "transfer_group"): FilterNote(left_out="limited to 100 charges, so it can lose rows"),
    ("event", "type"): FilterNote(left_out="`types` does the same for several, and accepts no wildcard"),
    ("event", "types"): FilterNote(max_values=20),
    ("price", "lookup_keys"): FilterNote(max_values=10),
    ("product", "ids"): FilterNote(left_out="products are retrieved by id; this list cannot be paged"),
    ("payment_record", "created_after"): FilterNote(left_out="two parameters instead of a range"),
    ("payment_record", "created_before"): FilterNote(left_out="two parameters instead of a range"),
    ("payout", "status"): FilterNote(values=("pending", "paid", "failed", "canceled")),  # not in_transit
    ("subscription_schedule", "scheduled"): FilterNote(left_out="accepts only `true`; status says the same"),
    ("radar_value_list_item", "value"): FilterNote(exact=False),  # documented as an "is like" match
    # Accepts the id of a VerificationIntent, too.
    ("identity_verification_report", "verification_session"): FilterNote(exact=False),
    ("financial_connections_transaction", "transaction_refresh[after]"): FilterNote(
        left_out="selects the rows of a later refresh, which no column shows"
    ),
    ("treasury_transaction", "status_transitions[posted_at]"): FilterNote(
        left_out="needs status=posted and another order"
    ),
    ("treasury_transaction_entry", "effective_at"): FilterNote(
        left_out="undocumented, and may need another order"
    ),
    ("billing_meter_event_summary", "start_time"): FilterNote(column="window_start"),  # holds many
    ("billing_meter_event_summary", "end_time"): FilterNote(column="window_end"),
    # The other scope and the other owners need their id as well; the filters on these ids send the type.
    ("apps_secret", "scope[type]"): FilterNote(defaulted=True, values=("account",)),
    ("tax_id", "owner[type]"): FilterNote(values=("application", "self")),
    ("setup_intent", "attach_to_self"): FilterNote(left_out="described for creation, not as a filter"),
    # For a connected account without a default of its own the response has its platform's.
    ("issuing_personalization_design", "preferences[is_default]"): FilterNote(exact=False),
    ("issuing_personalization_design", "preferences[is_platform_default]"): FilterNote(
        left_out="only applicable to connected accounts"
    ),
    ("price", "recurring[meter]"): FilterNote(
        path=("recurring", "meter"), references=("billing_meter",)
    ),
    ("product_catalog_trial_offer", "created"): FilterNote(left_out="the object has no such field"),
    ("tax_location", "type"): FilterNote(defaulted=True),
    # Accounts that have all of the configurations listed, so that one request asks for one of them.
    ("v2_core_account", "applied_configurations"): FilterNote(column="applied_configuration", path=()),
    ("v2_core_event", "object_id"): FilterNote(path=("related_object", "id")),
    ("v2_core_event", "types"): FilterNote(max_values=20),
    ("v2_core_vault_us_bank_account", "verification_status"): FilterNote(path=("verification", "status")),
    ("v2_money_management_financial_account", "statuses"): FilterNote(column="status"),
    # The object has the id under the name of its type: flow.inbound_transfer, flow.outbound_payment.
    ("v2_money_management_adjustment", "adjusted_flow"): FilterNote(column="adjusted_flow_id", path=()),
    ("v2_money_management_transaction", "flow"): FilterNote(column="flow_id", path=()),
    ("v2_money_management_payout_method", "usage_status[payments]"): FilterNote(
        column="usage_status_payments", path=("usage_status", "payments")
    ),
    ("v2_money_management_payout_method", "usage_status[transfers]"): FilterNote(
        column="usage_status_transfers", path=("usage_status", "transfers")
    ),
    ("v2_money_management_outbound_payment", "recipient"): FilterNote(path=("to", "recipient")),
    **{
        ("v2_commerce_product_catalog_import", name): FilterNote(left_out="parameters instead of a range")
        for name in ("created", "created_gt", "created_gte", "created_lt", "created_lte")
    },
}  # fmt: skip

# https://docs.stripe.com/search#query-fields-for-each-resource; `metadata` stands for metadata["key"].
SEARCH_FIELDS = {
    "charge": (
        "amount",
        "billing_details.address.postal_code",
        "created",
        "currency",
        "customer",
        "disputed",
        "metadata",
        "payment_method_details.card.brand",
        "payment_method_details.card.exp_month",
        "payment_method_details.card.exp_year",
        "payment_method_details.card.fingerprint",
        "payment_method_details.card.last4",
        "refunded",
        "status",
    ),
    "customer": ("created", "email", "metadata", "name", "phone"),
    "invoice": (
        "created",
        "currency",
        "customer",
        "last_finalization_error_code",
        "last_finalization_error_type",
        "metadata",
        "number",
        "receipt_number",
        "status",
        "subscription",
        "total",
    ),
    "payment_intent": ("amount", "created", "currency", "customer", "metadata", "status"),
    "price": ("active", "currency", "lookup_key", "metadata", "product", "type"),
    "product": ("active", "description", "metadata", "name", "shippable", "url"),
    "subscription": ("canceled_at", "created", "metadata", "status"),
}

# Fields whose documented type or examples say that `~` finds parts of their values. With a field of another
# type it is an error, so that a field stands here only where the documentation leaves no doubt.
SUBSTRING_FIELDS = {
    "customer": ("email", "name"),
    "product": ("name",),
}
