"""The lines of a credit note: requested, and written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stripe_simulator import errors
from stripe_simulator.objects.related import get_referenced_copy, new_child_object, save

if TYPE_CHECKING:
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.types import Json


def requested_lines(request: ApiRequest, invoice: Json, params: Json) -> list[Json]:
    """Return the requested lines, or one of the requested amount. Raises StripeError for invalid ones."""
    sent = params.get("lines")
    if not sent:
        amount = params.get("amount")
        if amount is None:
            raise errors.missing_parameter("amount")
        return [_line_values("Credit", int(amount), 1, "custom_line_item")]
    lines = []
    for index, requested in enumerate(sent):
        param = f"lines[{index}]"
        if requested.get("type") == "invoice_line_item":
            lines.append(_invoice_line_credit(request, invoice, requested, param))
            continue
        if requested.get("unit_amount") is None and requested.get("unit_amount_decimal") is None:
            raise errors.missing_parameter(f"{param}[unit_amount]")
        quantity = int(requested.get("quantity") or 1)
        unit = int(float(requested.get("unit_amount") or requested["unit_amount_decimal"]))
        lines.append(
            _line_values(
                requested.get("description"), unit * quantity, quantity, "custom_line_item", unit_amount=unit
            )
        )
    return lines


def _invoice_line_credit(request: ApiRequest, invoice: Json, requested: Json, param: str) -> Json:
    if not requested.get("invoice_line_item"):
        raise errors.missing_parameter(f"{param}[invoice_line_item]")
    line = get_referenced_copy(
        request, "line_item", requested["invoice_line_item"], f"{param}[invoice_line_item]"
    )
    if line["invoice"] != invoice["id"]:
        raise errors.no_object("line item", line["id"], f"{param}[invoice_line_item]", status=400)
    quantity = int(requested.get("quantity") or line["quantity"] or 1)
    if requested.get("amount") is not None:
        amount = int(requested["amount"])
    else:
        amount = line["amount"] * quantity // (line["quantity"] or 1)
    return _line_values(
        line["description"], amount, quantity, "invoice_line_item", invoice_line_item=line["id"]
    )


def _line_values(description: Any, amount: int, quantity: int, line_type: str, **values: Any) -> Json:
    return {
        "amount": amount,
        "description": description,
        "discount_amount": 0,
        "discount_amounts": [],
        "livemode": False,
        "pretax_credit_amounts": [],
        "quantity": quantity,
        "tax_rates": [],
        "taxes": [],
        "type": line_type,
        "unit_amount": amount // (quantity or 1),
        "unit_amount_decimal": str(amount // (quantity or 1)),
    } | values


def write_line(request: ApiRequest, position: int, line: Json) -> None:
    """Write a line of the credit note at a position."""
    credit_note_line = new_child_object(request, "credit_note_line_item", position)
    save(request, "credit_note_line_item", credit_note_line | line)
