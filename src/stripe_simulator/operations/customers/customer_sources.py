"""Cards and bank accounts of a customer, the latter created from tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_simulator import errors
from stripe_simulator.errors import StripeError
from stripe_simulator.objects.related import get_referenced, update_related
from stripe_simulator.operations.handlers import Handlers
from stripe_simulator.requests import test_cards

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import OperationContext
    from stripe_simulator.types import Json


def source_values(token: str, param: str) -> Json:
    """Return the fields of the card or bank account that a token stands for."""
    if token.startswith("btok_"):
        return {
            "account_holder_name": "Jane Austen", "account_holder_type": "individual",
            "bank_name": "STRIPE TEST BANK", "country": "US", "currency": "usd",
            "fingerprint": "1JWtPxqbdX5Gamtz", "last4": "6789", "object": "bank_account",
            "routing_number": "110000000", "status": "new",
        }  # fmt: skip
    card = test_cards.card_of_token(token) if token.startswith("tok_") else None
    if card is None:
        raise errors.no_object("token", token, param, status=400)
    if not card.can_be_saved:
        raise test_cards.decline_error(card)
    display_brands = {
        "visa": "Visa",
        "mastercard": "MasterCard",
        "amex": "American Express",
        "discover": "Discover",
    }
    return {
        "brand": display_brands.get(card.brand, card.brand), "country": card.country, "cvc_check": "pass",
        "exp_month": 8, "exp_year": 2030, "fingerprint": card.fingerprint, "funding": card.funding,
        "last4": card.number[-4:], "object": "card",
    }  # fmt: skip


def customer_source_values(token: str) -> Json:
    """Return the fields of the bank account that a customer's token stands for.

    Raises StripeError for the token of a card, which new accounts attach as a payment method instead.
    """
    if token.startswith("tok_") and test_cards.card_of_token(token) is not None:
        raise test_cards.restricted_token_error()
    return source_values(token, "source")


def create(context: OperationContext) -> None:
    """Create a bank account from a token. The first one becomes the customer's default."""
    context.object |= customer_source_values(context.params["source"])
    customer = get_referenced(context.request, "customer", context.request.ids[0], "customer")
    if customer["default_source"] is None:
        values = {"default_source": context.object["id"]}
        update_related(context.request, "customer", customer["id"], values, "customer.updated")


def delete(context: OperationContext) -> None:
    """Delete a source, and remove it as the customer's default."""
    customer = get_referenced(context.request, "customer", context.request.ids[0], "customer")
    if customer["default_source"] == context.object["id"]:
        update_related(
            context.request, "customer", customer["id"], {"default_source": None}, "customer.updated"
        )


def verify(context: OperationContext) -> None:
    """Verify a bank account by the two test amounts that Stripe documents: 32 and 45."""
    source, amounts = context.object, context.params.get("amounts") or ()
    if source["status"] == "verified":
        raise StripeError("This bank account has already been verified.", code="bank_account_verified")
    if sorted(amounts) != [32, 45]:
        raise StripeError(
            "The amounts provided do not match the amounts that were sent to the bank account.",
            status=402,
            error_type="card_error",
            code="bank_account_verification_failed",
        )
    source["status"] = "verified"
    context.emit("customer.source.updated")


HANDLERS = Handlers(
    operations={
        ("customer_source", "verify"): verify,
    },
    on_create={
        "customer_source": create,
    },
    on_delete={
        "customer_source": delete,
    },
)
