"""Changes of a column that are operations, written by hand, since the SDK's types do not show them.

Source: Stripe's API reference as quoted in the SDK's docstrings. It says to which state each operation leads
and from which states it is accepted. Where it does not name the latter, none are listed and Stripe decides.
An entry that does not fit the SDK makes the build fail.
"""

from __future__ import annotations

from dataclasses import dataclass

from stripe_fdw.catalog.model import ANY_VALUE


@dataclass(frozen=True)
class TransitionEntry:
    """A change of a column and its operation; the fields are those of model.Transition."""

    column: str
    value: str | None
    operation: str  # the SDK's name of the method; "update" for the table's own
    sources: tuple[str, ...] = ()
    value_parameter: str = ""
    extra_parameters: tuple[tuple[str, str], ...] = ()
    before_update: bool = False
    conditions: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def ends_object(self) -> bool:
        """Return True if the operation is the closest to deleting the row."""
        return self.value is None or self.value in _ENDS


# Values that are no states of Stripe's. They ask for an operation that leaves the state as it is.
PSEUDO_STATES: dict[tuple[str, str], tuple[str, ...]] = {
    ("invoice", "status"): ("sent",),  # mails the invoice
    # Debits the bank account with another payout, which reversed_by names.
    ("payout", "status"): ("reversed",),
}


_ENDS = ("canceled", "void", "expired", "archived", "inactive", "closed", "disconnected", "uninstalling")
_RUNNING = (
    "active",
    "incomplete",
    "past_due",
    "trialing",
    "unpaid",
)  # a subscription that ended has no transition
_UNCONFIRMED = ("requires_payment_method", "requires_confirmation", "requires_action")


def _status(value: str, operation: str, *sources: str) -> TransitionEntry:
    return TransitionEntry("status", value, operation, sources)


def _confirmed(value: str, *capture_methods: str) -> TransitionEntry:
    """Return the confirmation of a payment, which captures or holds the money depending on capture_method."""
    return TransitionEntry(
        "status", value, "confirm", _UNCONFIRMED, conditions=(("capture_method", capture_methods),)
    )


def _updated(column: str, value: str, parameter: str, sent: str, *sources: str) -> TransitionEntry:
    """Return a change of state that a parameter of another name makes in an update."""
    return TransitionEntry(column, value, "update", sources, extra_parameters=((parameter, sent),))


_ARCHIVED = (
    TransitionEntry("archived", "true", "archive"),
    TransitionEntry("archived", "false", "unarchive"),
)

TRANSITIONS: dict[str, tuple[TransitionEntry, ...]] = {
    "apps_install": (_status("uninstalling", "uninstall"),),
    # Archiving is final.
    "billing_alert": (
        _status("active", "activate", "inactive"),
        _status("inactive", "deactivate", "active"),
        _status("archived", "archive", "active", "inactive"),
    ),
    # A void grant has the time since when. Stripe uses the time of the request, whatever value is written.
    "billing_credit_grant": (TransitionEntry("voided_at", ANY_VALUE, "void_grant"),),
    "billing_feedback_option": (_status("inactive", "deactivate", "active"),),
    "billing_meter": (
        _status("active", "reactivate", "inactive"),
        _status("inactive", "deactivate", "active"),
    ),
    "charge": (TransitionEntry("captured", "true", "capture", ("false",)),),
    "checkout_session": (_status("expired", "expire", "open"),),
    "climate_order": (_status("canceled", "cancel"),),
    "credit_note": (_status("void", "void_credit_note", "issued"),),
    # The discount can only be removed. The response is the discount that was removed.
    "customer": (TransitionEntry("discount", None, "delete_discount"),),
    # Of a bank account; the two amounts are given in _params.
    "customer_source": (_status("verified", "verify"),),
    # Submitting is final; the column evidence is sent with it.
    "dispute": (
        _status("lost", "close", "needs_response"),
        _updated("status", "under_review", "submit", "true", "needs_response"),
    ),
    "file_link": (_updated("expired", "true", "expires_at", "now", "false"),),
    "financial_connections_account": (_status("disconnected", "disconnect", "active", "inactive"),),
    "identity_verification_session": (_status("canceled", "cancel", "requires_input"),),
    # https://docs.stripe.com/invoicing/overview#invoice-statuses. Drafts are finalized before they are sent
    # or paid; an uncollectible invoice can still be paid or voided. A paid one cannot be sent (recorded).
    "invoice": (
        _status("open", "finalize_invoice", "draft"),
        _status("paid", "pay", "draft", "open", "uncollectible"),
        _status("uncollectible", "mark_uncollectible", "open"),
        _status("void", "void_invoice", "open", "uncollectible"),
        _status("sent", "send_invoice", "draft", "open", "uncollectible"),
    ),
    "invoice_rendering_template": (
        _status("active", "unarchive", "archived"),
        _status("archived", "archive", "active"),
    ),
    "issuing_dispute": (_status("submitted", "submit", "unsubmitted"),),
    # Confirming captures the money at once, or holds it where capture_method is manual: only then does it
    # lead to requires_capture. From `processing` Stripe cancels in rare cases.
    "payment_intent": (
        _status("canceled", "cancel", *_UNCONFIRMED, "requires_capture", "processing"),
        _status("succeeded", "capture", "requires_capture"),
        _confirmed("succeeded", "automatic", "automatic_async"),
        _confirmed("requires_capture", "manual"),
        _confirmed("processing", "automatic", "automatic_async"),
    ),
    # "A PaymentMethod must be attached to a customer to be updated."
    "payment_method": (
        TransitionEntry("customer", None, "detach"),
        TransitionEntry("customer", ANY_VALUE, "attach", value_parameter="customer", before_update=True),
        TransitionEntry("customer_account", None, "detach"),
        TransitionEntry(
            "customer_account", ANY_VALUE, "attach", value_parameter="customer_account", before_update=True
        ),
    ),
    "payout": (
        _status("canceled", "cancel", "pending"),
        _status("reversed", "reverse", "in_transit", "paid"),
    ),
    # https://docs.stripe.com/quotes/overview#quote-lifecycle
    "quote": (
        _status("open", "finalize_quote", "draft"),
        _status("accepted", "accept", "open"),
        _status("canceled", "cancel", "draft", "open"),
    ),
    "refund": (_status("canceled", "cancel", "requires_action"),),
    "review": (TransitionEntry("open", "false", "approve", ("true",)),),
    "setup_intent": (
        _status("canceled", "cancel", *_UNCONFIRMED),
        _status("succeeded", "confirm", *_UNCONFIRMED),
    ),
    # Canceling ends the subscription at once; at the end of the period it is the column cancel_at_period_end.
    # A trial ends at once with trial_end=now. After `resume` it stays paused, with a pending update, while
    # the invoice of the resumption is open (recorded).
    "subscription": (
        _status("canceled", "cancel", *_RUNNING, "paused"),
        _status("active", "resume", "paused"),
        _updated("status", "active", "trial_end", "now", "trialing"),
        _status("paused", "pause", *_RUNNING),
        TransitionEntry("billing_mode", ANY_VALUE, "migrate", value_parameter="billing_mode"),
    ),
    "subscription_schedule": (
        _status("canceled", "cancel", "not_started", "active"),
        _status("released", "release", "not_started", "active"),
    ),
    "tax_registration": (_updated("status", "expired", "expires_at", "now", "active", "scheduled"),),
    # The action that the reader is carrying out.
    "terminal_reader": (TransitionEntry("action", None, "cancel_action"),),
    "test_helpers_test_clock": (
        TransitionEntry("frozen_time", ANY_VALUE, "advance", value_parameter="frozen_time"),
    ),
    "three_d_secure_authentication": (
        _status("canceled", "cancel", "requires_submission", "requires_challenge"),
        _status("succeeded", "submit", "requires_submission"),
    ),
    "topup": (_status("canceled", "cancel", "pending"),),
    "treasury_financial_account": (_status("closed", "close", "open"),),
    "treasury_inbound_transfer": (_status("canceled", "cancel", "processing"),),
    "treasury_outbound_payment": (_status("canceled", "cancel", "processing"),),
    "treasury_outbound_transfer": (_status("canceled", "cancel", "processing"),),
    "webhook_endpoint": (
        _updated("status", "disabled", "disabled", "true", "enabled"),
        _updated("status", "enabled", "disabled", "false", "disabled"),
    ),
    # Stripe wants applied_configurations of all of its configurations, in _params.
    "v2_core_account": (TransitionEntry("closed", "true", "close"),),
    "v2_core_event_destination": (
        _status("disabled", "disable", "enabled"),
        _status("enabled", "enable", "disabled"),
    ),
    "v2_core_vault_gb_bank_account": _ARCHIVED,
    "v2_core_vault_us_bank_account": _ARCHIVED,
    "v2_money_management_outbound_payment": (_status("canceled", "cancel"),),
    "v2_money_management_outbound_setup_intent": (_status("canceled", "cancel"),),
    "v2_money_management_payout_intent": (_status("canceled", "cancel"),),
    "v2_money_management_payout_method": _ARCHIVED,
}

_REFUND = "To refund it: INSERT INTO stripe_live.refund (charge, amount) VALUES ('ch_...', ...);"
_ITEM = "Add an invoice item: INSERT INTO stripe_live.invoiceitem (customer, invoice, amount) ..."

_CREDIT = (
    "To correct it: INSERT INTO stripe_live.credit_note (invoice, amount, _params)"
    """ VALUES ({id}, ..., '{"credit_amount": ...}');"""
)
_VOID = "Void it, and INSERT another: UPDATE stripe_live.invoice SET status = 'void' WHERE id = {id};"
_FINAL_ITEM = (
    "A finalized invoice keeps its items: void the invoice, or"
    " INSERT INTO stripe_live.credit_note (invoice, amount) VALUES ({invoice}, ...);"
)
_EXTERNAL = "Write stripe_live.customer_source, or stripe_live.external_account."
_REFUND_INTENT = "To refund it: INSERT INTO stripe_live.refund (payment_intent) VALUES ({id});"
_REVERSE = "Take it back: UPDATE stripe_live.payout SET status = 'reversed' WHERE id = {id};"

# Hints for creating an object that Stripe creates itself ("insert"), deleting one that cannot be deleted
# ("delete"), changing one whose state does not allow it ("update"), or setting a column whose value is
# written elsewhere. "delete paid" is for objects with this status. {id} is the row's id, and so with other
# columns. Where TRANSITIONS has an operation that ends the object, "delete" is needed for other states only.
HINTS: dict[str, dict[str, str]] = {
    "charge": {
        "amount_refunded": _REFUND,
        "delete": "To refund it: INSERT INTO stripe_live.refund (charge) VALUES ({id});",
        "refunded": _REFUND,
        "status": "It depends on the payment: UPDATE stripe_live.payment_intent, which creates charges.",
    },
    "customer": {
        "discount": (
            "A coupon is applied to a subscription: UPDATE stripe_live.subscription"
            """ SET discounts = '[{"coupon": "..."}]' WHERE id = 'sub_...';"""
        )
    },
    "checkout_session": {
        "delete complete": (
            "To refund it: INSERT INTO stripe_live.refund (payment_intent) VALUES ({payment_intent});"
        )
    },
    "customer_balance_transaction": {"delete": "Add one with the opposite amount."},
    # The operation of a subscription does not name one of its discounts.
    "discount": {
        "delete": (
            "A subscription's discounts are its column:"
            " UPDATE stripe_live.subscription SET discounts = '[...]' WHERE id = {subscription};"
        ),
        "insert": (
            "Redeem a coupon:"
            """ UPDATE stripe_live.subscription SET discounts = '[{"coupon": "..."}]' WHERE id = 'sub_...';"""
        ),
    },
    # The default account of a currency cannot be deleted.
    "external_account": {
        "delete": (
            "Make another the default first: UPDATE stripe_live.external_account"
            " SET default_for_currency = true WHERE account = {account} AND id = '...';"
        )
    },
    "invoice": {
        "amount_due": _ITEM,
        "subtotal": _ITEM,
        "total": _ITEM,
        "delete paid": _CREDIT,
        "update open": _VOID,
        "update paid": _CREDIT,
        "update uncollectible": _VOID,
    },
    "invoiceitem": {"delete": _FINAL_ITEM, "update": _FINAL_ITEM},
    "line_item": {"insert": _ITEM},
    "payment_intent": {
        "delete succeeded": _REFUND_INTENT,
        "update requires_capture": (
            "To capture less: UPDATE stripe_live.payment_intent SET status = 'succeeded',"
            """ _params = '{"amount_to_capture": ...}' WHERE id = {id};"""
        ),
        "update succeeded": _REFUND_INTENT,
    },
    "payout": {"delete in_transit": _REVERSE, "delete paid": _REVERSE},
    "quote": {
        "delete accepted": (
            "To end what it started: DELETE FROM stripe_live.subscription WHERE id = {subscription};"
        ),
        "update accepted": (
            "Change what it started: UPDATE stripe_live.subscription SET ... WHERE id = {subscription};"
        ),
        "update open": (
            "Cancel it, and INSERT another: UPDATE stripe_live.quote SET status = 'canceled' WHERE id = {id};"
        ),
    },
    "subscription_item": {
        "delete": (
            "The last item ends with its subscription:"
            " DELETE FROM stripe_live.subscription WHERE id = {subscription};"
        )
    },
    "bank_account": dict.fromkeys(("delete", "insert", "update"), _EXTERNAL),
    "card": dict.fromkeys(("delete", "insert", "update"), _EXTERNAL),
    "tax_transaction": {
        "delete": "Reverse it: stripe_live.call('POST', '/v1/tax/transactions/create_reversal', ...).",
        "insert": (
            "Commit a calculation:"
            " stripe_live.call('POST', '/v1/tax/transactions/create_from_calculation', ...)."
        ),
    },
    "tax_id": {"customer": "Insert into stripe_live.customer_tax_id, or set owner_customer."},
    "transfer": {
        "delete": "Take it back: INSERT INTO stripe_live.transfer_reversal (transfer) VALUES ({id});"
    },
    "upcoming_invoice": {"insert": "It is computed when it is read: SELECT ... WHERE customer = 'cus_...'."},
}

# Rows that exist after DELETE, in another state; a second DELETE of them gets an error from Stripe.
DELETED_WHEN: dict[str, tuple[tuple[str, str], ...]] = {
    "subscription": (("status", "canceled"), ("status", "incomplete_expired")),
}
