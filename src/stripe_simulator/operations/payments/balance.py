"""The account's balance: amounts, balance transactions and settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stripe_simulator.errors import StripeError
from stripe_simulator.objects.read import object_response
from stripe_simulator.objects.related import create_related
from stripe_simulator.objects.test_clocks import unix_now
from stripe_simulator.objects.unlisted import account_settings
from stripe_simulator.operations.handlers import Handlers
from stripe_simulator.requests import currencies
from stripe_simulator.requests.request import ApiResponse

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import OperationContext
    from stripe_simulator.requests.request import ApiRequest, ApiResponse
    from stripe_simulator.types import Json
    from stripe_simulator.world.account import Account


def retrieve(request: ApiRequest) -> ApiResponse:
    """Answer GET /v1/balance."""
    return object_response(request, balance_object(request.account))


_SETTLEMENT_SECONDS = 2 * 86_400
_REPORTING_CATEGORIES = {
    "payment": "charge",
    "payment_refund": "refund",
    "payout_cancel": "payout_reversal",
    "adjustment": "dispute",
}
_PENDING_TYPES = frozenset({"charge", "payment", "refund", "payment_refund"})


# Country whose cards are domestic for a currency, and what foreign cards cost in addition, in thousandths.
_FOREIGN_CARDS = {"cad": ("CA", 8), "usd": ("US", 15)}


def stripe_fee(amount: int, currency: str, card_country: str | None = None) -> int:
    """Return Stripe's fee for a payment, in minor units: 2.9% and 30, and more for foreign cards."""
    home, surcharge = _FOREIGN_CARDS.get(currency, (None, 0))
    rate = 29 + (surcharge if card_country is not None and card_country != home else 0)
    return (amount * rate + 500) // 1000 + 30


def add_transaction(
    request: ApiRequest,
    transaction_type: str,
    amount: int,
    currency: str,
    source: str,
    fee: int = 0,
    *,
    description: str | None = None,
) -> str:
    """Create a balance transaction and return its id.

    Payments and refunds change the pending balance, all other types the available one. An adjustment is that
    of a dispute.
    """
    fee_details = {
        "amount": fee,
        "application": None,
        "currency": currency,
        "description": "Dispute fee" if transaction_type == "adjustment" else "Stripe processing fees",
        "type": "stripe_fee",
    }
    is_pending = transaction_type in _PENDING_TYPES
    transaction = create_related(
        request,
        "balance_transaction",
        {
            "amount": amount,
            "available_on": unix_now() + (_SETTLEMENT_SECONDS if is_pending else 0),
            "balance_type": "payments",
            "currency": currency,
            "description": description,
            "fee": fee,
            "fee_details": [fee_details] if fee else [],
            "net": amount - fee,
            "reporting_category": _REPORTING_CATEGORIES.get(transaction_type, transaction_type),
            "source": source,
            "status": "pending" if is_pending else "available",
            "type": transaction_type,
        },
    )
    amounts = request.account.balance["pending" if is_pending else "available"]
    amounts[currency] = amounts.get(currency, 0) + amount - fee
    return str(transaction["id"])


def require_available(request: ApiRequest, amount: int, currency: str) -> None:
    """Raise StripeError if the available balance is below the amount."""
    if amount > request.account.balance["available"].get(currency, 0):
        raise StripeError(
            "You have insufficient available funds in your Stripe account. Try adding funds directly to your "
            "available balance by creating Charges using the 4000000000000077 test card. See: "
            "https://stripe.com/docs/testing#available-balance",
            code="balance_insufficient",
        )


def balance_object(account: Account) -> dict[str, Any]:
    """Return the balance as GET /v1/balance answers it."""

    def amounts(state: str) -> list[dict[str, Any]]:
        return [
            {"amount": amount, "currency": currency, "source_types": {"card": amount}}
            for currency, amount in sorted(account.balance[state].items())
        ]

    return {
        "object": "balance",
        "available": amounts("available"),
        "livemode": False,
        "pending": amounts("pending"),
        "refund_and_dispute_prefunding": {
            state: [{"amount": 0, "currency": currency} for currency in sorted(account.balance[state])]
            for state in ("available", "pending")
        },
    }


def positive_amount(context: OperationContext) -> int:
    """Return the parameter `amount`. Raises StripeError if it is below 1."""
    amount: int = context.params["amount"]
    if amount < 1:
        raise currencies.too_low_error("amount")
    return amount


_BALANCE_SETTINGS: Json = {"payments": {"debit_negative_balances": True, "payouts": {"status": "enabled"}}}


HANDLERS = Handlers(
    routes={
        ("GET", "/v1/balance"): retrieve,
        ("GET", "/v1/balance_settings"): account_settings("balance_settings", _BALANCE_SETTINGS),
        ("POST", "/v1/balance_settings"): account_settings("balance_settings", _BALANCE_SETTINGS),
    },
)
