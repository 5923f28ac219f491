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
    """A new checkout session, in one of its three modes."""
    made, params = context.object, context.params
    items = params.get("line_items") or []
    mode = params.get("mode")
    if mode is None:
        raise errors.missing_parameter("mode")
    _set_return_address(made, params)
    _check_expiry(params)
    if mode == "setup":
        if items:
            raise StripeError("You can not pass `line_items` in `setup` mode.", param="line_items")
        made |= {"payment_status": "no_payment_required", "customer_creation": None}
    else:
        if not items:
            raise errors.missing_parameter("line_items")
        set_line_items(context, items, "checkout_session_line_item", mode)
        made["customer_creation"] = None if made["customer"] or mode == "subscription" else "if_required"
        made["payment_method_collection"] = "always" if mode == "subscription" else "if_required"
    made["expires_at"] = params.get("expires_at") or made["created"] + _DAY
    made["payment_intent"] = made["subscription"] = made["invoice"] = made["setup_intent"] = None
    if made["customer"]:
        customer = get_referenced(context.request, "customer", made["customer"], "customer")
        made["customer_details"] = {
            "email": customer["email"],
            "name": customer["name"],
            "tax_exempt": "none",
        }
    else:
        made["customer_details"] = {"email": made["customer_email"]} if made["customer_email"] else None


def _set_return_address(made: Json, params: Json) -> None:
    """Where the customer goes afterwards must be known."""
    kind = params.get("ui_mode", "hosted_page")
    if kind in _HOSTED:
        if not params.get("success_url"):
            raise errors.missing_parameter("success_url")
        made["url"] = f"https://checkout.stripe.com/c/pay/{made['id']}"
        return
    made["client_secret"] = f"{made['id']}_secret_{made['id'][-12:]}"
    if params.get("redirect_on_completion", "always") != "never" and not params.get("return_url"):
        raise errors.missing_parameter("return_url")


def _check_expiry(params: Json) -> None:
    end = params.get("expires_at")
    if end is None:
        return
    if end > unix_now() + _DAY:
        raise StripeError(
            "The `expires_at` timestamp must be less than 24 hours from Checkout Session creation.",
            param="expires_at",
        )
    if end < unix_now() + 30 * 60 - 5:
        raise StripeError(
            "The `expires_at` timestamp must be at least 30 minutes from Checkout Session creation.",
            param="expires_at",
        )


def update(context: OperationContext) -> None:
    """A session that is over can't be changed, but for its metadata."""
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
