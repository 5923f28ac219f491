"""Changes of state that a table describes: source states, target state, events."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from stripe_simulator.objects.missing import missing_object
from stripe_simulator.objects.operation import OperationContext, require_state
from stripe_simulator.objects.read import object_response
from stripe_simulator.objects.test_clocks import unix_now
from stripe_simulator.operations.handlers import Handlers
from stripe_simulator.requests.body import set_path, validate_parameters
from stripe_simulator.requests.parameters import merge_metadata

if TYPE_CHECKING:
    from stripe_simulator.requests.request import ApiRequest, ApiResponse
    from stripe_simulator.types import Json


@dataclass(frozen=True, slots=True)
class StateChange:
    """A change of the state of an object.

    `column` becomes `state` if its value is one of `sources`; any value if none is named. `values` are set
    too, by paths of field names with dots; the value `NOW` stands for the present second. `events` are sent.
    `message` is the error message of Stripe, with ``{state}`` for the present state.
    """

    state: Any
    sources: tuple[Any, ...] = ()
    events: tuple[str, ...] = ()
    column: str = "status"
    values: Mapping[str, Any] = field(default_factory=dict)
    message: str = ""

    def apply(self, context: OperationContext) -> None:
        """Make the change. Raises StripeError if the present state does not allow it."""
        target = context.object
        if self.sources:
            object_name, allowed = (
                target["object"].replace("_", " ").replace(".", " "),
                ", ".join(map(str, self.sources)),
            )
            default_message = (
                f"This {object_name} has a status of {{state}}. Only one with one of the following statuses "
                f"may become {self.state}: {allowed}."
            )
            require_state(context, self.sources, self.message or default_message, column=self.column)
        if self.column:
            target[self.column] = self.state
        for path, value in self.values.items():
            set_path(target, path.split("."), unix_now() if value is NOW else deepcopy(value))
        if "metadata" in context.params and "metadata" in target:
            target["metadata"] = merge_metadata(target["metadata"] or {}, context.params["metadata"])
        for kind in self.events:
            context.emit(kind)


NOW = object()


_STATE_CHANGES: Mapping[tuple[str, str], StateChange] = {
    ("billing_meter", "deactivate"): StateChange(
        "inactive", ("active",), ("billing.meter.deactivated",),
        values={"status_transitions.deactivated_at": NOW, "updated": NOW},
    ),
    ("billing_meter", "reactivate"): StateChange(
        "active", ("inactive",), ("billing.meter.reactivated",),
        values={"status_transitions.deactivated_at": None, "updated": NOW},
    ),
    ("billing_alert", "activate"): StateChange("active", ("inactive",)),
    ("billing_alert", "deactivate"): StateChange("inactive", ("active",)),
    ("billing_alert", "archive"): StateChange("archived", ("active", "inactive")),
    ("billing_feedback_option", "deactivate"): StateChange("inactive", ("active",)),
    ("invoice_rendering_template", "archive"): StateChange("archived", ("active",)),
    ("invoice_rendering_template", "unarchive"): StateChange("active", ("archived",)),
    ("checkout_session", "expire"): StateChange(
        "expired", ("open",), ("checkout.session.expired",), values={"url": None},
        message='Only Checkout Sessions with a status in ["open"] can be expired. '
        "This Checkout Session has a status of `{state}`.",
    ),
    ("climate_order", "cancel"): StateChange(
        "canceled", ("awaiting_funds", "confirmed", "open"), ("climate.order.canceled",),
        values={"canceled_at": NOW, "cancellation_reason": "requested"},
    ),
    ("identity_verification_session", "cancel"): StateChange(
        "canceled", ("requires_input",), ("identity.verification_session.canceled",), values={"url": None}
    ),
    ("identity_verification_session", "redact"): StateChange(
        {"status": "processing"}, column="redaction", values={"last_verification_report": None, "url": None}
    ),
    ("financial_connections_account", "disconnect"): StateChange(
        "disconnected", ("active", "inactive"), ("financial_connections.account.disconnected",)
    ),
    ("issuing_dispute", "submit"): StateChange("submitted", ("unsubmitted",), ("issuing_dispute.submitted",)),
    ("issuing_authorization", "approve"): StateChange(
        True, column="approved", values={"status": "pending", "pending_request": None},
        events=("issuing_authorization.updated",),
    ),
    ("issuing_authorization", "decline"): StateChange(
        False, column="approved", values={"status": "closed", "pending_request": None},
        events=("issuing_authorization.updated",),
    ),
    ("treasury_financial_account", "close"): StateChange(
        "closed", ("open",), ("treasury.financial_account.closed",)
    ),
    ("treasury_inbound_transfer", "cancel"): StateChange(
        "canceled", ("processing",), ("treasury.inbound_transfer.canceled",),
        values={"cancelable": False, "status_transitions.canceled_at": NOW},
    ),
    ("treasury_outbound_payment", "cancel"): StateChange(
        "canceled", ("processing",), ("treasury.outbound_payment.canceled",),
        values={"cancelable": False, "status_transitions.canceled_at": NOW},
    ),
    ("treasury_outbound_transfer", "cancel"): StateChange(
        "canceled", ("processing",), ("treasury.outbound_transfer.canceled",),
        values={"cancelable": False, "status_transitions.canceled_at": NOW},
    ),
    ("three_d_secure_authentication", "cancel"): StateChange(
        "canceled", ("requires_submission", "requires_challenge"), ("three_d_secure.authentication.canceled",)
    ),
    ("three_d_secure_authentication", "submit"): StateChange(
        "succeeded", ("requires_submission",), ("three_d_secure.authentication.succeeded",)
    ),
    ("apps_install", "uninstall"): StateChange("uninstalling", ("installed",), ("apps.install.updated",)),
    ("payment_method_domain", "validate"): StateChange(True, column="enabled"),
    ("terminal_reader", "cancel_action"): StateChange(None, column="action"),
}  # fmt: skip
# By path below /v1/test_helpers: the resource whose object changes, and the change.
_TEST_HELPERS: Mapping[str, tuple[str, StateChange]] = {
    **{
        f"issuing/cards/{{card}}/shipping/{verb}": ("issuing_card", StateChange(
            state, column="", values={"shipping.status": state}, events=("issuing_card.updated",)
        ))
        for verb, state in {
            "deliver": "delivered", "fail": "failure", "return": "returned", "ship": "shipped",
            "submit": "submitted",
        }.items()
    },
    "issuing/authorizations/{authorization}/expire": ("issuing_authorization", StateChange(
        "expired", ("pending",), ("issuing_authorization.updated",)
    )),
    "issuing/authorizations/{authorization}/reverse": ("issuing_authorization", StateChange(
        "reversed", ("pending",), ("issuing_authorization.updated",)
    )),
    "issuing/authorizations/{authorization}/capture": ("issuing_authorization", StateChange(
        "closed", ("pending",), ("issuing_authorization.updated",)
    )),
    **{
        f"issuing/personalization_designs/{{personalization_design}}/{verb}": (
            "issuing_personalization_design",
            StateChange(state, events=(f"issuing_personalization_design.{event}",)),
        )
        for verb, state, event in (
            ("activate", "active", "activated"), ("deactivate", "inactive", "deactivated"),
            ("reject", "rejected", "rejected"),
        )
    },
    "refunds/{refund}/expire": ("refund", StateChange("failed", ("requires_action",), ("refund.failed",))),
    **{
        f"treasury/inbound_transfers/{{id}}/{verb}": ("treasury_inbound_transfer", StateChange(
            state, ("processing",), (f"treasury.inbound_transfer.{state}",), values={"cancelable": False}
        ))
        for verb, state in {"fail": "failed", "succeed": "succeeded"}.items()
    },
    "treasury/inbound_transfers/{id}/return": ("treasury_inbound_transfer", StateChange(
        True, column="returned", sources=(False, None)
    )),
    **{
        f"treasury/{kind}s/{{{name}}}/{verb}": (f"treasury_{kind}", StateChange(
            state, sources, (f"treasury.{kind}.{state}",), values={"cancelable": False}
        ))
        for kind, name in (("outbound_payment", "id"), ("outbound_transfer", "outbound_transfer"))
        for verb, state, sources in (
            ("fail", "failed", ("processing",)), ("post", "posted", ("processing",)),
            ("return", "returned", ("posted", "processing")),
        )
    },
}  # fmt: skip


def _test_helper(resource: str, move: StateChange) -> Callable[[ApiRequest], ApiResponse]:
    """Return the function that answers a test helper which changes the state of an object."""

    def answer(request: ApiRequest) -> ApiResponse:
        assert request.route.operation is not None
        collection = request.account.collection(resource)
        position = collection.position(request.ids[0])
        if position is None or collection.is_deleted(position):
            raise missing_object(request, collection.resource.object, 0)
        params = validate_parameters(request, request.route.operation)
        return object_response(request, apply_state_change(request, resource, position, params, move))

    return answer


def apply_state_change(
    request: ApiRequest, resource: str, position: int, params: Json, move: StateChange
) -> Json:
    """Change the object at a position, for an operation whose path does not name it, and return it."""
    collection = request.account.collection(resource)
    before = collection.read(position)
    context = OperationContext(request, params, collection, position, before, deepcopy(before))
    move.apply(context)
    context.write()
    context.finish()
    return context.object


HANDLERS = Handlers(
    operations={
        **{key: move.apply for key, move in _STATE_CHANGES.items()},
    },
    routes={
        **{
            ("POST", f"/v1/test_helpers/{path}"): _test_helper(resource, move)
            for path, (resource, move) in _TEST_HELPERS.items()
        },
    },
)
