"""What an invoice comes to: lines, discounts, taxes, what is due."""

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
    """All lines of an invoice, oldest first."""
    collection = request.account.children("line_item")
    bounds = collection.bounds_in(position_of(request, "invoice", invoice["id"]))
    return [deepcopy(collection.read(at)) for at in collection.find([], *bounds, newest_first=False)]


def update_totals(request: ApiRequest, invoice: Json, *, keep: bool = True) -> None:
    """Compute an invoice's amounts from its lines, and show its lines in it.

    With `keep` the lines are written with their shares of the discounts.
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
    """The amounts of an invoice that has these lines; each line gets its share of discounts and taxes."""
    subtotal = sum(line["amount"] for line in lines)
    for line in lines:
        line["subtotal"] = line["amount"]
    taken = _apply_discounts(request, invoice, lines)
    taxes, added = _apply_taxes(request, invoice, lines)
    total = subtotal - sum(taken.values()) + added
    invoice["subtotal"] = subtotal
    invoice["subtotal_excluding_tax"] = subtotal
    invoice["total_discount_amounts"] = [
        {"amount": amount, "discount": identifier} for identifier, amount in taken.items()
    ]
    invoice["total_taxes"] = taxes
    invoice["total"] = total
    invoice["total_excluding_tax"] = total - sum(one["amount"] for one in taxes)
    update_amount_due(invoice)


def update_amount_due(invoice: Json) -> None:
    """What is to be paid of the total, with the customer's balance where it was applied."""
    balance = (invoice.get("starting_balance") or 0) - (invoice.get("ending_balance") or 0)
    if invoice["status"] == "draft":
        balance = 0
    credited = invoice.get("pre_payment_credit_notes_amount") or 0
    invoice["amount_due"] = max(0, invoice["total"] + balance - credited)
    paid = invoice.get("amount_paid") or 0
    invoice["amount_remaining"] = max(0, invoice["amount_due"] - paid)


def _apply_discounts(request: ApiRequest, invoice: Json, lines: list[Json]) -> dict[str, int]:
    """How much each discount takes off; those of a line come before the invoice's."""
    taken: dict[str, int] = {}
    shares: list[dict[str, int]] = [{} for _ in lines]
    left = [{**line, "left": line["amount"]} for line in lines]
    for at, line in enumerate(lines):
        for identifier in line.get("discounts") or ():
            (amount,) = discounts.discount_amounts(
                request, identifier, left[at]["left"], _product_id, [left[at]]
            )
            _record_discount(identifier, at, amount, left, shares, taken)
    for identifier in invoice.get("discounts") or ():
        if identifier not in request.account.discounts:
            continue
        rest = sum(one["left"] for one in left)
        amounts = discounts.discount_amounts(request, identifier, rest, _product_id, left)
        for at, amount in enumerate(amounts):
            _record_discount(identifier, at, amount, left, shares, taken)
        taken.setdefault(identifier, 0)
    for line, share in zip(lines, shares, strict=True):
        line["discount_amounts"] = [{"amount": amount, "discount": one} for one, amount in share.items()]
    return taken


def _record_discount(
    identifier: str,
    at: int,
    amount: int,
    left: list[Json],
    shares: list[dict[str, int]],
    taken: dict[str, int],
) -> None:
    if amount:
        left[at]["left"] -= amount
        shares[at][identifier] = amount
        taken[identifier] = taken.get(identifier, 0) + amount


def _product_id(line: Json) -> Any:
    return (((line.get("pricing") or {}).get("price_details")) or {}).get("product")


def _apply_taxes(request: ApiRequest, invoice: Json, lines: list[Json]) -> tuple[list[Json], int]:
    """The taxes on all lines, by rate, and how much they add to the total: nothing where they are in it."""
    found: dict[str, Json] = {}
    added = 0
    for line in lines:
        off = sum(one["amount"] for one in line["discount_amounts"])
        line["taxes"] = []
        for identifier in line.get("tax_rates") or invoice.get("default_tax_rates") or ():
            rate = get_or_none(request, "tax_rate", identifier)
            if rate is None:
                continue
            one = _tax_amount(rate, line["amount"] - off)
            line["taxes"].append(one)
            added += 0 if rate["inclusive"] else one["amount"]
            before = found.setdefault(rate["id"], one | {"amount": 0, "taxable_amount": 0})
            before["amount"] += one["amount"]
            before["taxable_amount"] += one["taxable_amount"]
    return list(found.values()), added


def _tax_amount(rate: Json, amount: int) -> Json:
    share = Decimal(str(rate["percentage"])) / 100
    inside = round_half_up(amount - amount / (1 + share)) if rate["inclusive"] else 0
    tax = inside if rate["inclusive"] else round_half_up(amount * share)
    return {
        "amount": tax,
        "tax_behavior": "inclusive" if rate["inclusive"] else "exclusive",
        "tax_rate_details": {"tax_rate": rate["id"]},
        "taxability_reason": "standard_rated",
        "taxable_amount": amount - inside,
        "type": "tax_rate_details",
    }
