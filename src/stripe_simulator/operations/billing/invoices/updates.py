"""Updating and deleting invoices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stripe_simulator.errors import StripeError
from stripe_simulator.objects.related import find_by, save
from stripe_simulator.operations.billing import discounts
from stripe_simulator.operations.billing.invoices import invoice_payments, lines
from stripe_simulator.operations.billing.invoices.creation import check_due_date
from stripe_simulator.operations.billing.invoices.totals import update_totals
from stripe_simulator.operations.handlers import Handlers

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import OperationContext
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.types import Json

_HOUR = 3600
_DAY = 86_400
# Parameters that a finalized invoice accepts, while it is not paid or void; the others below always.
_EDITABLE_WHEN_OPEN = frozenset(
    {
        "auto_advance", "automatically_finalizes_at", "collection_method", "days_until_due",
        "default_payment_method", "default_source", "due_date", "metadata", "payment_settings", "rendering",
    }
)  # fmt: skip

_ALWAYS_EDITABLE = frozenset({"metadata", "rendering"})


def update(context: OperationContext) -> None:
    """Update an invoice, as far as its status allows."""
    request, invoice, params, before = context.request, context.object, context.params, context.before
    if before["status"] != "draft":
        editable = _EDITABLE_WHEN_OPEN if before["status"] in {"open", "uncollectible"} else _ALWAYS_EDITABLE
        if not editable.issuperset(params):
            raise StripeError("Finalized invoices can't be updated in this way")
        return
    invoice_payments.check_payment_method(
        request, params.get("default_payment_method"), invoice["customer"], "default_payment_method"
    )
    if "collection_method" in params:
        check_due_date(invoice, {"days_until_due": None, "due_date": invoice.get("due_date"), **params})
    if params.get("days_until_due") is not None:
        invoice["due_date"] = invoice["created"] + int(params["days_until_due"]) * _DAY
    invoice["discounts"] = list(before["discounts"])
    if "discounts" in params:
        invoice["discounts"] = discounts.apply_discounts(request, params["discounts"], invoice, "invoice")
    invoice["default_tax_rates"] = _as_list(params.get("default_tax_rates", before["default_tax_rates"]))
    if "auto_advance" in params:
        finalizes_at = invoice["created"] + _HOUR if invoice["auto_advance"] else None
        invoice["automatically_finalizes_at"] = params.get("automatically_finalizes_at") or finalizes_at
    if "discounts" in params or "default_tax_rates" in params:
        update_totals(request, invoice)


def _as_list(value: Any) -> list[Any]:
    return list(value or ())


def delete(context: OperationContext) -> None:
    """Delete a draft that was not created by a subscription."""
    invoice = context.object
    if invoice["status"] != "draft":
        raise StripeError("You can only delete draft invoices. To void this invoice, use the void endpoint.")
    if invoice["billing_reason"] not in {"manual", None} and invoice_payments.subscription_id_of(invoice):
        raise StripeError("You can't delete invoices created by subscriptions.")
    lines.release_invoice_items(context.request, invoice)


_NOT_COLLECTED: Json = {
    "auto_advance": False,
    "automatically_finalizes_at": None,
    "next_payment_attempt": None,
}


def stop_auto_advance(request: ApiRequest, subscription: Json) -> None:
    """Stop the automatic collection of the draft and open invoices of a subscription that ended."""
    for invoice in find_by(request, "invoice", "subscription", subscription["id"]):
        if invoice["status"] in {"draft", "open"} and invoice["auto_advance"]:
            save(
                request,
                "invoice",
                invoice | dict(_NOT_COLLECTED),
                "invoice.updated",
                before=invoice,
            )


HANDLERS = Handlers(
    on_update={
        "invoice": update,
    },
    on_delete={
        "invoice": delete,
    },
)
