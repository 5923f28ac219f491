"""Objects as older versions of the API show them, where these differ in what copies depend on.

Until 2025-03-31.basil a subscription had the period of its items, and an invoice its subscription
(https://docs.stripe.com/changelog/basil).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from stripe_simulator.types import Json

_BASIL: Final = "2025-03-31"
_PERIOD: Final = ("current_period_start", "current_period_end")


def in_version(values: Json, api_version: str) -> Json:
    """Return an object as a version of the API shows it."""
    if api_version[: len(_BASIL)] >= _BASIL:
        return values
    match values.get("object"):
        case "subscription":
            return _subscription(values)
        case "invoice":
            return _invoice(values)
    return values


def _subscription(values: Json) -> Json:
    items = (values.get("items") or {}).get("data") or []
    shown = [{name: value for name, value in item.items() if name not in _PERIOD} for item in items]
    periods = {name: items[0].get(name) if items else None for name in _PERIOD}
    return {**values, **periods, "items": {**(values.get("items") or {}), "data": shown}}


def _invoice(values: Json) -> Json:
    details = (values.get("parent") or {}).get("subscription_details") or {}
    shown = {name: value for name, value in values.items() if name != "parent"}
    return {**shown, "subscription": details.get("subscription")}
