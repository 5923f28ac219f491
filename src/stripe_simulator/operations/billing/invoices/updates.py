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
# What can still be changed when an invoice is no draft any more.
_EDITABLE_WHEN_OPEN = frozenset(
    {
        "auto_advance", "automatically_finalizes_at", "collection_method", "days_until_due",
        "default_payment_method", "default_source", "due_date", "metadata", "payment_settings", "rendering",
    }
)  # fmt: skip

_ALWAYS_EDITABLE = frozenset({"metadata", "rendering"})


def update(context: OperationContext) -> None:
    """What was sent, where the state of the invoice allows it."""
    request, made, params, before = context.request, context.object, context.params, context.before
    if before["status"] != "draft":
        allowed = _EDITABLE_WHEN_OPEN if before["status"] in {"open", "uncollectible"} else _ALWAYS_EDITABLE
        if not allowed.issuperset(params):
            raise StripeError("Finalized invoices can't be updated in this way", code="invoice_not_editable")
        return
    invoice_payments.check_payment_method(
        request, params.get("default_payment_method"), made["customer"], "default_payment_method"
    )
    if "collection_method" in params:
        check_due_date(made, {"days_until_due": None, "due_date": made.get("due_date"), **params})
    if params.get("days_until_due") is not None:
        made["due_date"] = made["created"] + int(params["days_until_due"]) * _DAY
    made["discounts"] = list(before["discounts"])
    if "discounts" in params:
        made["discounts"] = discounts.apply_discounts(request, params["discounts"], made, "invoice")
    made["default_tax_rates"] = _as_list(params.get("default_tax_rates", before["default_tax_rates"]))
    if "auto_advance" in params:
        later = made["created"] + _HOUR if made["auto_advance"] else None
        made["automatically_finalizes_at"] = params.get("automatically_finalizes_at") or later
    if "discounts" in params or "default_tax_rates" in params:
        update_totals(request, made)


def _as_list(value: Any) -> list[Any]:
    return list(value or ())


def delete(context: OperationContext) -> None:
    """A draft that no subscription made."""
    made = context.object
    if made["status"] != "draft":
        raise StripeError("You can only delete draft invoices. To void this invoice, use the void endpoint.")
    if made["billing_reason"] not in {"manual", None} and invoice_payments.subscription_id_of(made):
        raise StripeError("You can't delete invoices created by subscriptions.")
    lines.release_invoice_items(context.request, made)


def stop_auto_advance(request: ApiRequest, subscription: Json) -> None:
    """Drafts of a subscription that ended stay, and nobody is charged for them."""
    for invoice in find_by(request, "invoice", "subscription", subscription["id"]):
        if invoice["status"] in {"draft", "open"} and invoice["auto_advance"]:
            save(
                request, "invoice", invoice | {"auto_advance": False, "automatically_finalizes_at": None},
                "invoice.updated", before=invoice,
            )  # fmt: skip


HANDLERS = Handlers(
    on_update={
        "invoice": update,
    },
    on_delete={
        "invoice": delete,
    },
)
