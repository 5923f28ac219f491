"""Default values of new objects, and parameters that Stripe requires beyond what the catalog declares."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from stripe_fdw.catalog.model import Kind
from stripe_simulator.objects.test_clocks import unix_now

if TYPE_CHECKING:
    from stripe_simulator.types import Json
    from stripe_simulator.world.collection import Collection

_INITIAL_VALUES: dict[str, dict[str, Any]] = {
    "customer": {"tax_exempt": "none", "balance": 0, "delinquent": False, "preferred_locales": []},
    "subscription": {"status": "active", "collection_method": "charge_automatically", "currency": "usd"},
    "invoice": {
        "status": "draft", "billing_reason": "manual", "collection_method": "charge_automatically",
        "auto_advance": False, "currency": "usd",
    },
    "payment_intent": {"status": "requires_payment_method", "capture_method": "automatic_async"},
    "charge": {"status": "succeeded", "paid": True, "captured": True},
    "price": {"active": True, "type": "one_time", "billing_scheme": "per_unit"},
    "webhook_endpoint": {"status": "enabled"},
    "quote": {"status": "draft"},
    "apps_install": {"status": "installed"},
    "billing_alert": {"status": "active"},
    "billing_meter": {
        "status_transitions": {"deactivated_at": None},
        "customer_mapping": {"event_payload_key": "stripe_customer_id", "type": "by_id"},
        "value_settings": {"event_payload_key": "value"},
    },
    "billing_feedback_option": {"status_transitions": {"deactivated_at": None}},
    "checkout_session": {
        "status": "open", "payment_status": "unpaid", "ui_mode": "hosted_page", "custom_fields": [],
        "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
        "custom_text": dict.fromkeys(
            ("after_submit", "shipping_address", "submit", "terms_of_service_acceptance")
        ),
        "payment_method_types": ["card"], "shipping_options": [], "payment_method_collection": "if_required",
    },
    "climate_order": {"status": "confirmed"},
    "dispute": {"status": "needs_response"},
    "identity_verification_session": {"status": "requires_input"},
    "issuing_card": {"status": "inactive", "brand": "Visa", "exp_month": 8, "exp_year": 2030},
    "issuing_dispute": {"status": "unsubmitted"},
    "issuing_personalization_design": {"status": "review"},
    "payment_link": {
        "after_completion": {"hosted_confirmation": {"custom_message": None}, "type": "hosted_confirmation"},
        "automatic_tax": {"enabled": False, "liability": None}, "custom_fields": [], "shipping_options": [],
        "custom_text": dict.fromkeys(
            ("after_submit", "shipping_address", "submit", "terms_of_service_acceptance")
        ),
        "customer_creation": "if_required", "phone_number_collection": {"enabled": False},
        "payment_method_types": None, "tax_id_collection": {"enabled": False, "required": "never"},
    },
    "payment_method": {"allow_redisplay": "unspecified"},
    "payout": {
        "status": "pending", "method": "standard", "source_type": "card", "type": "bank_account",
        "reconciliation_status": "not_applicable",
    },
    "product": {"type": "service"},
    "refund": {"status": "succeeded"},
    "reporting_report_run": {"status": "pending"},
    "setup_intent": {
        "status": "requires_payment_method", "usage": "off_session", "payment_method_types": ["card"],
    },
    "tax_registration": {"status": "active"},
    "terminal_reader": {"status": "online"},
    "three_d_secure_authentication": {"status": "requires_submission"},
    "topup": {"status": "pending"},
    "treasury_credit_reversal": {"status": "processing"},
    "treasury_debit_reversal": {"status": "processing"},
    "treasury_financial_account": {"status": "open"},
    "treasury_inbound_transfer": {"status": "processing", "cancelable": True},
    "treasury_outbound_payment": {"status": "processing", "cancelable": True},
    "treasury_outbound_transfer": {"status": "processing", "cancelable": True},
}  # fmt: skip
# Parameters that Stripe requires although its types do not say so, by resource.
REQUIRED_PARAMETERS: dict[str, tuple[str, ...]] = {
    "subscription": ("customer", "items"),
    "invoiceitem": ("customer",),
    "charge": ("amount", "currency"),
    "payment_method": ("type",),
    "transfer": ("amount",),
}
# Booleans that are true in new objects.
_TRUE_BY_DEFAULT = frozenset(
    {"active", "enabled", "discountable", "valid", "charges_enabled", "payouts_enabled"}
)


def new_defaults(collection: Collection, position: int) -> Json:
    """Return a new object before its parameters: null where allowed, else a default, and its id."""
    resource = collection.resource
    new = collection.generator.object(position)
    for column in resource.columns:
        if len(column.path) != 1 or column.name not in new or column.name in {"id", "object", "livemode"}:
            continue
        if column.name == "metadata":
            new["metadata"] = {}
        elif column.nullable:
            new[column.name] = None
        elif column.kind is Kind.TIME:
            new[column.name] = unix_now()
        elif column.kind is Kind.INTEGER:
            new[column.name] = 0
        elif column.kind is Kind.BOOLEAN:
            new[column.name] = column.name in _TRUE_BY_DEFAULT
        elif column.kind is Kind.TEXT and column.values:
            new[column.name] = column.values[0]
    if "created" in new:
        new["created"] = unix_now()
    new |= deepcopy(_INITIAL_VALUES.get(resource.name, {}))
    new["id"] = collection.identifier(position)
    return new
