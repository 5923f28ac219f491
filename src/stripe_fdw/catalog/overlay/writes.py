"""Facts about the parameters of create and update that the SDK's types do not show, written by hand.

``WRITE_PATHS`` has the parameters of columns that have no parameter of their own name; most such columns hold
a nested field, and are written there. ``ONE_OF`` has groups of parameters of which one must be given, though
none is required alone. An entry that does not fit the SDK makes the build fail.
"""

from __future__ import annotations

from stripe_fdw.catalog.model import WritePath


def _inside(parameter: str, *names: str) -> tuple[WritePath, ...]:
    """Return the paths of columns named after a nested parameter: relationship_owner, relationship[owner]."""
    return tuple(WritePath(f"{parameter}_{name}", (parameter, name)) for name in names)


def _inside_of(parameter: str, *names: str) -> tuple[WritePath, ...]:
    """Return the paths of columns of a nested parameter's own name: recipient, to[recipient]."""
    return tuple(WritePath(name, (parameter, name)) for name in names)


WRITE_PATHS: dict[str, tuple[WritePath, ...]] = {
    "apps_secret": (
        WritePath("scope_type", ("scope", "type")),
        WritePath("scope_user", ("scope", "user"), (("scope[type]", "user"),)),
    ),
    "billing_alert": (WritePath("meter", ("usage_threshold", "meter")),),
    # A charge that is not captured yet.
    "charge": (WritePath("captured", ("capture",)),),
    "customer": (WritePath("default_payment_method", ("invoice_settings", "default_payment_method")),),
    # Read as pricing[price_details][price], but written one level further out.
    "invoiceitem": (WritePath("price", ("pricing", "price")),),
    "line_item": (WritePath("price", ("pricing", "price")),),
    "issuing_personalization_design": _inside("preferences", "is_default"),
    "person": _inside(
        "relationship", "authorizer", "director", "executive", "legal_guardian", "owner", "representative"
    ),
    "price": _inside("recurring", "interval", "meter", "usage_type"),
    # Since 2025-09-30.clover under `promotion`, whose type is required.
    "promotion_code": (WritePath("coupon", ("promotion", "coupon"), (("promotion[type]", "coupon"),)),),
    "shipping_rate": (WritePath("currency", ("fixed_amount", "currency")),),
    # A subscription to one price needs no list of items. Afterwards a price is changed in subscription_item.
    # Its start differs from its creation if it was backdated.
    "subscription": (
        *_inside("automatic_tax", "enabled"),
        WritePath("price", ("items", "0", "price")),
        WritePath("plan", ("items", "0", "plan")),
        WritePath("start_date", ("backdate_start_date",)),
    ),
    # A schedule that is created from a subscription.
    "subscription_schedule": (WritePath("subscription", ("from_subscription",)),),
    # An owner is sent with its type.
    "tax_id": (
        WritePath("owner_type", ("owner", "type")),
        WritePath("owner_account", ("owner", "account"), (("owner[type]", "account"),)),
        WritePath("owner_customer", ("owner", "customer"), (("owner[type]", "customer"),)),
        WritePath("owner_customer_account", ("owner", "customer_account"), (("owner[type]", "customer"),)),
    ),
    "v2_money_management_outbound_payment": _inside_of("to", "recipient"),
}

_Resets = dict[str, tuple[tuple[str, str], ...]]
_ANOTHER_PRICE: _Resets = dict.fromkeys(("plan", "price", "price_data"), (("quantity", "1"),))

# Parameters that Stripe resets when another is sent without them: the SDK's class → the other parameter →
# those that it resets, each with the value they get. "When changing a subscription item's price, `quantity`
# is set to 1 unless" one is sent.
RESETS: dict[str, _Resets] = {
    "SubscriptionItemUpdateParams": _ANOTHER_PRICE,
    "SubscriptionUpdateParamsItem": _ANOTHER_PRICE,
}

# Objects that Stripe replaces as a whole, or may replace: a key that is left out is lost
# (https://github.com/stripe/stripe-go/pull/179, the country of a shipping address). To send the keys
# to keep changes nothing where Stripe would have kept them.
REPLACED_WHOLE = {"address", "pause_collection", "shipping", "shipping_details"}

_CUSTOMER = ("customer", "customer_account")

# Groups of parameters of which Stripe wants at least one: operation → groups.
ONE_OF: dict[str, tuple[tuple[str, ...], ...]] = {
    "POST /v1/climate/orders": (("amount", "metric_tons"),),  # "Either this or … must be specified."
    "POST /v1/coupons": (("percent_off", "amount_off"),),  # each "required if" the other "is not passed"
    # "One of … must be provided."
    "POST /v1/credit_notes": (("amount", "lines", "shipping_cost"),),
    # "You must provide a `type` if not passing `verification_flow`."
    "POST /v1/identity/verification_sessions": (("type", "verification_flow"),),
    # A payer, and a price or an amount.
    "POST /v1/invoiceitems": (_CUSTOMER, ("amount", "pricing", "price_data", "unit_amount_decimal")),
    "POST /v1/invoices": ((*_CUSTOMER, "from_invoice"),),  # a revision bills the same customer
    "POST /v1/invoices/create_preview": (
        (*_CUSTOMER, "customer_details", "schedule", "subscription"),
    ),
    "POST /v1/payment_methods/{payment_method}/attach": (_CUSTOMER,),
    # "One of `unit_amount`, `unit_amount_decimal`, or `custom_unit_amount` is required, unless" it is tiered.
    "POST /v1/prices": (
        ("product", "product_data"),
        ("unit_amount", "unit_amount_decimal", "custom_unit_amount", "tiers"),
    ),
    "POST /v1/refunds": (("charge", "payment_intent", "customer"),),  # `customer`: from the cash balance
    # A subscription needs an item.
    "POST /v1/subscriptions": (_CUSTOMER, ("items",)),
    # A schedule is created from phases or from an existing subscription.
    "POST /v1/subscription_schedules": ((*_CUSTOMER, "from_subscription"), ("phases", "from_subscription")),
}  # fmt: skip
