"""Creating draft invoices: by request, for a subscription, as a revision."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

from stripe_simulator import errors
from stripe_simulator.errors import StripeError
from stripe_simulator.objects import test_clocks
from stripe_simulator.objects.events import emit_event
from stripe_simulator.objects.related import get_or_none, get_referenced_copy, new_object, save
from stripe_simulator.operations.billing import discounts
from stripe_simulator.operations.billing.invoices import invoice_payments, lines
from stripe_simulator.operations.billing.invoices.invoice_items import item_subscription_id, pending_items
from stripe_simulator.operations.billing.invoices.totals import invoice_lines, update_totals
from stripe_simulator.operations.handlers import Handlers
from stripe_simulator.world.embedded import embedded_list

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import OperationContext
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.types import Json

_DAY = 86_400
_HOUR = 3600


def fill_new_invoice(request: ApiRequest, customer: Json, invoice: Json, currency: str) -> None:
    """Set the fields that every new invoice of a customer has."""
    now = test_clocks.now(request, {"customer": customer["id"]})
    invoice |= {
        "account_country": "US",
        "account_name": "Simulated",
        "attempt_count": 0,
        "attempted": False,
        "automatic_tax": {
            "disabled_reason": None, "enabled": False, "liability": None, "provider": None, "status": None,
        },
        "created": now,
        "currency": currency,
        "customer": customer["id"],
        "customer_address": customer.get("address"),
        "customer_email": customer.get("email"),
        "customer_name": customer.get("name"),
        "customer_phone": customer.get("phone"),
        "customer_shipping": customer.get("shipping"),
        "customer_tax_exempt": customer.get("tax_exempt"),
        "customer_tax_ids": [],
        "default_tax_rates": invoice.get("default_tax_rates") or [],
        "discounts": [],
        "issuer": {"type": "self"},
        "lines": embedded_list([], f"/v1/invoices/{invoice['id']}/lines"),
        "metadata": invoice.get("metadata") or {},
        "period_end": now,
        "period_start": now,
        "starting_balance": int(customer.get("balance") or 0),
        "status": "draft",
        "status_transitions": dict.fromkeys(
            ("finalized_at", "marked_uncollectible_at", "paid_at", "voided_at")
        ),
        "test_clock": customer.get("test_clock"),
        "total_pretax_credit_amounts": [],
        "webhooks_delivered_at": now,
    }  # fmt: skip
    defaults = {"default_mandate": None, "payment_method_options": None, "payment_method_types": None}
    invoice["payment_settings"] = defaults | (invoice.get("payment_settings") or {})


def create_for_subscription(request: ApiRequest, subscription: Json, reason: str, values: list[Json]) -> Json:
    """Create a draft invoice for a subscription, from lines and from the pending invoice items."""
    customer = get_or_none(request, "customer", subscription["customer"])
    assert customer is not None
    invoice = new_object(request, "invoice")
    fill_new_invoice(request, customer, invoice, subscription["currency"])
    metadata = dict(subscription.get("metadata") or {})
    invoice |= {
        "auto_advance": True,
        "billing_reason": reason,
        "collection_method": subscription["collection_method"],
        "days_until_due": subscription.get("days_until_due"),
        "default_tax_rates": list(subscription.get("default_tax_rates") or ()),
        "parent": {
            "quote_details": None,
            "subscription_details": {"metadata": metadata, "subscription": subscription["id"]},
            "type": "subscription_details",
        },
    }
    active = discounts.active_discounts(
        request, list(subscription.get("discounts") or ()), invoice["created"]
    )
    invoice["discounts"] = active
    save(request, "invoice", invoice)
    for line in values:
        lines.add_line(request, invoice, line)
    lines.add_invoice_items(
        request, invoice, pending_items(request, customer["id"], invoice["currency"], subscription["id"])
    )
    update_totals(request, invoice)
    if invoice["collection_method"] == "send_invoice":
        invoice["automatically_finalizes_at"] = invoice["created"] + _HOUR
    save(request, "invoice", invoice)
    emit_event(request, "invoice.created", invoice)
    _remove_used_discounts(request, subscription, invoice)
    return invoice


def _remove_used_discounts(request: ApiRequest, subscription: Json, invoice: Json) -> None:
    """Remove the discounts for one invoice that this invoice used. An invoice of a trial uses none."""
    ids = subscription.get("discounts") or []
    used = {discount["discount"] for discount in invoice["total_discount_amounts"] if discount["amount"]}
    subscription["discounts"] = [
        discount
        for discount in ids
        if discount in request.account.discounts
        and not (discount in used and discounts.applies_once(request, discount))
    ]


def create(context: OperationContext) -> None:
    """Create a draft invoice by request."""
    request, invoice, params = context.request, context.object, context.params
    if params.get("from_invoice"):
        _create_revision(context)
        return
    subscription = _requested_subscription(request, params)
    if subscription is not None:
        params.setdefault("customer", subscription["customer"])
    if not params.get("customer"):
        raise errors.missing_parameter("customer")
    customer = get_referenced_copy(request, "customer", params["customer"], "customer")
    currency = params.get("currency") or (subscription or customer).get("currency") or "usd"
    check_due_date(invoice, params)
    invoice_payments.check_payment_method(
        request, params.get("default_payment_method"), customer["id"], "default_payment_method"
    )
    discounts.check_discounts(
        request, params.get("discounts"), {"customer": customer["id"], "currency": currency}
    )
    items_to_invoice = _items_to_invoice(request, customer["id"], str(currency).lower(), subscription, params)
    fill_new_invoice(request, customer, invoice, str(currency).lower())
    _set_dates(invoice, params)
    if subscription is not None:
        invoice["parent"] = {
            "quote_details": None,
            "subscription_details": {
                "metadata": dict(subscription.get("metadata") or {}), "subscription": subscription["id"],
            },
            "type": "subscription_details",
        }  # fmt: skip
        invoice["billing_reason"] = "manual"
    context.write()
    invoice["discounts"] = discounts.apply_discounts(request, params.get("discounts"), invoice, "invoice")
    if "discounts" not in params and subscription is not None:
        invoice["discounts"] = discounts.active_discounts(
            request, list(subscription["discounts"]), invoice["created"]
        )
    lines.add_invoice_items(request, invoice, items_to_invoice)
    update_totals(request, invoice)


def _requested_subscription(request: ApiRequest, params: Json) -> Json | None:
    if not params.get("subscription"):
        return None
    subscription = get_referenced_copy(request, "subscription", params["subscription"], "subscription")
    if params.get("customer") not in {None, subscription["customer"]}:
        raise errors.no_object("subscription", params["subscription"], "subscription", status=400)
    return subscription


def _items_to_invoice(
    request: ApiRequest, customer: str, currency: str, subscription: Json | None, params: Json
) -> list[Json]:
    """Return the pending invoice items that a new invoice takes; none unless they are requested."""
    if subscription is not None:
        subscription_items = [
            item
            for item in pending_items(request, customer, currency, subscription["id"])
            if item_subscription_id(item) == subscription["id"]
        ]
        if not subscription_items:
            raise StripeError(
                "Nothing to invoice for subscription", code="invoice_no_subscription_line_items"
            )
        return subscription_items
    if params.get("pending_invoice_items_behavior", "exclude") != "include":
        return []
    return [
        item
        for item in pending_items(request, customer, currency, None)
        if item_subscription_id(item) is None
    ]


def check_due_date(invoice: Json, params: Json) -> None:
    """Raise StripeError if a due date is missing, or sent for an invoice that is charged automatically."""
    is_sent = invoice["collection_method"] == "send_invoice"
    if is_sent and not (params.get("days_until_due") is not None or params.get("due_date")):
        raise StripeError(
            "If invoice `collection_method` is `send_invoice`, you must specify either `due_date` or "
            "`days_until_due`.",
            param="days_until_due",
        )
    for name in ("days_until_due", "due_date"):
        if not is_sent and params.get(name) is not None:
            raise StripeError(
                f"You can only specify `{name}` if invoice `collection_method` is `send_invoice`.", param=name
            )


def _set_dates(invoice: Json, params: Json) -> None:
    invoice["due_date"] = params.get("due_date")
    if params.get("due_date") is not None and params["due_date"] <= invoice["created"]:
        raise StripeError(
            "Invalid timestamp: must be an integer Unix timestamp in the future.", param="due_date"
        )
    if params.get("days_until_due") is not None:
        invoice["due_date"] = invoice["created"] + int(params["days_until_due"]) * _DAY
    if invoice.get("auto_advance"):
        invoice["automatically_finalizes_at"] = (
            params.get("automatically_finalizes_at") or invoice["created"] + _HOUR
        )


def _create_revision(context: OperationContext) -> None:
    """Fill a draft that replaces an open invoice when it is finalized."""
    request, invoice = context.request, context.object
    from_invoice = context.params["from_invoice"]
    if (
        not isinstance(from_invoice, dict)
        or from_invoice.get("action") != "revision"
        or not from_invoice.get("invoice")
    ):
        raise errors.missing_parameter("from_invoice[invoice]")
    original = get_referenced_copy(request, "invoice", from_invoice["invoice"], "from_invoice[invoice]")
    if original["status"] != "open":
        raise StripeError("You can only create revisions of open invoices.", param="from_invoice[invoice]")
    customer = get_referenced_copy(request, "customer", original["customer"], "customer")
    invoice |= {
        name: deepcopy(original[name]) for name in ("collection_method", "parent", "metadata", "description")
    }
    fill_new_invoice(request, customer, invoice, original["currency"])
    invoice["from_invoice"] = {"action": "revision", "invoice": original["id"]}
    invoice["due_date"] = original.get("due_date")
    invoice["discounts"] = list(original["discounts"])
    context.write()
    for line in invoice_lines(request, original):
        lines.add_line(
            request,
            invoice,
            {field: value for field, value in line.items() if field not in {"id", "invoice"}},
        )
    update_totals(request, invoice)
    save(
        request, "invoice", original | {"latest_revision": invoice["id"]}, "invoice.updated", before=original
    )


HANDLERS = Handlers(
    on_create={
        "invoice": create,
    },
)
