"""The types of payment methods that an intent accepts, and the return_url that confirming it may need."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_simulator.errors import StripeError

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import OperationContext
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.types import Json

_AUTOMATIC_TYPES = ("card", "link")


def set_accepted_methods(request: ApiRequest, intent: Json, params: Json) -> None:
    """Set what a new intent accepts: the types that the parameters list, or those of the Dashboard."""
    automatic = {"allow_redirects": "always", "enabled": True} | (
        params.get("automatic_payment_methods") or {}
    )
    listed = params.get("allowed_payment_method_types")
    if listed or not automatic["enabled"]:
        intent |= {
            "automatic_payment_methods": None if listed else automatic,
            "payment_method_configuration_details": None,
            "payment_method_types": list(listed or ["card"]),
        }
        return
    configuration = request.account.collection("payment_method_configuration").identifier(0)
    intent |= {
        "automatic_payment_methods": automatic,
        "payment_method_configuration_details": {"id": configuration, "parent": None},
        "payment_method_types": list(_AUTOMATIC_TYPES),
    }


def change_accepted_methods(intent: Json, params: Json) -> None:
    """Have an intent accept the types that the parameters of a later request list, if they list any."""
    listed = params.get("allowed_payment_method_types")
    if listed:
        intent |= {
            "allowed_payment_method_types": list(listed),
            "automatic_payment_methods": None,
            "payment_method_configuration_details": None,
            "payment_method_types": list(listed),
        }


def return_url_error(context: OperationContext) -> StripeError | None:
    """Return the error of confirming an intent without the return_url that it needs; None if it needs none.

    An intent needs one if it accepts the payment methods of the Dashboard, of which some redirect the
    customer. The payment method that is confirmed does not matter.
    """
    intent, params = context.object, context.params
    automatic = intent.get("automatic_payment_methods") or {}
    redirects = automatic.get("enabled") and automatic.get("allow_redirects") != "never"
    if not redirects or params.get("return_url") or params.get("use_stripe_sdk"):
        return None
    return StripeError(
        "This intent accepts the payment methods enabled in your Dashboard, of which some redirect the "
        "customer to another page, so confirming it needs a `return_url`. To accept none that redirect, "
        "create it with `automatic_payment_methods[enabled]` true and "
        "`automatic_payment_methods[allow_redirects]` set to `never`.",
        extra={intent["object"]: intent},
    )
