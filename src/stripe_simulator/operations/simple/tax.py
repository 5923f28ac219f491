"""Stripe Tax: registrations and settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_simulator.objects.test_clocks import unix_now
from stripe_simulator.objects.unlisted import account_settings
from stripe_simulator.operations.handlers import Handlers

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import OperationContext
    from stripe_simulator.types import Json


def set_registration_status(context: OperationContext) -> None:
    """Set the status of a tax registration from its times, which may be `now`."""
    registration, now = context.object, unix_now()
    for name in ("active_from", "expires_at"):
        if context.params.get(name) == "now":
            registration[name] = now
    if registration["expires_at"] is not None and registration["expires_at"] <= now:
        registration["status"] = "expired"
    else:
        registration["status"] = "scheduled" if registration["active_from"] > now else "active"


_TAX_SETTINGS: Json = {
        "defaults": {"provider": "stripe", "tax_behavior": None, "tax_code": None}, "head_office": None,
        "livemode": False, "status": "active", "status_details": {"active": {}}}  # fmt: skip


HANDLERS = Handlers(
    routes={
        ("GET", "/v1/tax/settings"): account_settings("tax.settings", _TAX_SETTINGS),
        ("POST", "/v1/tax/settings"): account_settings("tax.settings", _TAX_SETTINGS),
    },
    on_create={
        "tax_registration": set_registration_status,
    },
    on_update={
        "tax_registration": set_registration_status,
    },
)
