"""What a new object has where its parameters say nothing else, and what Stripe asks for beyond its types."""

from __future__ import annotations

from typing import Any

INITIAL: dict[str, dict[str, Any]] = {
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
}  # fmt: skip
# Parameters that Stripe asks for beyond what its types say.
NEEDED: dict[str, tuple[str, ...]] = {
    "subscription": ("customer", "items"),
    "invoiceitem": ("customer",),
    "charge": ("amount", "currency"),
}
# Flags that are on at first.
TRUE = frozenset({"active", "enabled", "discountable", "valid", "charges_enabled", "payouts_enabled"})
