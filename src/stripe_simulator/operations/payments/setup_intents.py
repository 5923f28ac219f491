"""Setup intents: a payment method saved for later, confirmed and canceled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_simulator.objects.operation import new, read
from stripe_simulator.operations.payments import payment_methods
from stripe_simulator.operations.payments.attempts import choose, only, unexpected, verify_microdeposits
from stripe_simulator.requests import test_cards
from stripe_simulator.seeding import salt

if TYPE_CHECKING:
    from stripe_simulator.errors import StripeProblem
    from stripe_simulator.objects.operation import Handler, Subject
    from stripe_simulator.requests.call import Json

_OPEN = ("requires_payment_method", "requires_confirmation", "requires_action")
_ALWAYS = frozenset({"description", "metadata"})
_ASKS_ON_SETUP = frozenset({test_cards.CARDS["authenticationRequiredOnSetup"].number})


def create(subject: Subject) -> None:
    """A new setup intent, perhaps confirmed at once."""
    made, params = subject.made, subject.params
    made["client_secret"] = f"{made['id']}_secret_{salt(made['id']) & 0xFFFFFFFFFFFF:012x}"
    automatic = params.get("automatic_payment_methods")
    made["automatic_payment_methods"] = {"allow_redirects": "always", "enabled": True} | (automatic or {})
    choose(subject.call, made, params, "SetupIntent")
    if params.get("confirm"):
        _confirm(subject)


def update(subject: Subject) -> None:
    """Change a setup intent that is not done."""
    made, before, status = subject.made, subject.before, subject.before["status"]
    for name in subject.params:
        if status not in _OPEN and name not in _ALWAYS and made.get(name) != before.get(name):
            raise unexpected(
                before,
                f"This SetupIntent's {name} could not be updated because it has a status of {status}. "
                f"You may only update the {name} of a SetupIntent with one of the following statuses: "
                f"{', '.join(_OPEN)}.",
            )
    made["payment_method"] = before["payment_method"]
    choose(subject.call, made, subject.params, "SetupIntent")


def confirm(subject: Subject) -> None:
    """Confirm: save the payment method, ask the customer, or be refused."""
    made, status = subject.made, subject.made["status"]
    if status not in _OPEN:
        raise unexpected(
            made,
            f"You cannot confirm this SetupIntent because it has a status of {status}. "
            + only("SetupIntent", ("requires_confirmation", "requires_action"), "confirmed"),
        )
    choose(subject.call, made, subject.params, "SetupIntent")
    _confirm(subject)


def _confirm(subject: Subject) -> None:
    made, call = subject.made, subject.call
    if made["payment_method"] is None:
        raise unexpected(
            made,
            "You cannot confirm this SetupIntent because it's missing a payment method. You can either "
            "update the SetupIntent with a payment method and then confirm it again, or confirm it again "
            "directly with a payment method or ConfirmationToken.",
        )
    method = read(call, "payment_method", made["payment_method"], "payment_method")
    card = test_cards.behind(method.get("card"))
    if not card.attaches:
        problem = test_cards.refusal(card, extra={"payment_method": method})
        _failed(subject, problem, method)
        return
    if card.asks or card.number in _ASKS_ON_SETUP:
        made["status"] = "requires_action"
        details = {"source": f"src_{made['id'][5:]}", "type": "three_d_secure_redirect"}
        made["next_action"] = {"type": "use_stripe_sdk", "use_stripe_sdk": details}
        _attempt(subject, method, "requires_action", None)
        subject.emit("setup_intent.requires_action")
        return
    made |= {"status": "succeeded", "last_setup_error": None, "next_action": None}
    _attempt(subject, method, "succeeded", None)
    if made["customer"]:
        payment_methods.attach_to(call, method, made["customer"])
    subject.emit("setup_intent.succeeded")


def _failed(subject: Subject, problem: StripeProblem, method: Json) -> None:
    made = subject.made
    made |= {"status": "requires_payment_method", "payment_method": None, "next_action": None}
    made["last_setup_error"] = problem.details()
    _attempt(subject, method, "failed", problem.details())
    subject.emit("setup_intent.setup_failed")
    subject.refused = problem
    problem.extra["setup_intent"] = made


def _attempt(subject: Subject, method: Json, status: str, error: Json | None) -> None:
    made = subject.made
    values = {
        "customer": made["customer"],
        "payment_method": method["id"],
        "payment_method_details": {method["type"]: {}, "type": method["type"]},
        "setup_error": error,
        "setup_intent": made["id"],
        "status": status,
        "usage": made["usage"],
    }
    made["latest_attempt"] = new(subject.call, "setup_attempt", values)["id"]


def cancel(subject: Subject) -> None:
    """Cancel a setup intent that is not done."""
    made = subject.made
    if made["status"] not in _OPEN:
        raise unexpected(
            made,
            f"You cannot cancel this SetupIntent because it has a status of {made['status']}. "
            + only("SetupIntent", _OPEN, "canceled"),
        )
    made |= {"status": "canceled", "next_action": None}
    made["cancellation_reason"] = subject.params.get("cancellation_reason")
    subject.emit("setup_intent.canceled")


OPERATIONS: dict[tuple[str, str], Handler] = {
    ("setup_intent", "confirm"): confirm,
    ("setup_intent", "cancel"): cancel,
    ("setup_intent", "verify_microdeposits"): verify_microdeposits,
}
CREATED: dict[str, Handler] = {"setup_intent": create}
UPDATED: dict[str, Handler] = {"setup_intent": update}
