"""Quotes: creation, finalization, acceptance (which creates a subscription or an invoice), cancellation."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

from stripe_simulator import errors
from stripe_simulator.errors import StripeError
from stripe_simulator.objects import test_clocks
from stripe_simulator.objects.events import emit_event
from stripe_simulator.objects.related import (
    get_or_none,
    get_referenced_copy,
    new_child_object,
    new_object,
    position_of,
    save,
)
from stripe_simulator.operations.billing import discounts
from stripe_simulator.operations.billing.amounts import price_amount, product_name
from stripe_simulator.operations.billing.invoices import creation, lines
from stripe_simulator.operations.billing.invoices.totals import compute_totals, update_totals
from stripe_simulator.operations.billing.periods import billing_interval
from stripe_simulator.operations.billing.requested_prices import requested_price
from stripe_simulator.operations.billing.subscriptions import items
from stripe_simulator.operations.billing.subscriptions.creation import start_subscription
from stripe_simulator.operations.handlers import Handlers

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import OperationContext
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.types import Json

_DAY = 86_400
_ZERO_DETAILS: Json = {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0}


def create(context: OperationContext) -> None:
    """Create a draft quote, which expires after thirty days unless `expires_at` is sent."""
    request, quote, params = context.request, context.object, context.params
    copied_lines = _copy_quote(request, quote, params) if isinstance(params.get("from_quote"), dict) else []
    now = test_clocks.now(
        request, {"customer": params.get("customer"), "test_clock": params.get("test_clock")}
    )
    requested_lines = _requested_lines(request, params) if params.get("line_items") else copied_lines
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
    _write_lines(request, quote, requested_lines)


def _copy_quote(request: ApiRequest, quote: Json, params: Json) -> list[tuple[Json, int]]:
    """Return the lines of another quote, and take over its customer."""
    source = params["from_quote"]
    if not source.get("quote"):
        raise errors.missing_parameter("from_quote[quote]")
    source_quote = get_referenced_copy(request, "quote", source["quote"], "from_quote[quote]")
    params["customer"] = quote["customer"] = source_quote["customer"]
    quote["from_quote"] = {"is_revision": bool(source.get("is_revision")), "quote": source_quote["id"]}
    return _current_lines(request, source_quote)


def _requested_lines(request: ApiRequest, params: Json) -> list[tuple[Json, int]]:
    """Return the requested prices with quantities. Raises StripeError for a price that cannot be used."""
    prices_and_quantities: list[tuple[Json, int]] = []
    for param, item in (
        items.indexed_parameters(params["line_items"], "line_items") if params.get("line_items") else ()
    ):
        currency = prices_and_quantities[0][0]["currency"] if prices_and_quantities else None
        price = requested_price(request, item, param, recurring=None, currency=currency)
        prices_and_quantities.append((price, items.parse_quantity(item.get("quantity", 1), param)))
    return prices_and_quantities


def _write_lines(request: ApiRequest, quote: Json, requested_lines: list[tuple[Json, int]]) -> None:
    """Write the lines of a quote, and compute its amounts."""
    position = position_of(request, "quote", quote["id"])
    collection = request.account.children("quote_line_item")
    for line_position in list(collection.find([], *collection.bounds_in(position), newest_first=False)):
        collection.delete(line_position)
    upfront, recurring = _draft_invoice(quote), _draft_invoice(quote)
    for price, quantity in requested_lines:
        amount = price_amount(price, quantity)
        line = new_child_object(request, "quote_line_item", position)
        line |= {
            "amount_discount": 0,
            "amount_subtotal": amount,
            "amount_tax": 0,
            "amount_total": amount,
            "currency": price["currency"],
            "description": product_name(request, price),
            "discounts": [],
            "object": "item",
            "price": deepcopy(price),
            "quantity": quantity,
            "taxes": [],
        }
        save(request, "quote_line_item", line)
        invoice_line = lines.line_object(
            quote | {"currency": price["currency"]}, line["id"], {"amount": amount}
        )
        upfront["rows"].append(invoice_line)
        if price["type"] == "recurring":
            recurring["rows"].append(deepcopy(invoice_line))
            recurring["price"] = recurring.get("price") or price
    quote["currency"] = requested_lines[0][0]["currency"] if requested_lines else None
    computed = _computed_amounts(request, upfront)
    quote |= {"amount_subtotal": computed["amount_subtotal"], "amount_total": computed["amount_total"]}
    quote["total_details"] = computed["total_details"]
    quote["computed"] = {"recurring": None, "upfront": computed}
    if recurring["rows"]:
        unit, count = billing_interval(recurring["price"])
        quote["computed"]["recurring"] = _computed_amounts(request, recurring) | {
            "interval": unit,
            "interval_count": count,
        }


def _draft_invoice(quote: Json) -> Json:
    """Return the fields of a draft invoice that are needed to compute the amounts of a quote."""
    rates = list(quote["default_tax_rates"])
    return {"discounts": list(quote["discounts"]), "default_tax_rates": rates, "status": "draft", "rows": []}


def _computed_amounts(request: ApiRequest, draft: Json) -> Json:
    compute_totals(request, draft, draft["rows"])
    amount_discount = sum(entry["amount"] for entry in draft["total_discount_amounts"])
    tax = sum(entry["amount"] for entry in draft["total_taxes"])
    return {
        "amount_subtotal": draft["subtotal"],
        "amount_total": draft["total"],
        "total_details": _ZERO_DETAILS | {"amount_discount": amount_discount, "amount_tax": tax},
    }


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
        _requested_lines(request, params) if "line_items" in params else _current_lines(request, quote)
    )
    if "line_items" in params or "discounts" in params or "default_tax_rates" in params:
        quote["default_tax_rates"] = list(quote["default_tax_rates"] or ())
        _write_lines(request, quote, requested_lines)


def _current_lines(request: ApiRequest, quote: Json) -> list[tuple[Json, int]]:
    collection = request.account.children("quote_line_item")
    bounds = collection.bounds_in(position_of(request, "quote", quote["id"]))
    rows = [
        collection.read(line_position) for line_position in collection.find([], *bounds, newest_first=False)
    ]
    current = []
    for row in rows:
        price = (
            row["price"] if isinstance(row["price"], dict) else get_or_none(request, "price", row["price"])
        )
        if price is not None:
            current.append((price, int(row["quantity"] or 1)))
    return current


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
    if not _current_lines(request, quote):
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
    requested_lines = _current_lines(request, quote)
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
