"""Refunds, and the amounts that they change on a charge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_simulator import errors
from stripe_simulator.errors import StripeError
from stripe_simulator.objects.operation import require_state
from stripe_simulator.objects.read import object_response
from stripe_simulator.objects.related import get_or_404, get_or_none, get_referenced, update_related
from stripe_simulator.operations.handlers import Handlers
from stripe_simulator.operations.payments import balance, charges, disputes
from stripe_simulator.requests import currencies, pagination
from stripe_simulator.requests.request import ApiResponse
from stripe_simulator.world.conditions import Condition

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import OperationContext
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.types import Json


def create(context: OperationContext) -> None:
    """Refund a charge, in whole or in part."""
    request, refund, params = context.request, context.object, context.params
    charge = charges.settle(request, _charge_to_refund(request, params)["id"])
    if not charge["paid"]:
        raise StripeError(f"Charge {charge['id']} was not successful and cannot be refunded.", param="charge")
    if charge["disputed"] and not disputes.is_refundable(request, charge["id"]):
        raise StripeError(
            f"Charge {charge['id']} has been charged back; cannot issue a refund.", code="charge_disputed"
        )
    if charge["refunded"]:
        raise StripeError(f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded")
    chargeable = charge["amount_captured"] if charge["captured"] else charge["amount"]
    amount = params.get("amount", chargeable - charge["amount_refunded"])
    _check_amount(amount, chargeable, charge)
    refund |= {
        "amount": amount,
        "charge": charge["id"],
        "currency": charge["currency"],
        "destination_details": {"card": {"type": "refund", "reference_status": "pending"}, "type": "card"},
        "payment_intent": charge["payment_intent"],
        "status": "succeeded",
    }
    if charge["captured"]:
        refund["balance_transaction"] = balance.add_transaction(
            request,
            "refund",
            -amount,
            charge["currency"],
            refund["id"],
            description=f"REFUND FOR CHARGE ({charge['description']})"
            if charge["description"]
            else "REFUND FOR CHARGE",
        )
    refunded = charge["amount_refunded"] + amount
    values = {"amount_refunded": refunded, "refunded": refunded >= chargeable}
    context.emit("charge.refunded", update_related(request, "charge", charge["id"], values), charge)


def _charge_to_refund(request: ApiRequest, params: Json) -> Json:
    if params.get("charge"):
        return get_referenced(request, "charge", params["charge"], "charge", status=404)
    if not params.get("payment_intent"):
        raise StripeError(
            "One of the following params should be provided for this request: payment_intent or charge."
        )
    intent = get_referenced(request, "payment_intent", params["payment_intent"], "payment_intent")
    latest = intent["latest_charge"]
    charge = get_referenced(request, "charge", latest, "payment_intent") if latest else None
    if charge is None or not charge["paid"]:
        raise StripeError(
            f"This PaymentIntent ({intent['id']}) does not have a successful charge to refund.",
            param="payment_intent",
        )
    return charge


def _check_amount(amount: int, chargeable: int, charge: Json) -> None:
    if amount < 1:
        raise currencies.too_low_error("amount")
    refundable, currency = chargeable - charge["amount_refunded"], charge["currency"]
    if amount > refundable:
        limit = "unrefunded amount on charge" if charge["amount_refunded"] else "charge amount"
        raise StripeError(
            f"Refund amount ({currencies.format_amount(amount, currency)}) is greater than {limit} "
            f"({currencies.format_amount(refundable, currency)})",
            param="amount",
        )


def list_of_charge(request: ApiRequest) -> ApiResponse:
    """Answer GET /v1/charges/{charge}/refunds, which the API does not declare any more."""
    get_or_404(request, "charge")
    collection = request.account.collection("refund")
    conditions = [Condition(collection.resource.column["charge"], (request.ids[0],))]
    low, high = collection.bounds()
    page = pagination.page_of(collection, conditions, request.params, low=low, high=high)
    bodies = [collection.body(position) for position in page.positions]
    return ApiResponse(pagination.body_of(bodies, has_more=page.has_more, url=request.path))


def retrieve_of_charge(request: ApiRequest) -> ApiResponse:
    """Answer GET /v1/charges/{charge}/refunds/{refund}, which the API does not declare any more."""
    get_or_404(request, "charge")
    refund = get_or_none(request, "refund", request.ids[1])
    if refund is None or refund["charge"] != request.ids[0]:
        raise errors.no_object("refund", request.ids[1], "refund")
    return object_response(request, refund)


def cancel(context: OperationContext) -> None:
    """Cancel a refund that requires an action of the customer."""
    require_state(
        context,
        ("requires_action",),
        "You cannot cancel this Refund because it has a status of {state}. Only a Refund with one of the "
        "following statuses may be canceled: requires_action.",
    )
    context.object["status"] = "canceled"
    _restore_charge(context)
    context.emit("refund.updated")


def fail(context: OperationContext) -> None:
    """Have the bank send a refund back; its amount is in the balance again."""
    require_state(
        context, ("pending", "requires_action", "succeeded"), "This refund has a status of {state}."
    )
    refund = context.object
    refund |= {
        "status": "failed",
        "failure_reason": "expired_or_canceled_card",
        "failure_balance_transaction": balance.add_transaction(
            context.request,
            "refund_failure",
            refund["amount"],
            refund["currency"],
            refund["id"],
            description="REFUND FAILURE",
        ),
    }
    _restore_charge(context)
    context.emit("refund.updated")
    context.emit("refund.failed")


def _restore_charge(context: OperationContext) -> None:
    """Take the amount of a refund that is canceled or failed off the refunded amount of its charge."""
    charge_id = context.object["charge"]
    if charge_id is None:
        return
    charge = get_referenced(context.request, "charge", charge_id, "charge")
    refunded = max(0, charge["amount_refunded"] - context.object["amount"])
    values = {"amount_refunded": refunded, "refunded": False}
    update_related(context.request, "charge", charge_id, values, "charge.updated")


HANDLERS = Handlers(
    routes={
        ("GET", "/v1/charges/{charge}/refunds"): list_of_charge,
        ("GET", "/v1/charges/{charge}/refunds/{refund}"): retrieve_of_charge,
    },
    operations={
        ("refund", "cancel"): cancel,
    },
    on_create={
        "refund": create,
    },
    outcomes={
        "refund.failed": fail,
    },
)
