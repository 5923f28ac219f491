"""Invoices that are written: their lines, totals, states and payment, and what is credited."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_simulator.operations.billing import credit_notes
from stripe_simulator.operations.billing.invoices import creation, finalization, invoice_items, line_editing
from stripe_simulator.operations.customers import customer_balance
from stripe_simulator.operations.products import coupons

if TYPE_CHECKING:
    from collections.abc import Callable

    from stripe_simulator.objects.operation import Handler
    from stripe_simulator.requests.request import ApiRequest, ApiResponse

OPERATIONS: dict[tuple[str, str], Handler] = {
    **credit_notes.OPERATIONS,
    **line_editing.OPERATIONS,
    **finalization.OPERATIONS,
}
PATHS: dict[tuple[str, str], Callable[[ApiRequest], ApiResponse]] = {**credit_notes.PATHS}
CREATED: dict[str, Handler] = {
    **customer_balance.CREATED,
    **coupons.CREATED,
    **credit_notes.CREATED,
    **creation.CREATED,
    **invoice_items.CREATED,
}
UPDATED: dict[str, Handler] = {
    **customer_balance.UPDATED,
    **coupons.UPDATED,
    **creation.UPDATED,
    **line_editing.UPDATED,
    **invoice_items.UPDATED,
}
DELETED: dict[str, Handler] = {**creation.DELETED, **invoice_items.DELETED}
