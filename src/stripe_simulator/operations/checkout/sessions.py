"""Checkout Sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_simulator import errors
from stripe_simulator.errors import StripeError
from stripe_simulator.objects.related import get_referenced
from stripe_simulator.objects.test_clocks import unix_now
from stripe_simulator.operations.checkout.line_items import set_line_items
from stripe_simulator.operations.handlers import Handlers

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import OperationContext
    from stripe_simulator.types import Json

_DAY = 86_400
_HOSTED = frozenset({"hosted", "hosted_page"})


def create(context: OperationContext) -> None:
    """Create a checkout session in payment, subscription or setup mode."""
    session, params = context.object, context.params
    items = params.get("line_items") or []
    mode = params.get("mode")
    if mode is None:
        raise errors.missing_parameter("mode")
    _set_return_address(session, params)
    _check_expiry(params)
    if mode == "setup":
        if items:
            raise StripeError("You can not pass `line_items` in `setup` mode.", param="line_items")
        session |= {"payment_status": "no_payment_required", "customer_creation": None}
    else:
        if not items:
            raise errors.missing_parameter("line_items")
        set_line_items(context, items, "checkout_session_line_item", mode)
        session["customer_creation"] = (
            None if session["customer"] or mode == "subscription" else "if_required"
        )
        session["payment_method_collection"] = "always" if mode == "subscription" else "if_required"
    session["expires_at"] = params.get("expires_at") or session["created"] + _DAY
    session["payment_intent"] = session["subscription"] = session["invoice"] = session["setup_intent"] = None
    if session["customer"]:
        customer = get_referenced(context.request, "customer", session["customer"], "customer")
        session["customer_details"] = {
            "email": customer["email"],
            "name": customer["name"],
            "tax_exempt": "none",
        }
    else:
        session["customer_details"] = (
            {"email": session["customer_email"]} if session["customer_email"] else None
        )


def _set_return_address(session: Json, params: Json) -> None:
    """Set the URL or client secret. Raises StripeError if the page to return to is missing."""
    ui_mode = params.get("ui_mode", "hosted_page")
    if ui_mode in _HOSTED:
        if not params.get("success_url"):
            raise errors.missing_parameter("success_url")
        session["url"] = f"https://checkout.stripe.com/c/pay/{session['id']}"
        return
    session["client_secret"] = f"{session['id']}_secret_{session['id'][-12:]}"
    if params.get("redirect_on_completion", "always") != "never" and not params.get("return_url"):
        raise errors.missing_parameter("return_url")


def _check_expiry(params: Json) -> None:
    expires_at = params.get("expires_at")
    if expires_at is None:
        return
    if expires_at > unix_now() + _DAY:
        raise StripeError(
            "The `expires_at` timestamp must be less than 24 hours from Checkout Session creation.",
            param="expires_at",
        )
    if expires_at < unix_now() + 30 * 60 - 5:
        raise StripeError(
            "The `expires_at` timestamp must be at least 30 minutes from Checkout Session creation.",
            param="expires_at",
        )


def update(context: OperationContext) -> None:
    """Update a session. Raises StripeError for changes beyond the metadata once it is not open."""
    if context.before["status"] != "open" and set(context.params) - {"metadata"}:
        raise StripeError(
            "Only Checkout Sessions with a status of `open` can be updated. This Checkout Session has a "
            f"status of `{context.before['status']}`."
        )


HANDLERS = Handlers(
    on_create={
        "checkout_session": create,
    },
    on_update={
        "checkout_session": update,
    },
)
