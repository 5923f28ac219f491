"""Payment records: payments made elsewhere, as they are reported to Stripe."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from stripe_simulator.errors import StripeProblem
from stripe_simulator.objects.operation import new
from stripe_simulator.objects.read import shown
from stripe_simulator.requests.body import checked
from stripe_simulator.requests.parameters import merged_metadata

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import Handler, Subject
    from stripe_simulator.requests.call import Answer, Call, Json

_SUMS = ("authorized", "canceled", "failed", "guaranteed", "refunded")
_PLAIN = ("customer_details", "description", "shipping_details")


def report_payment(call: Call) -> Answer:
    """POST …/report_payment: a new record, with its first attempt."""
    assert call.route.operation is not None
    params = checked(call, call.route.operation)
    asked = params["amount_requested"]
    nothing = {"currency": asked["currency"], "value": 0}
    values: Json = {
        "amount": dict(asked),
        "amount_requested": dict(asked),
        **{f"amount_{name}": dict(nothing) for name in _SUMS},
        "customer_presence": params.get("customer_presence"),
        "metadata": dict(params.get("metadata") or {}),
        "payment_method_details": params["payment_method_details"],
        "processor_details": params.get("processor_details") or {"type": "custom"},
        **{name: params.get(name) for name in _PLAIN},
    }
    _settle(values, params.get("outcome"))
    made = new(call, "payment_record", values)
    attempt = new(call, "payment_attempt_record", _attempt(made))
    made["latest_payment_attempt_record"] = attempt["id"]
    return shown(call, made)


def _attempt(record: Json) -> Json:
    same = (name for name in record if name.startswith("amount") or name in _PLAIN)
    return {name: record[name] for name in same} | {"payment_record": record["id"]}


def _settle(made: Json, outcome: str | None) -> None:
    """The whole amount was guaranteed, failed or canceled; until then nothing is."""
    if outcome is not None:
        made[f"amount_{outcome}"] = dict(made["amount_requested"])


def report_attempt(subject: Subject) -> None:
    """Another attempt at a payment that did not succeed."""
    made, params = subject.made, subject.params
    if (made["amount_guaranteed"] or {}).get("value"):
        raise StripeProblem("This payment record was guaranteed and takes no more attempts.")
    _settle(made, params.get("outcome"))
    _describe(subject)
    attempt = new(subject.call, "payment_attempt_record", _attempt(made))
    made["latest_payment_attempt_record"] = attempt["id"]


def _describe(subject: Subject) -> None:
    for name in _PLAIN:
        if name in subject.params:
            subject.made[name] = subject.params[name]
    if "metadata" in subject.params:
        subject.made["metadata"] = merged_metadata(subject.made["metadata"] or {}, subject.params["metadata"])


def _reports(outcome: str | None) -> Handler:
    def handler(subject: Subject) -> None:
        if outcome is not None:
            if (subject.made[f"amount_{outcome}"] or {}).get("value"):
                raise StripeProblem(f"The payment attempt was already reported as {outcome}.")
            _settle(subject.made, outcome)
        _describe(subject)

    return handler


def report_refund(subject: Subject) -> None:
    """Money that was given back, elsewhere."""
    made = subject.made
    asked, before = made["amount_requested"] or {}, made["amount_refunded"] or {}
    rest = asked.get("value", 0) - before.get("value", 0)
    amount = (subject.params.get("amount") or {}).get("value", rest)
    if not 1 <= amount <= rest:
        raise StripeProblem("The refund is greater than what is left of the payment.", param="amount")
    made["amount_refunded"] = {"currency": asked["currency"], "value": before.get("value", 0) + amount}
    _describe(subject)


OPERATIONS: dict[tuple[str, str], Handler] = {
    ("payment_record", "report_payment_attempt"): report_attempt,
    ("payment_record", "report_payment_attempt_canceled"): _reports("canceled"),
    ("payment_record", "report_payment_attempt_failed"): _reports("failed"),
    ("payment_record", "report_payment_attempt_guaranteed"): _reports("guaranteed"),
    ("payment_record", "report_payment_attempt_informational"): _reports(None),
    ("payment_record", "report_refund"): report_refund,
}
PATHS: dict[tuple[str, str], Callable[[Call], Answer]] = {
    ("POST", "/v1/payment_records/report_payment"): report_payment,
}
