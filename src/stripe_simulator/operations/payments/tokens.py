"""Tokens and confirmation tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_simulator.errors import StripeError
from stripe_simulator.objects.read import object_response
from stripe_simulator.objects.test_clocks import unix_now
from stripe_simulator.objects.unlisted import new_unlisted_id, retrieve_unlisted, store_unlisted
from stripe_simulator.operations.handlers import Handlers
from stripe_simulator.operations.payments.payment_methods import create_from_data
from stripe_simulator.requests import test_cards
from stripe_simulator.requests.body import validate_route_parameters
from stripe_simulator.requests.request import ApiResponse

if TYPE_CHECKING:
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.types import Json


def create_token(request: ApiRequest) -> ApiResponse:
    """Create a single-use token by POST /v1/tokens, for a card, a bank account or other data."""
    params = validate_route_parameters(request)
    types = [name for name in params if name not in {"customer"}]
    if len(types) != 1:
        raise StripeError(
            "You must supply either a card, customer, PII data, bank account, or account legal entity to "
            "create a token.",
            param="card",
        )
    token_type, sent = types[0], params[types[0]]
    values: Json = {"client_ip": None, "type": token_type, "used": False}
    if token_type == "card":  # noqa: S105 - not a password
        if not isinstance(sent, dict):
            raise StripeError("Invalid object", param="card")
        card = test_cards.card_of_number(str(sent.get("number", "")))
        values["card"] = {
            "id": new_unlisted_id(request, "card_"),
            "object": "card",
            **card.details(int(sent["exp_month"]), int(sent["exp_year"])),
        }
    elif isinstance(sent, dict):
        kept = {"id": new_unlisted_id(request, "ba_")} if token_type == "bank_account" else {}  # noqa: S105
        values[token_type] = {
            **kept,
            "object": token_type,
            **{name: sent[name] for name in sent if name != "account_number"},
        }
    prefix = "btok_" if token_type == "bank_account" else "tok_"  # noqa: S105 - not a password
    return object_response(request, store_unlisted(request, prefix, "token", values))


def create_confirmation_token(request: ApiRequest) -> ApiResponse:
    """Create a confirmation token by POST /v1/test_helpers/confirmation_tokens."""
    params = validate_route_parameters(request)
    payment_method: Json | None = None
    if isinstance(params.get("payment_method_data"), dict):
        payment_method = create_from_data(request, params["payment_method_data"], "payment_method_data")
    elif params.get("payment_method"):
        card = test_cards.card_of_token(params["payment_method"])
        payment_method = {"type": "card", "card": card.details()} if card else None
    values = {
        "expires_at": unix_now() + 12 * 3600,
        "payment_method_preview": payment_method,
        "return_url": params.get("return_url"),
        "setup_future_usage": params.get("setup_future_usage"),
        "shipping": params.get("shipping"),
    }
    return object_response(request, store_unlisted(request, "ctoken_", "confirmation_token", values))


HANDLERS = Handlers(
    routes={
        ("POST", "/v1/tokens"): create_token,
        ("GET", "/v1/tokens/{token}"): retrieve_unlisted("token"),
        ("POST", "/v1/test_helpers/confirmation_tokens"): create_confirmation_token,
        ("GET", "/v1/confirmation_tokens/{confirmation_token}"): retrieve_unlisted("confirmation_token"),
    },
)
