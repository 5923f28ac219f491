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
    """GET /v1/balance."""
    return object_response(request, balance_object(request.account))


_SETTLEMENT_SECONDS = 2 * 86_400
_REPORTING_CATEGORIES = {"payment": "charge", "payment_refund": "refund", "payout_cancel": "payout_reversal"}
_PENDING_TYPES = frozenset({"charge", "payment", "refund", "payment_refund", "adjustment"})


def stripe_fee(amount: int) -> int:
    """What Stripe keeps of a payment: 2.9% and 30."""
    return (amount * 29 + 500) // 1000 + 30


def add_transaction(
    request: ApiRequest, kind: str, amount: int, currency: str, source: str, fee: int = 0
) -> str:
    """Write what moved in the balance; the id of the balance transaction.

    Payments and what takes them back move what is pending, all others what is available.
    """
    details = {
        "amount": fee,
        "application": None,
        "currency": currency,
        "description": "Stripe processing fees",
        "type": "stripe_fee",
    }
    pending = kind in _PENDING_TYPES
    made = create_related(
        request,
        "balance_transaction",
        {
            "amount": amount,
            "available_on": unix_now() + (_SETTLEMENT_SECONDS if pending else 0),
            "balance_type": "payments",
            "currency": currency,
            "fee": fee,
            "fee_details": [details] if fee else [],
            "net": amount - fee,
            "reporting_category": _REPORTING_CATEGORIES.get(kind, kind),
            "source": source,
            "status": "pending" if pending else "available",
            "type": kind,
        },
    )
    sums = request.account.balance["pending" if pending else "available"]
    sums[currency] = sums.get(currency, 0) + amount - fee
    return str(made["id"])


def require_available(request: ApiRequest, amount: int, currency: str) -> None:
    """Raises StripeError where the available balance is lower."""
    if amount > request.account.balance["available"].get(currency, 0):
        raise StripeError(
            "You have insufficient available funds in your Stripe account. Try adding funds directly to your "
            "available balance by creating Charges using the 4000000000000077 test card. See: "
            "https://stripe.com/docs/testing#available-balance",
            code="balance_insufficient",
        )


def balance_object(account: Account) -> dict[str, Any]:
    """The balance as GET /v1/balance answers it."""

    def amounts(kind: str) -> list[dict[str, Any]]:
        return [
            {"amount": amount, "currency": currency, "source_types": {"card": amount}}
            for currency, amount in sorted(account.balance[kind].items())
        ]

    return {
        "object": "balance",
        "available": amounts("available"),
        "livemode": False,
        "pending": amounts("pending"),
    }


def positive_amount(context: OperationContext) -> int:
    """Return the parameter `amount`. Raises StripeError for one below 1."""
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
