"""Quotes: creation, finalization, acceptance (which creates a subscription or an invoice), cancellation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_simulator import errors
from stripe_simulator.errors import StripeError
from stripe_simulator.objects import test_clocks
from stripe_simulator.objects.events import emit_event
from stripe_simulator.objects.related import (
    get_referenced_copy,
    new_object,
    save,
)
from stripe_simulator.operations.billing import discounts
from stripe_simulator.operations.billing.invoices import creation, lines
from stripe_simulator.operations.billing.invoices.totals import update_totals
from stripe_simulator.operations.billing.quote_lines import current_lines, lines_of_request, write_lines
from stripe_simulator.operations.billing.subscriptions.creation import start_subscription
from stripe_simulator.operations.handlers import Handlers

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import OperationContext
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.types import Json

_DAY = 86_400


def create(context: OperationContext) -> None:
    """Create a draft quote, which expires after thirty days unless `expires_at` is sent."""
    request, quote, params = context.request, context.object, context.params
    copied_lines = _copy_quote(request, quote, params) if isinstance(params.get("from_quote"), dict) else []
    now = test_clocks.now(
        request, {"customer": params.get("customer"), "test_clock": params.get("test_clock")}
    )
    requested_lines = lines_of_request(request, params) if params.get("line_items") else copied_lines
    owner = {
        "customer": params.get("customer"),
        "currency": requested_lines[0][0]["currency"] if requested_lines else None,
    }
    discounts.check_discounts(request, params.get("discounts"), owner)
    quote |= {
        "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
        "collection_method": params.get("collection_method") or "charge_automatically",
        "created": now,
        "default_tax_rates": list(params.get("default_tax_rates") or ()),
        "discounts": [],
        "expires_at": params.get("expires_at") or now + 30 * _DAY,
        "from_quote": quote.get("from_quote"),
        "invoice_settings": {"days_until_due": None, "issuer": {"type": "self"}}
        | dict(params.get("invoice_settings") or {}),
        "metadata": quote.get("metadata") or {},
        "status": "draft",
        "status_transitions": dict.fromkeys(("accepted_at", "canceled_at", "finalized_at")),
        "subscription_data": {
            "billing_mode": {"type": "flexible"},
            "description": None,
            "effective_date": None,
            "metadata": {},
            "trial_period_days": None,
        }
        | dict(params.get("subscription_data") or {}),
    }
    quote.pop("line_items", None)
    context.write()
    quote["discounts"] = discounts.apply_discounts(request, params.get("discounts"), quote | owner, "invoice")
    write_lines(request, quote, requested_lines)


def _copy_quote(request: ApiRequest, quote: Json, params: Json) -> list[tuple[Json, int]]:
    """Return the lines of another quote, and take over its customer."""
    source = params["from_quote"]
    if not source.get("quote"):
        raise errors.missing_parameter("from_quote[quote]")
    source_quote = get_referenced_copy(request, "quote", source["quote"], "from_quote[quote]")
    params["customer"] = quote["customer"] = source_quote["customer"]
    quote["from_quote"] = {"is_revision": bool(source.get("is_revision")), "quote": source_quote["id"]}
    return current_lines(request, source_quote)


def update(context: OperationContext) -> None:
    """Update a quote. Raises StripeError for changes beyond metadata and expiry once it is not a draft."""
    request, quote, params, before = context.request, context.object, context.params, context.before
    if before["status"] != "draft" and set(params) - {"metadata", "expires_at"}:
        raise StripeError(
            f"You can only update quotes in the `draft` status. This quote is `{before['status']}`.",
            code="resource_invalid_state",
        )
    quote.pop("line_items", None)
    quote["discounts"] = list(before["discounts"])
    if "discounts" in params:
        quote["discounts"] = discounts.apply_discounts(request, params["discounts"], quote, "invoice")
    requested_lines = (
        lines_of_request(request, params) if "line_items" in params else current_lines(request, quote)
    )
    if "line_items" in params or "discounts" in params or "default_tax_rates" in params:
        quote["default_tax_rates"] = list(quote["default_tax_rates"] or ())
        write_lines(request, quote, requested_lines)


def _require_status(context: OperationContext, verb: str, *statuses: str) -> None:
    current = context.object["status"]
    if current not in statuses:
        allowed = " or ".join(f"`{status}`" for status in statuses)
        raise StripeError(
            f"You cannot {verb} a quote that is currently in the `{current}` status. It must be {allowed}.",
            code="resource_invalid_state",
        )


def finalize(context: OperationContext) -> None:
    """Finalize a quote, which can then be accepted."""
    request, quote = context.request, context.object
    _require_status(context, "finalize", "draft")
    if quote["customer"] is None:
        raise StripeError("A customer must be set to finalize a quote.", param="customer")
    if not current_lines(request, quote):
        raise StripeError("A quote without line items can't be finalized.", param="line_items")
    customer = get_referenced_copy(request, "customer", quote["customer"], "customer")
    prefix = customer.get("invoice_prefix") or customer["id"][-8:].upper()
    now = test_clocks.now(request, quote)
    quote |= {
        "expires_at": context.params.get("expires_at") or quote["expires_at"],
        "number": f"QT-{prefix}-{context.position % 10_000:04d}-1",
        "status": "open",
    }
    quote["status_transitions"] = dict(quote["status_transitions"] or {}) | {"finalized_at": now}
    context.emit("quote.finalized")


def accept(context: OperationContext) -> None:
    """Accept a quote: create a subscription if any price is recurring, else an invoice."""
    request, quote = context.request, context.object
    _require_status(context, "accept", "open")
    requested_lines = current_lines(request, quote)
    if any(price["type"] == "recurring" for price, _ in requested_lines):
        quote["subscription"] = _create_subscription(request, quote, requested_lines)
        subscription = get_referenced_copy(request, "subscription", quote["subscription"], "subscription")
        quote["invoice"] = subscription["latest_invoice"]
    else:
        quote["invoice"] = _create_invoice(request, quote, requested_lines)
    now = test_clocks.now(request, quote)
    quote["status"] = "accepted"
    quote["status_transitions"] = dict(quote["status_transitions"] or {}) | {"accepted_at": now}
    context.emit("quote.accepted")


def _create_subscription(request: ApiRequest, quote: Json, requested_lines: list[tuple[Json, int]]) -> str:
    data = quote["subscription_data"] or {}
    method = quote["collection_method"]
    days_until_due = (quote["invoice_settings"] or {}).get("days_until_due")
    subscription = new_object(request, "subscription")
    subscription |= {
        "collection_method": method,
        "days_until_due": int(days_until_due or 30) if method == "send_invoice" else None,
        "description": data.get("description"),
        "metadata": dict(data.get("metadata") or {}),
    }
    params: Json = {
        "customer": quote["customer"],
        "add_invoice_items": [
            {"price": price["id"], "quantity": quantity, "agreed": True}
            for price, quantity in requested_lines
            if price["type"] != "recurring"
        ],
        "default_tax_rates": quote["default_tax_rates"],
        "discounts": [{"discount": discount} for discount in quote["discounts"] or ()],
        "items": [
            {"price": price["id"], "quantity": quantity, "agreed": True}
            for price, quantity in requested_lines
            if price["type"] == "recurring"
        ],
        "trial_period_days": data.get("trial_period_days"),
    }
    if method == "send_invoice":
        params["days_until_due"] = subscription["days_until_due"]
        params["collection_method"] = method
    start_subscription(request, subscription, params)
    emit_event(request, "customer.subscription.created", subscription)
    return str(subscription["id"])


def _create_invoice(request: ApiRequest, quote: Json, requested_lines: list[tuple[Json, int]]) -> str:
    customer = get_referenced_copy(request, "customer", quote["customer"], "customer")
    invoice = new_object(request, "invoice")
    creation.fill_new_invoice(request, customer, invoice, quote["currency"])
    invoice |= {
        "collection_method": quote["collection_method"],
        "discounts": list(quote["discounts"] or ()),
        "default_tax_rates": list(quote["default_tax_rates"] or ()),
        "parent": {
            "quote_details": {"quote": quote["id"]},
            "subscription_details": None,
            "type": "quote_details",
        },
    }
    save(request, "invoice", invoice)
    for price, quantity in requested_lines:
        lines.add_line(request, invoice, lines.price_line(request, price, quantity))
    update_totals(request, invoice)
    save(request, "invoice", invoice, "invoice.created")
    return str(invoice["id"])


def cancel(context: OperationContext) -> None:
    """Cancel a quote."""
    _require_status(context, "cancel", "draft", "open")
    now = test_clocks.now(context.request, context.object)
    context.object["status"] = "canceled"
    transitions = dict(context.object["status_transitions"] or {})
    context.object["status_transitions"] = transitions | {"canceled_at": now}
    context.emit("quote.canceled")


HANDLERS = Handlers(
    operations={
        ("quote", "finalize_quote"): finalize,
        ("quote", "accept"): accept,
        ("quote", "cancel"): cancel,
    },
    on_create={
        "quote": create,
    },
    on_update={
        "quote": update,
    },
)
