"""Cards as payment methods and charges show them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stripe_simulator.types import Json

_CAPTURE_PERIOD = 7 * 86_400  # seconds in which an authorized payment can be captured
_CHECKS = ("address_line1_check", "address_postal_code_check", "cvc_check")
# Fields of a card that charges show as payment methods do.
_SHARED = (
    "brand", "checks", "country", "exp_month", "exp_year", "fingerprint", "funding", "last4",
    "regulated_status", "wallet",
)  # fmt: skip


def card_details(brand: str, *, cvc_check: str | None = "pass", **values: Any) -> Json:
    """Return a card as payment methods show it.

    `values` are the country, expiry, fingerprint, funding and last four digits. `cvc_check` is unchecked
    until the card is used, and None where no CVC is known.
    """
    return {
        "brand": brand,
        "checks": dict.fromkeys(_CHECKS) | {"cvc_check": cvc_check},
        "display_brand": brand,
        "generated_from": None,
        "networks": {"available": [brand], "preferred": None},
        "regulated_status": "unregulated",
        "three_d_secure_usage": {"supported": True},
        "wallet": None,
    } | values


def is_unchecked(card: Json) -> bool:
    """Return True for a card whose CVC is known and was not checked yet."""
    return bool(card["checks"]["cvc_check"] == "unchecked")


def checked(card: Json) -> Json:
    """Return a card as it is shown after its first use, which checks the CVC."""
    return card | {"checks": card["checks"] | {"cvc_check": "pass"}} if is_unchecked(card) else card


def charged_card_details(
    card: Json, amount: int, *, authorized: bool = True, held_at: int | None = None
) -> Json:
    """Return a card as charges show it.

    `authorized` is False where the bank declined, `held_at` the time of an authorization that is not
    captured yet.
    """
    shown = checked(card)
    details = {name: shown.get(name) for name in _SHARED} | {
        "amount_authorized": amount if authorized else None,
        "authorization_code": None,
        "electronic_commerce_indicator": None,
        "extended_authorization": {"status": "disabled"},
        "incremental_authorization": {"status": "unavailable"},
        "installments": None,
        "mandate": None,
        "multicapture": {"status": "unavailable"},
        "network": shown["brand"],
        "network_token": {"used": False},
        "network_transaction_id": f"{card['last4']}{amount:011d}",
        "overcapture": {"maximum_amount_capturable": amount, "status": "unavailable"},
        "three_d_secure": None,
        "transaction_link_id": None,
    }
    if held_at is not None:
        details["capture_before"] = held_at + _CAPTURE_PERIOD
    return details
