"""Payment records: payments made elsewhere, as they are reported to Stripe."""

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
    """POST …/report_payment: a new record, with its first attempt."""
    params = validate_route_parameters(request)
    asked = params["amount_requested"]
    nothing = {"currency": asked["currency"], "value": 0}
    values: Json = {
        "amount": dict(asked),
        "amount_requested": dict(asked),
        **{f"amount_{name}": dict(nothing) for name in _OUTCOMES},
        "customer_presence": params.get("customer_presence"),
        "metadata": dict(params.get("metadata") or {}),
        "payment_method_details": params["payment_method_details"],
        "processor_details": params.get("processor_details") or {"type": "custom"},
        **{name: params.get(name) for name in _DESCRIPTIVE_FIELDS},
    }
    _record_outcome(values, params.get("outcome"))
    made = create_related(request, "payment_record", values)
    attempt = create_related(request, "payment_attempt_record", _attempt_values(made))
    made["latest_payment_attempt_record"] = attempt["id"]
    return object_response(request, made)


def _attempt_values(record: Json) -> Json:
    same = (name for name in record if name.startswith("amount") or name in _DESCRIPTIVE_FIELDS)
    return {name: record[name] for name in same} | {"payment_record": record["id"]}


def _record_outcome(made: Json, outcome: str | None) -> None:
    """The whole amount was guaranteed, failed or canceled; until then nothing is."""
    if outcome is not None:
        made[f"amount_{outcome}"] = dict(made["amount_requested"])


def report_attempt(context: OperationContext) -> None:
    """Another attempt at a payment that did not succeed."""
    made, params = context.object, context.params
    if (made["amount_guaranteed"] or {}).get("value"):
        raise StripeError("This payment record was guaranteed and takes no more attempts.")
    _record_outcome(made, params.get("outcome"))
    _update_description(context)
    attempt = create_related(context.request, "payment_attempt_record", _attempt_values(made))
    made["latest_payment_attempt_record"] = attempt["id"]


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
    """Money that was given back, elsewhere."""
    made = context.object
    asked, before = made["amount_requested"] or {}, made["amount_refunded"] or {}
    rest = asked.get("value", 0) - before.get("value", 0)
    amount = (context.params.get("amount") or {}).get("value", rest)
    if not 1 <= amount <= rest:
        raise StripeError("The refund is greater than what is left of the payment.", param="amount")
    made["amount_refunded"] = {"currency": asked["currency"], "value": before.get("value", 0) + amount}
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
