"""Totals of an invoice: discounts, taxes and the amount due, from its lines."""

from __future__ import annotations

from copy import deepcopy
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from stripe_simulator.objects.related import get_or_none, position_of
from stripe_simulator.operations.billing import discounts
from stripe_simulator.operations.billing.amounts import round_half_up

if TYPE_CHECKING:
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.types import Json


def invoice_lines(request: ApiRequest, invoice: Json) -> list[Json]:
    """Return copies of all lines of an invoice, oldest first."""
    collection = request.account.children("line_item")
    bounds = collection.bounds_in(position_of(request, "invoice", invoice["id"]))
    return [
        deepcopy(collection.read(position)) for position in collection.find([], *bounds, newest_first=False)
    ]


def update_totals(request: ApiRequest, invoice: Json, *, keep: bool = True) -> None:
    """Compute the amounts of an invoice from its lines, and embed the lines in it.

    With `keep` the lines are written, with their shares of the discounts.
    """
    lines = invoice_lines(request, invoice)
    compute_totals(request, invoice, lines)
    collection = request.account.children("line_item")
    for line in lines if keep else ():
        position = collection.position(line["id"])
        assert position is not None
        collection.write(position, line)
    position = position_of(request, "invoice", invoice["id"])
    invoice["lines"] = deepcopy(
        request.account.embedded("line_item", position, f"/v1/invoices/{invoice['id']}/lines")
    )


def compute_totals(request: ApiRequest, invoice: Json, lines: list[Json]) -> None:
    """Set the amounts of an invoice that has these lines, and the discounts and taxes of each line."""
    subtotal = sum(line["amount"] for line in lines)
    for line in lines:
        line["subtotal"] = line["amount"]
    discounted = _apply_discounts(request, invoice, lines)
    taxes, added_taxes = _apply_taxes(request, invoice, lines)
    total = subtotal - sum(discounted.values()) + added_taxes
    invoice["subtotal"] = subtotal
    invoice["subtotal_excluding_tax"] = subtotal
    invoice["total_discount_amounts"] = [
        {"amount": amount, "discount": identifier} for identifier, amount in discounted.items()
    ]
    invoice["total_taxes"] = taxes
    invoice["total"] = total
    invoice["total_excluding_tax"] = total - sum(tax["amount"] for tax in taxes)
    update_amount_due(invoice)


def update_amount_due(invoice: Json) -> None:
    """Set the amounts due and remaining, from the total, the applied balance and credit notes."""
    balance = (invoice.get("starting_balance") or 0) - (invoice.get("ending_balance") or 0)
    if invoice["status"] == "draft":
        balance = 0
    credited = invoice.get("pre_payment_credit_notes_amount") or 0
    invoice["amount_due"] = max(0, invoice["total"] + balance - credited)
    paid = invoice.get("amount_paid") or 0
    invoice["amount_remaining"] = max(0, invoice["amount_due"] - paid)


def _apply_discounts(request: ApiRequest, invoice: Json, lines: list[Json]) -> dict[str, int]:
    """Return the amount that each discount takes off.

    Discounts of a line apply before those of the invoice.
    """
    discounted: dict[str, int] = {}
    shares: list[dict[str, int]] = [{} for _ in lines]
    remaining = [{**line, "left": line["amount"]} for line in lines]
    for index, line in enumerate(lines):
        for identifier in line.get("discounts") or ():
            (amount,) = discounts.discount_amounts(
                request, identifier, remaining[index]["left"], _product_id, [remaining[index]]
            )
            _record_discount(identifier, index, amount, remaining, shares, discounted)
    for identifier in invoice.get("discounts") or ():
        if identifier not in request.account.discounts:
            continue
        total_remaining = sum(line_remaining["left"] for line_remaining in remaining)
        amounts = discounts.discount_amounts(request, identifier, total_remaining, _product_id, remaining)
        for index, amount in enumerate(amounts):
            _record_discount(identifier, index, amount, remaining, shares, discounted)
        discounted.setdefault(identifier, 0)
    for line, share in zip(lines, shares, strict=True):
        line["discount_amounts"] = [
            {"amount": amount, "discount": identifier} for identifier, amount in share.items()
        ]
    return discounted


def _record_discount(
    identifier: str,
    index: int,
    amount: int,
    remaining: list[Json],
    shares: list[dict[str, int]],
    discounted: dict[str, int],
) -> None:
    if amount:
        remaining[index]["left"] -= amount
        shares[index][identifier] = amount
        discounted[identifier] = discounted.get(identifier, 0) + amount


def _product_id(line: Json) -> Any:
    return (((line.get("pricing") or {}).get("price_details")) or {}).get("product")


def _apply_taxes(request: ApiRequest, invoice: Json, lines: list[Json]) -> tuple[list[Json], int]:
    """Set the taxes of each line.

    Returns the taxes by rate, and the amount that exclusive taxes add to the total.
    """
    taxes_by_rate: dict[str, Json] = {}
    added = 0
    for line in lines:
        discount = sum(entry["amount"] for entry in line["discount_amounts"])
        line["taxes"] = []
        for identifier in line.get("tax_rates") or invoice.get("default_tax_rates") or ():
            rate = get_or_none(request, "tax_rate", identifier)
            if rate is None:
                continue
            line_tax = _tax_amount(rate, line["amount"] - discount)
            line["taxes"].append(line_tax)
            added += 0 if rate["inclusive"] else line_tax["amount"]
            rate_total = taxes_by_rate.setdefault(rate["id"], line_tax | {"amount": 0, "taxable_amount": 0})
            rate_total["amount"] += line_tax["amount"]
            rate_total["taxable_amount"] += line_tax["taxable_amount"]
    return list(taxes_by_rate.values()), added


def _tax_amount(rate: Json, amount: int) -> Json:
    share = Decimal(str(rate["percentage"])) / 100
    included = round_half_up(amount - amount / (1 + share)) if rate["inclusive"] else 0
    tax = included if rate["inclusive"] else round_half_up(amount * share)
    return {
        "amount": tax,
        "tax_behavior": "inclusive" if rate["inclusive"] else "exclusive",
        "tax_rate_details": {"tax_rate": rate["id"]},
        "taxability_reason": "standard_rated",
        "taxable_amount": amount - included,
        "type": "tax_rate_details",
    }
