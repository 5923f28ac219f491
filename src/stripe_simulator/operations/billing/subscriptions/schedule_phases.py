"""The phases of a subscription schedule: requested, with their times."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from stripe_simulator import errors
from stripe_simulator.errors import StripeError
from stripe_simulator.operations.billing.periods import add_intervals
from stripe_simulator.operations.billing.subscriptions import items

if TYPE_CHECKING:
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.types import Json

DEFAULT_SETTINGS: Json = {
    "application_fee_percent": None,
    "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
    "billing_cycle_anchor": "automatic",
    "billing_thresholds": None,
    "collection_method": "charge_automatically",
    "default_payment_method": None,
    "description": None,
    "invoice_settings": {"account_tax_ids": None, "days_until_due": None, "issuer": {"type": "self"}},
    "on_behalf_of": None,
    "transfer_data": None,
}
DEFAULT_PHASE: Json = {
    "add_invoice_items": [],
    "application_fee_percent": None,
    "billing_cycle_anchor": None,
    "billing_thresholds": None,
    "collection_method": None,
    "default_payment_method": None,
    "default_tax_rates": [],
    "description": None,
    "discounts": [],
    "invoice_settings": None,
    "metadata": {},
    "on_behalf_of": None,
    "proration_behavior": "create_prorations",
    "transfer_data": None,
    "trial_end": None,
}


def phase_item(price: Json, quantity: int | None) -> Json:
    """Return an item as a phase shows it."""
    item: Json = {"billing_thresholds": None, "discounts": [], "metadata": {}, "plan": price["id"]}
    item |= {"price": price["id"], "tax_rates": []}
    return item if quantity is None else item | {"quantity": quantity}


def requested_phases(request: ApiRequest, sent: Any, start: int) -> list[Json]:
    """Return the requested phases with their times. Raises StripeError for a phase that is not possible."""
    phases: list[Json] = []
    listed = items.indexed_parameters(sent, "phases")
    for param, phase_parameters in listed:
        if not phase_parameters.get("items"):
            raise errors.missing_parameter(f"{param}[items]")
        if phase_parameters.get("start_date") not in {None, "now"} and not phases:
            start = int(phase_parameters["start_date"])
        requested_items = [
            items.requested_item(request, element, path, phase_parameters.get("currency"))
            for path, element in items.indexed_parameters(phase_parameters["items"], f"{param}[items]")
        ]
        is_last = phase_parameters is listed[-1][1]
        end = _phase_end(phase_parameters, start, requested_items[0].interval, param, is_last=is_last)
        sent_values = {
            name: value
            for name, value in phase_parameters.items()
            if name in DEFAULT_PHASE and value is not None
        }
        phases.append(
            deepcopy(DEFAULT_PHASE)
            | sent_values
            | {
                "currency": requested_items[0].price["currency"],
                "end_date": end,
                "items": [phase_item(item.price, item.quantity) for item in requested_items],
                "start_date": start,
                "trial_end": phase_parameters.get("trial_end")
                or (end if phase_parameters.get("trial") else None),
            }
        )
        start = end
    return phases


def _phase_end(
    phase_parameters: Json, start: int, interval: tuple[str, int], param: str, *, is_last: bool
) -> int:
    duration = phase_parameters.get("duration")
    if phase_parameters.get("end_date") is not None:
        end = int(phase_parameters["end_date"])
    elif isinstance(duration, dict) and duration.get("interval"):
        end = add_intervals(start, (duration["interval"], int(duration.get("interval_count") or 1)))
    elif phase_parameters.get("iterations"):
        end = add_intervals(start, interval, int(phase_parameters["iterations"]))
    elif is_last:
        end = add_intervals(start, interval)
    else:
        raise errors.missing_parameter(f"{param}[end_date]")
    if end <= start:
        raise StripeError("The end date of a phase must be after its start date.", param=f"{param}[end_date]")
    return end
