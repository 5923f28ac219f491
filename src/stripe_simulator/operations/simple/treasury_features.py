"""The features of a financial account of Treasury, each requested or not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stripe_simulator.objects.read import object_response
from stripe_simulator.objects.related import get_or_404
from stripe_simulator.operations.handlers import Handlers
from stripe_simulator.requests.body import validate_route_parameters

if TYPE_CHECKING:
    from stripe_simulator.requests.request import ApiRequest, ApiResponse
    from stripe_simulator.types import Json

_OBJECT = "treasury.financial_account_features"
# The features, and those that lie inside others.
_FEATURES: dict[str, tuple[str, ...]] = {
    "card_issuing": (),
    "deposit_insurance": (),
    "financial_addresses": ("aba",),
    "inbound_transfers": ("ach",),
    "intra_stripe_flows": (),
    "outbound_payments": ("ach", "us_domestic_wire"),
    "outbound_transfers": ("ach", "us_domestic_wire"),
}


def _feature(*, requested: bool) -> Json:
    return {
        "requested": requested,
        "status": "active" if requested else "restricted",
        "status_details": [] if requested else [{"code": "not_requested", "resolution": None}],
    }


def respond(request: ApiRequest) -> ApiResponse:
    """Answer GET and POST …/features. An account has all features until they are no longer requested."""
    account = get_or_404(request, "treasury_financial_account")
    key = f"{_OBJECT} of {account['id']}"
    features: Json = request.account.unlisted.get(key) or {
        "object": _OBJECT,
        **{
            name: {part: _feature(requested=True) for part in parts} if parts else _feature(requested=True)
            for name, parts in _FEATURES.items()
        },
    }
    if request.method == "POST":
        features = {**features}
        for name, sent in validate_route_parameters(request).items():
            features[name] = _changed(features[name], sent)
        request.account.unlisted[key] = features
    return object_response(request, features)


def _changed(before: Json, sent: dict[str, Any]) -> Json:
    if "requested" in sent:
        return _feature(requested=bool(sent["requested"]))
    return {**before, **{part: _changed(before[part], below) for part, below in sent.items()}}


HANDLERS = Handlers(
    routes={
        ("GET", "/v1/treasury/financial_accounts/{financial_account}/features"): respond,
        ("POST", "/v1/treasury/financial_accounts/{financial_account}/features"): respond,
    },
)
