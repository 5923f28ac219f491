"""Columns that Stripe makes anew for a response: two answers about one state of an object differ in them."""

from __future__ import annotations

# Table → columns. All are addresses with a token that expires.
VOLATILE: dict[str, tuple[str, ...]] = {
    "charge": ("receipt_url",),  # https://docs.stripe.com/receipts
    "checkout_session": ("url",),
    "credit_note": ("pdf",),
    "file": ("links", "url"),  # https://docs.stripe.com/file-upload
    "file_link": ("url",),
    "identity_verification_session": ("url",),
    "invoice": ("hosted_invoice_url", "invoice_pdf"),  # https://docs.stripe.com/invoicing/hosted-invoice-page
    "treasury_credit_reversal": ("hosted_regulatory_receipt_url",),
    "treasury_debit_reversal": ("hosted_regulatory_receipt_url",),
    "treasury_inbound_transfer": ("hosted_regulatory_receipt_url",),
    "treasury_outbound_payment": ("hosted_regulatory_receipt_url",),
    "treasury_outbound_transfer": ("hosted_regulatory_receipt_url",),
    "treasury_received_credit": ("hosted_regulatory_receipt_url",),
    "treasury_received_debit": ("hosted_regulatory_receipt_url",),
}
