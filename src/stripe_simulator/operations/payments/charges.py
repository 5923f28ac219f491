"""Charges: made by payment intents or, the older way, by themselves; with their balance transactions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_simulator import errors
from stripe_simulator.errors import StripeProblem
from stripe_simulator.objects.operation import changed, new, read
from stripe_simulator.operations.payments import balance, payment_methods
from stripe_simulator.requests import currencies, test_cards

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import Handler, Subject
    from stripe_simulator.requests.call import Call, Json

_APPROVED = {
    "advice_code": None,
    "network_advice_code": None,
    "network_decline_code": None,
    "network_status": "approved_by_network",
    "reason": None,
    "risk_level": "normal",
    "risk_score": 32,
    "seller_message": "Payment complete.",
    "type": "authorized",
}


def _outcome(method: Json) -> Json:
    """What a charge says of the payment method, and of how its bank answered."""
    card = test_cards.behind(method.get("card"))
    kind = method["type"]
    details: Json = {"type": kind, kind: dict(method.get(kind) or card.shown())}
    values: Json = {
        "billing_details": method.get("billing_details") or payment_methods.NOBODY,
        "payment_method": method.get("id"),
        "payment_method_details": details,
        "calculated_statement_descriptor": "Stripe",
    }
    if card.code:
        reason = card.decline_code or card.code
        return values | {
            "status": "failed", "paid": False, "captured": False,
            "failure_code": card.code, "failure_message": card.message,
            "outcome": _APPROVED | {
                "network_status": "declined_by_network", "reason": reason, "type": "issuer_declined",
                "seller_message": "The bank did not return any further details with this decline.",
            },
        }  # fmt: skip
    return values | {"status": "succeeded", "paid": True, "outcome": dict(_APPROVED)}


def settled(call: Call, made: Json) -> Json:
    """What capturing a charge adds to it: how much, and its balance transaction."""
    amount = made["amount_captured"]
    kind = "charge" if made.get("payment_method_details", {}).get("type") == "card" else "payment"
    fee = balance.fee_of(amount)
    return {"balance_transaction": balance.move(call, kind, amount, made["currency"], made["id"], fee)}


def of_intent(call: Call, intent: Json, method: Json, *, capture: bool) -> Json:
    """The charge that a payment intent makes; failed where the bank declines."""
    amount = intent["amount"]
    values: Json = {
        "amount": amount,
        "amount_captured": amount if capture else 0,
        "captured": capture,
        "currency": intent["currency"],
        "payment_intent": intent["id"],
        **{name: intent.get(name) for name in _SAME},
    }
    values |= _outcome(method)
    if values["status"] == "failed":
        values["amount_captured"] = 0
    if method["type"] not in {"card", "link"}:
        values |= {"status": "pending", "paid": False, "captured": True, "amount_captured": amount}
    made = new(call, "charge", {**values, "metadata": dict(intent.get("metadata") or {})})
    if values["status"] == "succeeded" and capture:
        made = changed(call, "charge", made["id"], settled(call, made))
    return made


_SAME = (
    "customer",
    "description",
    "receipt_email",
    "shipping",
    "statement_descriptor",
    "statement_descriptor_suffix",
    "on_behalf_of",
    "transfer_data",
    "transfer_group",
    "application_fee_amount",
)


def create(subject: Subject) -> None:
    """POST /v1/charges, the older way: a token or a customer's source is charged at once."""
    call, made, params = subject.call, subject.made, subject.params
    currencies.check(params["amount"], params["currency"])
    if "source" not in params and "customer" not in params:
        raise StripeProblem("Must provide source or customer.", code="parameter_missing")
    method = _paid_with(call, params)
    capture = params.get("capture", True)
    made |= {"captured": capture, "amount_captured": made["amount"] if capture else 0}
    made |= _outcome(method)
    made["payment_method"] = f"card_{made['id'][3:]}"
    if made["status"] == "failed":
        made["amount_captured"] = 0
        subject.refused = test_cards.refusal(test_cards.behind(method.get("card")), charge=made["id"])
        subject.emit("charge.failed")
        return
    if capture:
        made |= settled(call, made)
    subject.emit("charge.succeeded")


def _paid_with(call: Call, params: Json) -> Json:
    source = params.get("source")
    if source is None:
        customer = read(call, "customer", params["customer"], "customer")
        if customer.get("default_source") is None:
            raise StripeProblem(
                "Cannot charge a customer that has no active card",
                code="missing",
                kind="card_error",
                status=402,
            )
        return {"type": "card", "card": test_cards.CARDS["visa"].shown()}
    card = test_cards.named(str(source)) if str(source).startswith("tok_") else None
    if card is None and not str(source).startswith(("card_", "src_", "ba_", "btok_")):
        raise errors.no_object("token", str(source), "source", status=400)
    return {"type": "card", "card": (card or test_cards.CARDS["visa"]).shown()}


def capture(subject: Subject) -> None:
    """Capture a charge that was only authorized, in whole or in part."""
    made = subject.made
    if made["refunded"]:
        raise StripeProblem(f"Charge {made['id']} has already been refunded.", code="charge_already_refunded")
    if made["captured"]:
        raise StripeProblem(f"Charge {made['id']} has already been captured.", code="charge_already_captured")
    if made["status"] != "succeeded":
        raise StripeProblem(f"Charge {made['id']} cannot be captured because it was not successful.")
    amount = subject.params.get("amount") or made["amount"]
    take(subject.call, made, amount, "amount")
    intent = made.get("payment_intent")
    subject.emit("charge.captured")
    if intent is not None:
        values = {"status": "succeeded", "amount_received": amount, "amount_capturable": 0}
        changed(subject.call, "payment_intent", intent, values, "payment_intent.succeeded")


def take(call: Call, made: Json, amount: int, param: str) -> None:
    """Capture this much of a charge. Raises StripeProblem where it is too much."""
    if amount > made["amount"]:
        raise StripeProblem(
            "You cannot capture a charge for an amount greater than it already has.",
            code="amount_too_large",
            param=param,
        )
    if amount < 1:
        raise currencies.too_low(param)
    made |= {"captured": True, "amount_captured": amount}
    made |= settled(call, made)


def update(subject: Subject) -> None:
    """A charge's customer can be set only where it has none."""
    params = subject.params
    if "customer" in params and subject.before.get("customer") not in {None, params["customer"]}:
        raise StripeProblem(
            "You cannot change the customer of a charge that already has one.", param="customer"
        )
    if isinstance(params.get("fraud_details"), dict):
        subject.made["fraud_details"] = dict(params["fraud_details"])


OPERATIONS: dict[tuple[str, str], Handler] = {("charge", "capture"): capture}
CREATED: dict[str, Handler] = {"charge": create}
UPDATED: dict[str, Handler] = {"charge": update}
