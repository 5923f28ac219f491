"""States that an object does not leave: of two events of one second, that of such a state is the later one.

They decide until the object is asked for, so a state is left out that Stripe leaves now and then: a payout
that is paid may still fail.
"""

from __future__ import annotations

# Table → states of its column ``status``. https://docs.stripe.com/api has each on the page of the object.
FINAL_STATES: dict[str, tuple[str, ...]] = {
    "charge": ("failed", "succeeded"),  # from pending; refunds and disputes leave the status
    "checkout_session": ("complete", "expired"),  # only an open one can still be paid
    "climate_order": ("canceled", "delivered"),
    "credit_note": ("void",),
    "dispute": ("lost", "warning_closed", "won"),  # the issuer has decided
    "invoice": ("paid", "void"),  # an uncollectible one can still be paid
    "invoice_payment": ("canceled", "paid"),
    "issuing_authorization": ("closed", "expired", "reversed"),
    "issuing_card": ("canceled",),  # it cannot be activated again
    "issuing_dispute": ("expired", "lost", "won"),
    "payment_intent": ("canceled", "succeeded"),  # no request changes it any more
    "payout": ("canceled", "failed"),
    "quote": ("accepted", "canceled"),
    "refund": ("canceled", "failed"),  # one that succeeded may fail at the bank
    "reporting_report_run": ("failed", "succeeded"),
    "setup_intent": ("canceled", "succeeded"),
    "subscription": ("canceled", "incomplete_expired"),  # it is not renewed, and cannot be resumed
    "subscription_schedule": ("canceled", "completed", "released"),  # it governs no subscription any more
    "topup": ("canceled", "failed", "reversed"),
    "treasury_financial_account": ("closed",),
    "treasury_inbound_transfer": ("canceled", "failed"),
    "treasury_outbound_payment": ("canceled", "failed", "returned"),
    "treasury_outbound_transfer": ("canceled", "failed", "returned"),
}
