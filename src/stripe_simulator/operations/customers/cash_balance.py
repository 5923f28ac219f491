"""The cash balance of a customer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_simulator.objects.read import object_response
from stripe_simulator.objects.related import get_or_404
from stripe_simulator.operations.handlers import Handlers
from stripe_simulator.requests.body import validate_route_parameters
from stripe_simulator.requests.included_fields import cash_balance

if TYPE_CHECKING:
    from stripe_simulator.requests.request import ApiRequest, ApiResponse
    from stripe_simulator.types import Json


def _read_cash_balance(request: ApiRequest) -> tuple[Json, Json]:
    customer = get_or_404(request, "customer")
    return customer, cash_balance(request.account, customer)


def retrieve(request: ApiRequest) -> ApiResponse:
    """Answer GET …/cash_balance. The balance is always empty; its settings are stored."""
    return object_response(request, _read_cash_balance(request)[1])


def update(request: ApiRequest) -> ApiResponse:
    """Answer POST …/cash_balance, which changes the reconciliation mode."""
    customer, _ = _read_cash_balance(request)
    params = validate_route_parameters(request)
    mode = (params.get("settings") or {}).get("reconciliation_mode")
    if mode is not None:
        request.account.cash_modes[customer["id"]] = "automatic" if mode == "merchant_default" else mode
    return object_response(request, _read_cash_balance(request)[1])


HANDLERS = Handlers(
    routes={
        ("GET", "/v1/customers/{customer}/cash_balance"): retrieve,
        ("POST", "/v1/customers/{customer}/cash_balance"): update,
    },
)
