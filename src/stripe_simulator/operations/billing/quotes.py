"""Quotes: drawn up, finalized, accepted (which makes a subscription or an invoice), canceled."""

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
    """A draft, valid for thirty days unless it says otherwise."""
    request, made, params = context.request, context.object, context.params
    copied = _copy_quote(request, made, params) if isinstance(params.get("from_quote"), dict) else []
    now = test_clocks.now(
        request, {"customer": params.get("customer"), "test_clock": params.get("test_clock")}
    )
    asked = _requested_lines(request, params) if params.get("line_items") else copied
    owner = {"customer": params.get("customer"), "currency": asked[0][0]["currency"] if asked else None}
    discounts.check_discounts(request, params.get("discounts"), owner)
    made |= {
        "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
        "collection_method": params.get("collection_method") or "charge_automatically",
        "created": now,
        "default_tax_rates": list(params.get("default_tax_rates") or ()),
        "discounts": [],
        "expires_at": params.get("expires_at") or now + 30 * _DAY,
        "from_quote": made.get("from_quote"),
        "invoice_settings": {"days_until_due": None, "issuer": {"type": "self"}}
        | dict(params.get("invoice_settings") or {}),
        "metadata": made.get("metadata") or {},
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
    made.pop("line_items", None)
    context.write()
    made["discounts"] = discounts.apply_discounts(request, params.get("discounts"), made | owner, "invoice")
    _write_lines(request, made, asked)


def _copy_quote(request: ApiRequest, made: Json, params: Json) -> list[tuple[Json, int]]:
    """What another quote offers, for its customer."""
    sent = params["from_quote"]
    if not sent.get("quote"):
        raise errors.missing_parameter("from_quote[quote]")
    old = get_referenced_copy(request, "quote", sent["quote"], "from_quote[quote]")
    params["customer"] = made["customer"] = old["customer"]
    made["from_quote"] = {"is_revision": bool(sent.get("is_revision")), "quote": old["id"]}
    return _current_lines(request, old)


def _requested_lines(request: ApiRequest, params: Json) -> list[tuple[Json, int]]:
    """Prices and quantities. Raises StripeError where one can't be had."""
    asked: list[tuple[Json, int]] = []
    for param, one in (
        items.indexed_parameters(params["line_items"], "line_items") if params.get("line_items") else ()
    ):
        currency = asked[0][0]["currency"] if asked else None
        price = requested_price(request, one, param, recurring=None, currency=currency)
        asked.append((price, items.parse_quantity(one.get("quantity", 1), param)))
    return asked


def _write_lines(request: ApiRequest, made: Json, asked: list[tuple[Json, int]]) -> None:
    """Write the lines, and what they come to."""
    position = position_of(request, "quote", made["id"])
    collection = request.account.children("quote_line_item")
    for at in list(collection.find([], *collection.bounds_in(position), newest_first=False)):
        collection.delete(at)
    upfront, recurring = _draft_invoice(made), _draft_invoice(made)
    for price, quantity in asked:
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
        one = lines.line_object(made | {"currency": price["currency"]}, line["id"], {"amount": amount})
        upfront["rows"].append(one)
        if price["type"] == "recurring":
            recurring["rows"].append(deepcopy(one))
            recurring["price"] = recurring.get("price") or price
    made["currency"] = asked[0][0]["currency"] if asked else None
    now = _computed_amounts(request, upfront)
    made |= {"amount_subtotal": now["amount_subtotal"], "amount_total": now["amount_total"]}
    made["total_details"] = now["total_details"]
    made["computed"] = {"recurring": None, "upfront": now}
    if recurring["rows"]:
        unit, count = billing_interval(recurring["price"])
        made["computed"]["recurring"] = _computed_amounts(request, recurring) | {
            "interval": unit,
            "interval_count": count,
        }


def _draft_invoice(made: Json) -> Json:
    """As much of an invoice as is needed to reckon what it would come to."""
    rates = list(made["default_tax_rates"])
    return {"discounts": list(made["discounts"]), "default_tax_rates": rates, "status": "draft", "rows": []}


def _computed_amounts(request: ApiRequest, stub: Json) -> Json:
    compute_totals(request, stub, stub["rows"])
    off = sum(one["amount"] for one in stub["total_discount_amounts"])
    tax = sum(one["amount"] for one in stub["total_taxes"])
    return {
        "amount_subtotal": stub["subtotal"],
        "amount_total": stub["total"],
        "total_details": _ZERO_DETAILS | {"amount_discount": off, "amount_tax": tax},
    }


def update(context: OperationContext) -> None:
    """A draft can be changed, of an open quote only little."""
    request, made, params, before = context.request, context.object, context.params, context.before
    if before["status"] != "draft" and set(params) - {"metadata", "expires_at"}:
        raise StripeError(
            f"You can only update quotes in the `draft` status. This quote is `{before['status']}`.",
            code="resource_invalid_state",
        )
    made.pop("line_items", None)
    made["discounts"] = list(before["discounts"])
    if "discounts" in params:
        made["discounts"] = discounts.apply_discounts(request, params["discounts"], made, "invoice")
    asked = _requested_lines(request, params) if "line_items" in params else _current_lines(request, made)
    if "line_items" in params or "discounts" in params or "default_tax_rates" in params:
        made["default_tax_rates"] = list(made["default_tax_rates"] or ())
        _write_lines(request, made, asked)


def _current_lines(request: ApiRequest, made: Json) -> list[tuple[Json, int]]:
    collection = request.account.children("quote_line_item")
    bounds = collection.bounds_in(position_of(request, "quote", made["id"]))
    rows = [collection.read(at) for at in collection.find([], *bounds, newest_first=False)]
    found_ = []
    for row in rows:
        price = (
            row["price"] if isinstance(row["price"], dict) else get_or_none(request, "price", row["price"])
        )
        if price is not None:
            found_.append((price, int(row["quantity"] or 1)))
    return found_


def _require_status(context: OperationContext, verb: str, *states: str) -> None:
    state = context.object["status"]
    if state not in states:
        wanted = " or ".join(f"`{one}`" for one in states)
        raise StripeError(
            f"You cannot {verb} a quote that is currently in the `{state}` status. It must be {wanted}.",
            code="resource_invalid_state",
        )


def finalize(context: OperationContext) -> None:
    """POST …/finalize: it can be accepted from now on."""
    request, made = context.request, context.object
    _require_status(context, "finalize", "draft")
    if made["customer"] is None:
        raise StripeError("A customer must be set to finalize a quote.", param="customer")
    if not _current_lines(request, made):
        raise StripeError("A quote without line items can't be finalized.", param="line_items")
    customer = get_referenced_copy(request, "customer", made["customer"], "customer")
    prefix = customer.get("invoice_prefix") or customer["id"][-8:].upper()
    now = test_clocks.now(request, made)
    made |= {
        "expires_at": context.params.get("expires_at") or made["expires_at"],
        "number": f"QT-{prefix}-{context.position % 10_000:04d}-1",
        "status": "open",
    }
    made["status_transitions"] = dict(made["status_transitions"] or {}) | {"finalized_at": now}
    context.emit("quote.finalized")


def accept(context: OperationContext) -> None:
    """POST …/accept: a subscription where anything recurs, else an invoice."""
    request, made = context.request, context.object
    _require_status(context, "accept", "open")
    asked = _current_lines(request, made)
    if any(price["type"] == "recurring" for price, _ in asked):
        made["subscription"] = _create_subscription(request, made, asked)
        subscription = get_referenced_copy(request, "subscription", made["subscription"], "subscription")
        made["invoice"] = subscription["latest_invoice"]
    else:
        made["invoice"] = _create_invoice(request, made, asked)
    now = test_clocks.now(request, made)
    made["status"] = "accepted"
    made["status_transitions"] = dict(made["status_transitions"] or {}) | {"accepted_at": now}
    context.emit("quote.accepted")


def _create_subscription(request: ApiRequest, made: Json, asked: list[tuple[Json, int]]) -> str:
    data = made["subscription_data"] or {}
    method = made["collection_method"]
    terms = (made["invoice_settings"] or {}).get("days_until_due")
    subscription = new_object(request, "subscription")
    subscription |= {
        "collection_method": method,
        "days_until_due": int(terms or 30) if method == "send_invoice" else None,
        "description": data.get("description"),
        "metadata": dict(data.get("metadata") or {}),
    }
    params: Json = {
        "customer": made["customer"],
        "add_invoice_items": [
            {"price": price["id"], "quantity": quantity, "agreed": True}
            for price, quantity in asked
            if price["type"] != "recurring"
        ],
        "default_tax_rates": made["default_tax_rates"],
        "discounts": [{"discount": one} for one in made["discounts"] or ()],
        "items": [
            {"price": price["id"], "quantity": quantity, "agreed": True}
            for price, quantity in asked
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


def _create_invoice(request: ApiRequest, made: Json, asked: list[tuple[Json, int]]) -> str:
    customer = get_referenced_copy(request, "customer", made["customer"], "customer")
    invoice = new_object(request, "invoice")
    creation.fill_new_invoice(request, customer, invoice, made["currency"])
    invoice |= {
        "collection_method": made["collection_method"],
        "discounts": list(made["discounts"] or ()),
        "default_tax_rates": list(made["default_tax_rates"] or ()),
        "parent": {
            "quote_details": {"quote": made["id"]},
            "subscription_details": None,
            "type": "quote_details",
        },
    }
    save(request, "invoice", invoice)
    for price, quantity in asked:
        lines.add_line(request, invoice, lines.price_line(request, price, quantity))
    update_totals(request, invoice)
    save(request, "invoice", invoice, "invoice.created")
    return str(invoice["id"])


def cancel(context: OperationContext) -> None:
    """POST …/cancel: for good."""
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
