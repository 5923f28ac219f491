"""Changes of state that need no more than a table: from where, to what, with which event."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from stripe_simulator import errors
from stripe_simulator.errors import StripeError
from stripe_simulator.objects.operation import OperationContext, require_state
from stripe_simulator.objects.read import object_response
from stripe_simulator.objects.test_clocks import unix_now
from stripe_simulator.requests.body import validate_parameters
from stripe_simulator.requests.parameters import merged_metadata

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import Handler
    from stripe_simulator.requests.request import ApiRequest, ApiResponse
    from stripe_simulator.types import Json


@dataclass(frozen=True, slots=True)
class Transition:
    """A change of state: `column` becomes `state` where it is one of `sources` (none: whatever it is).

    `values` are set beside it, at their paths of names with dots; a value `NOW` is the present second.
    `events` are told. `says` is Stripe's refusal, with ``{state}`` for the present one.
    """

    state: Any
    sources: tuple[Any, ...] = ()
    events: tuple[str, ...] = ()
    column: str = "status"
    values: Mapping[str, Any] = field(default_factory=dict)
    says: str = ""

    def apply(self, context: OperationContext) -> None:
        """Make the change. Raises StripeError where the present state does not allow it."""
        made = context.object
        if self.sources:
            thing, wanted = (
                made["object"].replace("_", " ").replace(".", " "),
                ", ".join(map(str, self.sources)),
            )
            usual = (
                f"This {thing} has a status of {{state}}. Only one with one of the following statuses may "
                f"become {self.state}: {wanted}."
            )
            require_state(context, self.sources, self.says or usual, column=self.column)
        if self.column:
            made[self.column] = self.state
        for path, value in self.values.items():
            _set_at_path(made, path.split("."), unix_now() if value is NOW else deepcopy(value))
        if "metadata" in context.params and "metadata" in made:
            made["metadata"] = merged_metadata(made["metadata"] or {}, context.params["metadata"])
        for kind in self.events:
            context.emit(kind)


NOW = object()


def _set_at_path(made: Json, path: list[str], value: Any) -> None:
    for step in path[:-1]:
        if not isinstance(made.get(step), dict):
            made[step] = {}
        made = made[step]
    made[path[-1]] = value


_NEW_ACTION: Json = {"failure_code": None, "failure_message": None, "status": "in_progress"}
_TRANSITIONS: Mapping[tuple[str, str], Transition] = {
    ("billing_meter", "deactivate"): Transition(
        "inactive", ("active",), ("billing.meter.deactivated",),
        values={"status_transitions.deactivated_at": NOW, "updated": NOW},
    ),
    ("billing_meter", "reactivate"): Transition(
        "active", ("inactive",), ("billing.meter.reactivated",),
        values={"status_transitions.deactivated_at": None, "updated": NOW},
    ),
    ("billing_alert", "activate"): Transition("active", ("inactive",)),
    ("billing_alert", "deactivate"): Transition("inactive", ("active",)),
    ("billing_alert", "archive"): Transition("archived", ("active", "inactive")),
    ("billing_feedback_option", "deactivate"): Transition("inactive", ("active",)),
    ("invoice_rendering_template", "archive"): Transition("archived", ("active",)),
    ("invoice_rendering_template", "unarchive"): Transition("active", ("archived",)),
    ("checkout_session", "expire"): Transition(
        "expired", ("open",), ("checkout.session.expired",), values={"url": None},
        says='Only Checkout Sessions with a status in ["open"] can be expired. '
        "This Checkout Session has a status of `{state}`.",
    ),
    ("climate_order", "cancel"): Transition(
        "canceled", ("awaiting_funds", "confirmed", "open"), ("climate.order.canceled",),
        values={"canceled_at": NOW, "cancellation_reason": "requested"},
    ),
    ("identity_verification_session", "cancel"): Transition(
        "canceled", ("requires_input",), ("identity.verification_session.canceled",), values={"url": None}
    ),
    ("identity_verification_session", "redact"): Transition(
        {"status": "processing"}, column="redaction", values={"last_verification_report": None, "url": None}
    ),
    ("financial_connections_account", "disconnect"): Transition(
        "disconnected", ("active", "inactive"), ("financial_connections.account.disconnected",)
    ),
    ("issuing_dispute", "submit"): Transition("submitted", ("unsubmitted",), ("issuing_dispute.submitted",)),
    ("issuing_authorization", "approve"): Transition(
        True, column="approved", values={"status": "pending", "pending_request": None},
        events=("issuing_authorization.updated",),
    ),
    ("issuing_authorization", "decline"): Transition(
        False, column="approved", values={"status": "closed", "pending_request": None},
        events=("issuing_authorization.updated",),
    ),
    ("treasury_financial_account", "close"): Transition(
        "closed", ("open",), ("treasury.financial_account.closed",)
    ),
    ("treasury_inbound_transfer", "cancel"): Transition(
        "canceled", ("processing",), ("treasury.inbound_transfer.canceled",),
        values={"cancelable": False, "status_transitions.canceled_at": NOW},
    ),
    ("treasury_outbound_payment", "cancel"): Transition(
        "canceled", ("processing",), ("treasury.outbound_payment.canceled",),
        values={"cancelable": False, "status_transitions.canceled_at": NOW},
    ),
    ("treasury_outbound_transfer", "cancel"): Transition(
        "canceled", ("processing",), ("treasury.outbound_transfer.canceled",),
        values={"cancelable": False, "status_transitions.canceled_at": NOW},
    ),
    ("three_d_secure_authentication", "cancel"): Transition(
        "canceled", ("requires_submission", "requires_challenge"), ("three_d_secure.authentication.canceled",)
    ),
    ("three_d_secure_authentication", "submit"): Transition(
        "succeeded", ("requires_submission",), ("three_d_secure.authentication.succeeded",)
    ),
    ("apps_install", "uninstall"): Transition("uninstalling", ("installed",), ("apps.install.updated",)),
    ("payment_method_domain", "validate"): Transition(True, column="enabled"),
    ("terminal_reader", "cancel_action"): Transition(None, column="action"),
}  # fmt: skip
# Those below /v1/test_helpers that move an object of a table, by their paths: resource, and the change.
_TEST_HELPERS: Mapping[str, tuple[str, Transition]] = {
    **{
        f"issuing/cards/{{card}}/shipping/{verb}": ("issuing_card", Transition(
            state, column="", values={"shipping.status": state}, events=("issuing_card.updated",)
        ))
        for verb, state in {
            "deliver": "delivered", "fail": "failure", "return": "returned", "ship": "shipped",
            "submit": "submitted",
        }.items()
    },
    "issuing/authorizations/{authorization}/expire": ("issuing_authorization", Transition(
        "expired", ("pending",), ("issuing_authorization.updated",)
    )),
    "issuing/authorizations/{authorization}/reverse": ("issuing_authorization", Transition(
        "reversed", ("pending",), ("issuing_authorization.updated",)
    )),
    "issuing/authorizations/{authorization}/capture": ("issuing_authorization", Transition(
        "closed", ("pending",), ("issuing_authorization.updated",)
    )),
    **{
        f"issuing/personalization_designs/{{personalization_design}}/{verb}": (
            "issuing_personalization_design",
            Transition(state, events=(f"issuing_personalization_design.{event}",)),
        )
        for verb, state, event in (
            ("activate", "active", "activated"), ("deactivate", "inactive", "deactivated"),
            ("reject", "rejected", "rejected"),
        )
    },
    "refunds/{refund}/expire": ("refund", Transition("failed", ("requires_action",), ("refund.failed",))),
    **{
        f"treasury/inbound_transfers/{{id}}/{verb}": ("treasury_inbound_transfer", Transition(
            state, ("processing",), (f"treasury.inbound_transfer.{state}",), values={"cancelable": False}
        ))
        for verb, state in {"fail": "failed", "succeed": "succeeded"}.items()
    },
    "treasury/inbound_transfers/{id}/return": ("treasury_inbound_transfer", Transition(
        True, column="returned", sources=(False, None)
    )),
    **{
        f"treasury/{kind}s/{{{name}}}/{verb}": (f"treasury_{kind}", Transition(
            state, sources, (f"treasury.{kind}.{state}",), values={"cancelable": False}
        ))
        for kind, name in (("outbound_payment", "id"), ("outbound_transfer", "outbound_transfer"))
        for verb, state, sources in (
            ("fail", "failed", ("processing",)), ("post", "posted", ("processing",)),
            ("return", "returned", ("posted", "processing")),
        )
    },
}  # fmt: skip


def _test_helper(resource: str, move: Transition) -> Callable[[ApiRequest], ApiResponse]:
    def answer(request: ApiRequest) -> ApiResponse:
        assert request.route.operation is not None
        collection = request.account.collection(resource)
        position = collection.position(request.ids[0])
        if position is None or collection.is_deleted(position):
            raise errors.no_object(collection.resource.object, request.ids[0])
        params = validate_parameters(request, request.route.operation)
        return object_response(request, apply_transition(request, resource, position, params, move))

    return answer


def apply_transition(
    request: ApiRequest, resource: str, position: int, params: Json, move: Transition
) -> Json:
    """The object at this position, after a change that no path of its own stands for."""
    collection = request.account.collection(resource)
    before = collection.read(position)
    context = OperationContext(request, params, collection, position, before, deepcopy(before))
    move.apply(context)
    context.write()
    context.finish()
    return context.object


_REJECTION_REASONS = frozenset({"fraud", "terms_of_service"})


def reject(context: OperationContext) -> None:
    """Reject a connected account: it can neither charge nor be paid out."""
    reason = str(context.params["reason"])
    kind = reason.partition("_")[0] if reason.startswith("fraud") else reason
    disabled = f"rejected.{kind if kind in _REJECTION_REASONS else 'other'}"
    context.object |= {"charges_enabled": False, "payouts_enabled": False}
    _set_at_path(context.object, ["requirements", "disabled_reason"], disabled)
    context.emit("account.updated")


def unreject(context: OperationContext) -> None:
    """Take a rejection back."""
    context.object |= {"charges_enabled": True, "payouts_enabled": True}
    _set_at_path(context.object, ["requirements", "disabled_reason"], None)
    context.emit("account.updated")


def migrate_billing_mode(context: OperationContext) -> None:
    """A subscription is billed another way, for good."""
    made, wanted = context.object, context.params["billing_mode"]
    if (made["billing_mode"] or {}).get("type") == wanted["type"]:
        raise StripeError(f"The subscription already has the billing mode {wanted['type']}.")
    made["billing_mode"] = {
        "flexible": wanted.get("flexible"),
        "type": wanted["type"],
        "updated_at": unix_now(),
    }
    context.emit("customer.subscription.updated")


def _start_action(kind: str) -> Handler:
    """A reader of Stripe Terminal takes on something to do."""

    def handler(context: OperationContext) -> None:
        details = {name: value for name, value in context.params.items() if name != "metadata"}
        context.object["action"] = {**_NEW_ACTION, "type": kind, kind: details}
        context.emit("terminal.reader.action_updated")

    return handler


def _subscribe(context: OperationContext) -> None:
    now_ = set(context.object.get("subscriptions") or ())
    context.object["subscriptions"] = sorted(now_ | set(context.params.get("features") or ()))


def _unsubscribe(context: OperationContext) -> None:
    now_ = set(context.object.get("subscriptions") or ())
    context.object["subscriptions"] = sorted(now_ - set(context.params.get("features") or ()))


def _refresh(context: OperationContext) -> None:
    for feature in context.params.get("features") or ():
        name = "transaction" if feature == "transactions" else feature
        context.object[f"{name}_refresh"] = {
            "last_attempted_at": unix_now(),
            "next_refresh_available_at": None,
            "status": "pending",
        }


_READER_ACTIONS = (
    "collect_inputs", "collect_payment_method", "confirm_payment_intent", "process_payment_intent",
    "process_setup_intent", "refund_payment", "set_reader_display",
)  # fmt: skip
OPERATIONS: dict[tuple[str, str], Handler] = {
    **{key: move.apply for key, move in _TRANSITIONS.items()},
    **{("terminal_reader", kind): _start_action(kind) for kind in _READER_ACTIONS},
    ("subscription", "migrate"): migrate_billing_mode,
    ("account", "reject"): reject,
    ("account", "unreject"): unreject,
    ("financial_connections_account", "subscribe"): _subscribe,
    ("financial_connections_account", "unsubscribe"): _unsubscribe,
    ("financial_connections_account", "refresh"): _refresh,
}
PATHS: dict[tuple[str, str], Callable[[ApiRequest], ApiResponse]] = {
    ("POST", f"/v1/test_helpers/{path}"): _test_helper(resource, move)
    for path, (resource, move) in _TEST_HELPERS.items()
}
