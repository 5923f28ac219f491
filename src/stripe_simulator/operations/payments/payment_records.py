"""Payment records: payments made outside Stripe, reported to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_simulator.errors import StripeError
from stripe_simulator.objects.read import object_response
from stripe_simulator.objects.related import create_related
from stripe_simulator.operations.handlers import Handlers
from stripe_simulator.requests.body import validate_route_parameters
from stripe_simulator.requests.parameters import merge_metadata

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import Handler, OperationContext
    from stripe_simulator.requests.request import ApiRequest, ApiResponse
    from stripe_simulator.types import Json

_OUTCOMES = ("authorized", "canceled", "failed", "guaranteed", "refunded")
_DESCRIPTIVE_FIELDS = ("customer_details", "description", "shipping_details")


def report_payment(request: ApiRequest) -> ApiResponse:
    """Create a payment record with its first payment attempt record."""
    params = validate_route_parameters(request)
    amount_requested = params["amount_requested"]
    zero = {"currency": amount_requested["currency"], "value": 0}
    values: Json = {
        "amount": dict(amount_requested),
        "amount_requested": dict(amount_requested),
        **{f"amount_{name}": dict(zero) for name in _OUTCOMES},
        "customer_presence": params.get("customer_presence"),
        "metadata": dict(params.get("metadata") or {}),
        "payment_method_details": params["payment_method_details"],
        "processor_details": params.get("processor_details") or {"type": "custom"},
        **{name: params.get(name) for name in _DESCRIPTIVE_FIELDS},
    }
    _record_outcome(values, params.get("outcome"))
    record = create_related(request, "payment_record", values)
    attempt_record = create_related(request, "payment_attempt_record", _attempt_values(record))
    record["latest_payment_attempt_record"] = attempt_record["id"]
    return object_response(request, record)


def _attempt_values(record: Json) -> Json:
    names = (name for name in record if name.startswith("amount") or name in _DESCRIPTIVE_FIELDS)
    return {name: record[name] for name in names} | {"payment_record": record["id"]}


def _record_outcome(record: Json, outcome: str | None) -> None:
    """Set the amount of an outcome (guaranteed, failed, canceled) to the whole amount."""
    if outcome is not None:
        record[f"amount_{outcome}"] = dict(record["amount_requested"])


def report_attempt(context: OperationContext) -> None:
    """Add another attempt to a payment record that is not guaranteed."""
    record, params = context.object, context.params
    if (record["amount_guaranteed"] or {}).get("value"):
        raise StripeError("This payment record was guaranteed and takes no more attempts.")
    _record_outcome(record, params.get("outcome"))
    _update_description(context)
    attempt_record = create_related(context.request, "payment_attempt_record", _attempt_values(record))
    record["latest_payment_attempt_record"] = attempt_record["id"]


def _update_description(context: OperationContext) -> None:
    for name in _DESCRIPTIVE_FIELDS:
        if name in context.params:
            context.object[name] = context.params[name]
    if "metadata" in context.params:
        context.object["metadata"] = merge_metadata(
            context.object["metadata"] or {}, context.params["metadata"]
        )


def _outcome_report(outcome: str | None) -> Handler:
    def handler(context: OperationContext) -> None:
        if outcome is not None:
            if (context.object[f"amount_{outcome}"] or {}).get("value"):
                raise StripeError(f"The payment attempt was already reported as {outcome}.")
            _record_outcome(context.object, outcome)
        _update_description(context)

    return handler


def report_refund(context: OperationContext) -> None:
    """Add a refund that was made outside Stripe."""
    record = context.object
    amount_requested, before = record["amount_requested"] or {}, record["amount_refunded"] or {}
    refundable = amount_requested.get("value", 0) - before.get("value", 0)
    amount = (context.params.get("amount") or {}).get("value", refundable)
    if not 1 <= amount <= refundable:
        raise StripeError("The refund is greater than what is left of the payment.", param="amount")
    record["amount_refunded"] = {
        "currency": amount_requested["currency"],
        "value": before.get("value", 0) + amount,
    }
    _update_description(context)


HANDLERS = Handlers(
    operations={
        ("payment_record", "report_payment_attempt"): report_attempt,
        ("payment_record", "report_payment_attempt_canceled"): _outcome_report("canceled"),
        ("payment_record", "report_payment_attempt_failed"): _outcome_report("failed"),
        ("payment_record", "report_payment_attempt_guaranteed"): _outcome_report("guaranteed"),
        ("payment_record", "report_payment_attempt_informational"): _outcome_report(None),
        ("payment_record", "report_refund"): report_refund,
    },
    routes={
        ("POST", "/v1/payment_records/report_payment"): report_payment,
    },
)
