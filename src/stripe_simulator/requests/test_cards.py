"""Stripe's test cards, by number, token and test payment method (https://docs.stripe.com/testing)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stripe_simulator.errors import StripeError
from stripe_simulator.seeding import stable_hash
from stripe_simulator.world.ids import base62

if TYPE_CHECKING:
    from stripe_simulator.types import Json


@dataclass(frozen=True, slots=True)
class Card:
    """A test card and the outcome of charging it.

    `code`, `decline_code` and `message` are those of the error, if charges fail. Without `can_be_saved` the
    card is declined when it is attached to a customer. With `requires_authentication` a payment needs an
    action by the customer.
    """

    number: str
    brand: str = "visa"
    funding: str = "credit"
    country: str = "US"
    code: str = ""
    decline_code: str = ""
    message: str = ""
    can_be_saved: bool = True
    requires_authentication: bool = False

    @property
    def fingerprint(self) -> str:
        """The fingerprint of all payment methods with this number."""
        return base62(stable_hash("fingerprint", self.number) << 64 | stable_hash(self.number), 16)

    def details(self, exp_month: int = 8, exp_year: int = 2030) -> Json:
        """Return the card as payment methods and charges show it."""
        return {
            "brand": self.brand,
            "checks": {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"},
            "country": self.country,
            "display_brand": self.brand,
            "exp_month": exp_month,
            "exp_year": exp_year,
            "fingerprint": self.fingerprint,
            "funding": self.funding,
            "generated_from": None,
            "last4": self.number[-4:],
            "networks": {"available": [self.brand], "preferred": None},
            "three_d_secure_usage": {"supported": True},
            "wallet": None,
        }


_DECLINED = "Your card was declined."


def _declined(number: str, decline_code: str = "generic_decline", *, can_be_saved: bool = False) -> Card:
    return Card(
        number,
        code="card_declined",
        decline_code=decline_code,
        message="Your card has insufficient funds." if decline_code == "insufficient_funds" else _DECLINED,
        can_be_saved=can_be_saved,
    )


# By the name in the ids pm_card_… and tok_…
CARDS: Mapping[str, Card] = {
    "visa": Card("4242424242424242"),
    "visa_debit": Card("4000056655665556", funding="debit"),
    "mastercard": Card("5555555555554444", "mastercard"),
    "mastercard_debit": Card("5200828282828210", "mastercard", "debit"),
    "mastercard_prepaid": Card("5105105105105100", "mastercard", "prepaid"),
    "amex": Card("378282246310005", "amex"),
    "discover": Card("6011111111111117", "discover"),
    "diners": Card("3056930009020004", "diners"),
    "jcb": Card("3566002020360505", "jcb", country="JP"),
    "unionpay": Card("6200000000000005", "unionpay", country="CN"),
    "us": Card("4242424242424242"),
    "de": Card("4000002760000016", country="DE"),
    "fr": Card("4000002500000003", country="FR"),
    "gb": Card("4000008260000000", country="GB"),
    "bypassPending": Card("4000000000000077"),
    "chargeDeclined": _declined("4000000000000002"),
    "chargeDeclinedInsufficientFunds": _declined("4000000000009995", "insufficient_funds"),
    "chargeDeclinedLostCard": _declined("4000000000009987", "lost_card"),
    "chargeDeclinedStolenCard": _declined("4000000000009979", "stolen_card"),
    "chargeDeclinedFraudulent": _declined("4100000000000019", "fraudulent"),
    "chargeDeclinedExpiredCard": Card(
        "4000000000000069", code="expired_card", message="Your card has expired.", can_be_saved=False
    ),
    "chargeDeclinedIncorrectCvc": Card(
        "4000000000000127",
        code="incorrect_cvc",
        message="Your card's security code is incorrect.",
        can_be_saved=False,
    ),
    "chargeDeclinedProcessingError": Card(
        "4000000000000119",
        code="processing_error",
        message="An error occurred while processing your card. Try again in a little bit.",
        can_be_saved=False,
    ),
    "chargeCustomerFail": _declined("4000000000000341", can_be_saved=True),
    "authenticationRequired": Card("4000002760003184", country="DE", requires_authentication=True),
    "authenticationRequiredOnSetup": Card("4000002500003155", country="FR"),
    "threeDSecure2Required": Card("4000000000003220", requires_authentication=True),
    "createDispute": Card("4000000000000259"),
}
# Payment methods of banks, whose payments take days, by the id of the test payment method: type.
BANKS: Mapping[str, str] = {
    "pm_usBankAccount_success": "us_bank_account",
    "pm_usBankAccount_processing": "us_bank_account",
}
_BY_NUMBER = {card.number: card for card in CARDS.values()}
_BY_FINGERPRINT = {card.fingerprint: card for card in CARDS.values()}
_DEFAULT = CARDS["visa"]


def card_of_token(identifier: str) -> Card | None:
    """Return the card of a test payment method or token, such as pm_card_visa or tok_chargeDeclined."""
    for prefix in ("pm_card_visa_", "pm_card_", "tok_visa_", "tok_"):
        if identifier.startswith(prefix) and (card := CARDS.get(identifier.removeprefix(prefix))):
            return card
    return None


def card_of_number(number: str) -> Card:
    """Return the card with this number. Raises StripeError if it is no test card."""
    card = _BY_NUMBER.get(number.replace(" ", "").replace("-", ""))
    if card is None:
        raise StripeError(
            "Your card was declined. Your request was in test mode, but used a non test card. For a list of "
            "valid test cards, visit: https://stripe.com/docs/testing.",
            status=402,
            error_type="card_error",
            code="card_declined",
            extra={"decline_code": "test_mode_live_card"},
        )
    return card


def card_of_details(details: Json | None) -> Card:
    """Return the card whose details a payment method shows; for a generated one, a card that works."""
    fingerprint = str(details.get("fingerprint")) if details else ""
    return _BY_FINGERPRINT.get(fingerprint, _DEFAULT)


def decline_error(card: Card, *, charge: str | None = None, extra: Json | None = None) -> StripeError:
    """Return the error 402 of a card that is declined."""
    details: Json = dict(extra or {})
    if charge is not None:
        details["charge"] = charge
    if card.decline_code:
        details["decline_code"] = card.decline_code
    param = {"incorrect_cvc": "cvc", "expired_card": "exp_month"}.get(card.code)
    return StripeError(
        card.message, status=402, error_type="card_error", code=card.code, param=param, extra=details
    )


def authentication_required_error(extra: Json) -> StripeError:
    """Return the error 402 of a payment off session that requires authentication."""
    return StripeError(
        "Your card was declined. This transaction requires authentication.",
        status=402,
        error_type="card_error",
        code="authentication_required",
        extra={"decline_code": "authentication_required", **extra},
    )


def is_foreign_method(identifier: str) -> bool:
    """Return True for an id that payments accept but no payment method of the account has.

    These are the ids of test payment methods, and those of sources and cards of the older API.
    """
    if identifier.startswith(("src_", "card_", "ba_")) or identifier in BANKS:
        return True
    return identifier.startswith("pm_card_") and card_of_token(identifier) is not None
