"""The phases of a subscription schedule: what was asked for, checked, with times."""

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
    """How a phase shows an item."""
    made: Json = {"billing_thresholds": None, "discounts": [], "metadata": {}, "plan": price["id"]}
    made |= {"price": price["id"], "tax_rates": []}
    return made if quantity is None else made | {"quantity": quantity}


def requested_phases(request: ApiRequest, sent: Any, start: int) -> list[Json]:
    """Phases with their times. Raises StripeError where one can't be."""
    made: list[Json] = []
    listed = items.indexed_parameters(sent, "phases")
    for param, one in listed:
        if not one.get("items"):
            raise errors.missing_parameter(f"{param}[items]")
        if one.get("start_date") not in {None, "now"} and not made:
            start = int(one["start_date"])
        asked = [
            items.requested_item(request, item, where, one.get("currency"))
            for where, item in items.indexed_parameters(one["items"], f"{param}[items]")
        ]
        last = one is listed[-1][1]
        end = _phase_end(one, start, asked[0].interval, param, last=last)
        usual = {name: value for name, value in one.items() if name in DEFAULT_PHASE and value is not None}
        made.append(
            deepcopy(DEFAULT_PHASE)
            | usual
            | {
                "currency": asked[0].price["currency"],
                "end_date": end,
                "items": [phase_item(want.price, want.quantity) for want in asked],
                "start_date": start,
                "trial_end": one.get("trial_end") or (end if one.get("trial") else None),
            }
        )
        start = end
    return made


def _phase_end(one: Json, start: int, interval: tuple[str, int], param: str, *, last: bool) -> int:
    duration = one.get("duration")
    if one.get("end_date") is not None:
        end = int(one["end_date"])
    elif isinstance(duration, dict) and duration.get("interval"):
        end = add_intervals(start, (duration["interval"], int(duration.get("interval_count") or 1)))
    elif one.get("iterations"):
        end = add_intervals(start, interval, int(one["iterations"]))
    elif last:
        end = add_intervals(start, interval)
    else:
        raise errors.missing_parameter(f"{param}[end_date]")
    if end <= start:
        raise StripeError("The end date of a phase must be after its start date.", param=f"{param}[end_date]")
    return end
