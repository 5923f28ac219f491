"""Stripe's test cards, by number, token and test payment method (https://docs.stripe.com/testing)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stripe_simulator.errors import StripeError
from stripe_simulator.seeding import stable_hash
from stripe_simulator.world.ids import base62
from stripe_simulator.world.makers.cards import card_details

if TYPE_CHECKING:
    from stripe_simulator.types import Json


@dataclass(frozen=True, slots=True)
class Card:
    """A test card and the outcome of charging it.

    `code`, `decline_code` and `message` are those of the error, if charges fail; `network_decline_code` is
    that of the bank, and `advice_code` says whether another attempt may succeed. Without `can_be_saved` the
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
    network_decline_code: str = ""
    advice_code: str = ""
    can_be_saved: bool = True
    requires_authentication: bool = False

    @property
    def fingerprint(self) -> str:
        """The fingerprint of all payment methods with this number."""
        return base62(stable_hash("fingerprint", self.number) << 64 | stable_hash(self.number), 16)

    def details(
        self, exp_month: int = 8, exp_year: int = 2030, *, cvc_check: str | None = "unchecked"
    ) -> Json:
        """Return the card as payment methods show it."""
        return card_details(
            self.brand,
            cvc_check=cvc_check,
            country=self.country,
            exp_month=exp_month,
            exp_year=exp_year,
            fingerprint=self.fingerprint,
            funding=self.funding,
            last4=self.number[-4:],
        )


_DECLINED = "Your card was declined."


def _declined(number: str, decline_code: str = "generic_decline", *, can_be_saved: bool = False) -> Card:
    network_decline_code, advice_code = _BANK_RESPONSES[decline_code]
    return Card(
        number,
        code="card_declined",
        decline_code=decline_code,
        message="Your card has insufficient funds." if decline_code == "insufficient_funds" else _DECLINED,
        network_decline_code=network_decline_code,
        advice_code=advice_code,
        can_be_saved=can_be_saved,
    )


def _refused(number: str, code: str, message: str) -> Card:
    network_decline_code, advice_code = _BANK_RESPONSES[code]
    return Card(
        number,
        code=code,
        message=message,
        network_decline_code=network_decline_code,
        advice_code=advice_code,
        can_be_saved=False,
    )


# The bank's code and Stripe's advice, by decline code or code of the error.
_BANK_RESPONSES: Mapping[str, tuple[str, str]] = {
    "generic_decline": ("01", "try_again_later"),
    "insufficient_funds": ("51", "try_again_later"),
    "lost_card": ("41", "do_not_try_again"),
    "stolen_card": ("43", "do_not_try_again"),
    "fraudulent": ("59", "do_not_try_again"),
    "expired_card": ("54", "confirm_card_data"),
    "incorrect_cvc": ("82", "confirm_card_data"),
    "processing_error": ("96", "try_again_later"),
}


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
    "chargeDeclinedExpiredCard": _refused("4000000000000069", "expired_card", "Your card has expired."),
    "chargeDeclinedIncorrectCvc": _refused(
        "4000000000000127", "incorrect_cvc", "Your card's security code is incorrect."
    ),
    "chargeDeclinedProcessingError": _refused(
        "4000000000000119",
        "processing_error",
        "An error occurred while processing your card. Try again in a little bit.",
    ),
    "chargeCustomerFail": _declined("4000000000000341", can_be_saved=True),
    "authenticationRequired": Card("4000002760003184", country="DE", requires_authentication=True),
    "authenticationRequiredOnSetup": Card("4000002500003155", country="FR"),
    "threeDSecure2Required": Card("4000000000003220", country="IE", requires_authentication=True),
    "createDispute": Card("4000000000000259"),
    "createDisputeInquiry": Card("4000000000001976"),
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
    for name in ("advice_code", "decline_code", "network_decline_code"):
        if getattr(card, name):
            details[name] = getattr(card, name)
    param = {"incorrect_cvc": "cvc", "expired_card": "exp_month"}.get(card.code)
    return StripeError(
        card.message, status=402, error_type="card_error", code=card.code, param=param, extra=details
    )


def attach_refusal(card: Card) -> StripeError:
    """Return the error 402 of a card that is declined when a customer is to save it."""
    error = decline_error(card)
    error.param = error.param or ""
    return error


def restricted_token_error() -> StripeError:
    """Return the error of the token of a card that customers and charges of newer accounts do not take."""
    return StripeError(
        "Card Token usage on the Customers API and Charges API has restrictions. Please use payment methods."
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
