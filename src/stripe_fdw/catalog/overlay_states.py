"""Changes of a column that are operations of Stripe's. Written by hand: the SDK's types don't say them.

Source: what Stripe's API reference says of each operation, as it stands in the SDK's docstrings: which state
it leads to, and from which it is accepted. An entry that does not fit the SDK makes the build fail.
"""

from __future__ import annotations

from dataclasses import dataclass

from stripe_fdw.catalog.model import ANY


@dataclass(frozen=True)
class State:
    """A value of a column that an operation reaches; the fields are those of model.Transition."""

    column: str
    value: str | None
    operation: str  # the SDK's name of the method
    sources: tuple[str, ...] = ()
    sends: str = ""
    parameters: tuple[tuple[str, str], ...] = ()


# Words that are no state of Stripe's but ask for an operation that leaves the state as it is.
WORDS: dict[tuple[str, str], tuple[str, ...]] = {
    ("invoice", "status"): ("sent",),  # mails the invoice
}


def _status(value: str, operation: str, *sources: str) -> State:
    return State("status", value, operation, sources)


TRANSITIONS: dict[str, tuple[State, ...]] = {
    "apps_install": (_status("uninstalling", "uninstall"),),
    "billing_alert": (
        _status("active", "activate"),
        _status("archived", "archive"),
        _status("inactive", "deactivate"),
    ),
    "billing_feedback_option": (_status("inactive", "deactivate"),),
    "billing_meter": (_status("active", "reactivate"), _status("inactive", "deactivate")),
    "charge": (State("captured", "true", "capture"),),
    "checkout_session": (_status("expired", "expire", "open"),),
    "climate_order": (_status("canceled", "cancel"),),
    "credit_note": (_status("void", "void_credit_note", "issued"),),
    "dispute": (_status("lost", "close"),),
    "financial_connections_account": (_status("disconnected", "disconnect"),),
    "identity_verification_session": (_status("canceled", "cancel", "requires_input"),),
    "invoice": (
        _status("open", "finalize_invoice", "draft"),
        _status("paid", "pay", "draft", "open", "uncollectible"),
        _status("uncollectible", "mark_uncollectible", "open"),
        _status("void", "void_invoice", "open", "uncollectible"),
        _status("sent", "send_invoice", "draft", "open"),
    ),
    "invoice_rendering_template": (_status("active", "unarchive"), _status("archived", "archive")),
    "issuing_dispute": (_status("submitted", "submit"),),
    "payment_intent": (
        _status("canceled", "cancel"),
        _status("succeeded", "capture", "requires_capture"),
        _status("succeeded", "confirm", "requires_confirmation", "requires_payment_method"),
    ),
    "payment_method": (
        State("customer", None, "detach"),
        State("customer", ANY, "attach", sends="customer"),
    ),
    "payout": (_status("canceled", "cancel", "pending"),),
    "quote": (
        _status("canceled", "cancel"),
        _status("accepted", "accept", "open"),
        _status("open", "finalize_quote", "draft"),
    ),
    "refund": (_status("canceled", "cancel"),),
    "review": (State("open", "false", "approve"),),
    "setup_intent": (_status("canceled", "cancel"),),
    "subscription": (
        _status("canceled", "cancel"),
        _status("active", "resume", "paused"),
        _status("paused", "pause"),
    ),
    "subscription_schedule": (_status("canceled", "cancel"), _status("released", "release")),
    "three_d_secure_authentication": (_status("canceled", "cancel"),),
    "topup": (_status("canceled", "cancel", "pending"),),
    "treasury_financial_account": (_status("closed", "close"),),
    "treasury_inbound_transfer": (_status("canceled", "cancel"),),
    "treasury_outbound_payment": (_status("canceled", "cancel"),),
    "treasury_outbound_transfer": (_status("canceled", "cancel"),),
}
