"""Payment methods: made from cards and tokens, attached to customers and detached."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stripe_simulator import errors
from stripe_simulator.errors import StripeProblem
from stripe_simulator.objects.operation import carry_out, changed, new, read
from stripe_simulator.requests import test_cards

if TYPE_CHECKING:
    from collections.abc import Callable

    from stripe_simulator.objects.operation import Handler, Subject
    from stripe_simulator.requests.call import Answer, Call, Json
    from stripe_simulator.requests.forms import Params
    from stripe_simulator.requests.test_cards import Card

NOBODY: Json = {
    "address": dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state")),
    "email": None,
    "name": None,
    "phone": None,
    "tax_id": None,
}


def resolve(call: Call, identifier: Any, param: str = "payment_method") -> Json:
    """The payment method of this id; a test payment method becomes a new one of its kind.

    Raises StripeProblem where there is none.
    """
    identifier = str(identifier)
    card = test_cards.named(identifier) if identifier.startswith("pm_") else None
    if card is not None:
        return of_card(call, card)
    if identifier in test_cards.BANKS:
        return _of_bank(call, test_cards.BANKS[identifier])
    if identifier.startswith(("src_", "card_", "ba_")):  # sources stand in for payment methods
        return of_card(call, test_cards.CARDS["visa"])
    return read(call, "payment_method", identifier, param)


def of_card(call: Call, card: Card, values: Json | None = None) -> Json:
    """A new payment method with a card."""
    made = {"type": "card", "card": card.shown(), "billing_details": NOBODY, "allow_redisplay": "unspecified"}
    return new(call, "payment_method", made | (values or {}))


def _of_bank(call: Call, kind: str) -> Json:
    details = {
        "account_holder_type": "individual", "account_type": "checking", "bank_name": "STRIPE TEST BANK",
        "last4": "6789", "routing_number": "110000000",
    }  # fmt: skip
    return new(call, "payment_method", {"type": kind, kind: details, "billing_details": NOBODY})


def from_data(call: Call, data: Params, param: str) -> Json:
    """The payment method that the parameters describe."""
    kind = data.get("type")
    if not kind:
        raise errors.missing_parameter(f"{param}[type]" if param else "type")
    values: Json = {"metadata": dict(data.get("metadata") or {})}
    details = data.get("billing_details")
    if isinstance(details, dict):
        values["billing_details"] = NOBODY | details
        if isinstance(details.get("address"), dict):
            values["billing_details"]["address"] = NOBODY["address"] | details["address"]
    if kind == "card":
        return of_card(call, _card(data.get("card"), f"{param}[card]" if param else "card"), values)
    values |= {"type": kind, kind: dict(data.get(kind) or {})}
    return new(call, "payment_method", {"billing_details": NOBODY} | values)


def _card(sent: Any, param: str) -> Card:
    if not isinstance(sent, dict):
        raise errors.missing_parameter(param)
    if "token" in sent:
        card = test_cards.named(str(sent["token"]))
        if card is None:
            raise errors.no_object("token", str(sent["token"]), f"{param}[token]", status=400)
        return card
    for name in ("number", "exp_month", "exp_year"):
        if name not in sent:
            raise errors.missing_parameter(f"{param}[{name}]")
    return test_cards.numbered(str(sent["number"]))


def create(subject: Subject) -> None:
    """POST /v1/payment_methods: a card by number or token, or another kind."""
    made, params = subject.made, subject.params
    kind = params.get("type")
    if kind is None:
        raise errors.missing_parameter("type")
    sent = params.get("billing_details")
    made["billing_details"] = NOBODY | (sent if isinstance(sent, dict) else {})
    if kind == "card":
        card = _card(params.get("card"), "card")
        sent = params["card"]
        made["card"] = card.shown(int(sent.get("exp_month", 8)), int(sent.get("exp_year", 2030)))
    else:
        made[kind] = made.get(kind) or {}


def attach(subject: Subject) -> Json | None:
    """Attach to a customer; a card that no bank accepts is refused."""
    made, customer = subject.made, subject.params.get("customer")
    account = subject.params.get("customer_account")
    if customer is None and account is None:
        raise errors.missing_parameter("customer")
    if made["customer"] not in {None, customer} or made["customer_account"] not in {None, account}:
        raise StripeProblem("The payment method you provided has already been attached to a customer.")
    card = test_cards.behind(made.get("card"))
    if not card.attaches:
        raise test_cards.refusal(card)
    made |= {"customer": customer, "customer_account": account}
    subject.emit("payment_method.attached")
    return None


def attach_named(call: Call) -> Answer:
    """The same for a test payment method, which becomes a new one."""
    if test_cards.named(call.ids[-1]) is not None:
        call.ids[-1] = resolve(call, call.ids[-1])["id"]
    return carry_out(call, attach)


def attach_to(call: Call, method: Json, customer: str) -> Json:
    """Attach a payment method that a payment or setup saves."""
    if method["customer"] == customer:
        return method
    return changed(call, "payment_method", method["id"], {"customer": customer}, "payment_method.attached")


def detach(subject: Subject) -> None:
    """Detach from the customer, who then has another default or none."""
    made, customer = subject.made, subject.made["customer"]
    if customer is None and made["customer_account"] is None:
        raise StripeProblem(
            "The payment method you provided is not attached to a customer so detachment is impossible."
        )
    if customer is not None:
        _forget_default(subject.call, customer, made["id"])
    made |= {"customer": None, "customer_account": None}
    subject.emit("payment_method.detached", before=subject.before)


def _forget_default(call: Call, customer: str, method: str) -> None:
    customers = call.world.collection("customer")
    position = customers.position(customer)
    if position is None or customers.is_deleted(position):
        return
    settings = customers.read(position).get("invoice_settings") or {}
    if settings.get("default_payment_method") == method:
        settings = {**settings, "default_payment_method": None}
        changed(call, "customer", customer, {"invoice_settings": settings}, "customer.updated")


OPERATIONS: dict[tuple[str, str], Handler] = {("payment_method", "detach"): detach}
PATHS: dict[tuple[str, str], Callable[[Call], Answer]] = {
    ("POST", "/v1/payment_methods/{payment_method}/attach"): attach_named,
}
CREATED: dict[str, Handler] = {"payment_method": create}
