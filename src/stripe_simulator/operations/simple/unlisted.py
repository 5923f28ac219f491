"""Objects that no list shows: tokens, sources, links, sessions and the account's settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from stripe_simulator import errors
from stripe_simulator.errors import StripeError
from stripe_simulator.objects.read import object_response
from stripe_simulator.objects.related import get_or_404, get_referenced
from stripe_simulator.objects.test_clocks import unix_now
from stripe_simulator.operations.payments.payment_methods import create_from_data
from stripe_simulator.requests import pagination, test_cards
from stripe_simulator.requests.body import validate_route_parameters
from stripe_simulator.requests.parameters import merged_metadata
from stripe_simulator.requests.request import ApiResponse
from stripe_simulator.seeding import stable_hash
from stripe_simulator.world.conditions import Condition
from stripe_simulator.world.ids import IdCodec

if TYPE_CHECKING:
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.types import Json

_LINK_LIFETIME = 300  # seconds for which a link to a page of Stripe's is good


def new_unlisted_id(request: ApiRequest, prefix: str) -> str:
    """Return an id that no other unlisted object of the account has."""
    number = len(request.account.unlisted)
    return IdCodec(prefix, request.account.seed, request.account.id, "single").encode(number)


def store_unlisted(request: ApiRequest, prefix: str, kind: str, values: Json) -> Json:
    """A new object that can be retrieved by its id."""
    made: Json = {
        "id": new_unlisted_id(request, prefix),
        "object": kind,
        "created": unix_now(),
        "livemode": False,
    } | values
    request.account.unlisted[made["id"]] = made
    return made


def get_unlisted(request: ApiRequest, kind: str) -> Json:
    """Return the object that the path names. Raises a 404 error where there is none."""
    made = request.account.unlisted.get(request.ids[0])
    if made is None or made["object"] != kind:
        raise errors.no_object(kind.replace("_", " "), request.ids[0])
    return made


def retrieve_unlisted(kind: str) -> Callable[[ApiRequest], ApiResponse]:
    """GET of one that was made here."""
    return lambda request: object_response(request, get_unlisted(request, kind))


def create_token(request: ApiRequest) -> ApiResponse:
    """POST /v1/tokens: a card, a bank account, or whatever else, to be used once."""
    params = validate_route_parameters(request)
    kinds = [name for name in params if name not in {"customer"}]
    if len(kinds) != 1:
        raise StripeError(
            "You must supply either a card, customer, PII data, bank account, or account legal entity to "
            "create a token.",
            param="card",
        )
    kind, sent = kinds[0], params[kinds[0]]
    values: Json = {"client_ip": None, "type": kind, "used": False}
    if kind == "card":
        if not isinstance(sent, dict):
            raise StripeError("Invalid object", param="card")
        card = test_cards.numbered(str(sent.get("number", "")))
        values["card"] = {"object": "card", **card.shown(int(sent["exp_month"]), int(sent["exp_year"]))}
    elif isinstance(sent, dict):
        values[kind] = {"object": kind, **{name: sent[name] for name in sent if name != "account_number"}}
    return object_response(request, store_unlisted(request, "tok_", "token", values))


def create_source(request: ApiRequest) -> ApiResponse:
    """POST /v1/sources: the oldest way to pay."""
    params = validate_route_parameters(request)
    usual: Json = {"amount": None, "currency": None, "status": "pending", "flow": "redirect"}
    values = usual | params
    values["metadata"] = dict(params.get("metadata") or {})
    return object_response(request, store_unlisted(request, "src_", "source", values))


def update_source(request: ApiRequest) -> ApiResponse:
    """POST /v1/sources/{source}."""
    made = dict(get_unlisted(request, "source"))
    params = validate_route_parameters(request)
    if "metadata" in params:
        params["metadata"] = merged_metadata(made["metadata"], params["metadata"])
    request.account.unlisted[made["id"]] = made = made | params
    return object_response(request, made)


def create_confirmation_token(request: ApiRequest) -> ApiResponse:
    """POST /v1/test_helpers/confirmation_tokens: what the customer chose, to be confirmed with."""
    params = validate_route_parameters(request)
    method: Json | None = None
    if isinstance(params.get("payment_method_data"), dict):
        method = create_from_data(request, params["payment_method_data"], "payment_method_data")
    elif params.get("payment_method"):
        card = test_cards.named(params["payment_method"])
        method = {"type": "card", "card": card.shown()} if card else None
    values = {
        "expires_at": unix_now() + 12 * 3600,
        "payment_method_preview": method,
        "return_url": params.get("return_url"),
        "setup_future_usage": params.get("setup_future_usage"),
        "shipping": params.get("shipping"),
    }
    return object_response(request, store_unlisted(request, "ctoken_", "confirmation_token", values))


def create_financial_session(request: ApiRequest) -> ApiResponse:
    """POST /v1/financial_connections/sessions: where somebody links a bank account."""
    url = "/v1/financial_connections/accounts"
    values: Json = {"accounts": {"object": "list", "data": [], "has_more": False, "url": url}}
    return object_response(
        request,
        store_unlisted(
            request, "fcsess_", "financial_connections.session", values | validate_route_parameters(request)
        ),
    )


def create_ephemeral_key(request: ApiRequest) -> ApiResponse:
    """POST /v1/ephemeral_keys."""
    validate_route_parameters(request)
    made = store_unlisted(request, "ephkey_", "ephemeral_key", {"expires": unix_now() + 3600})
    return object_response(request, made | {"secret": "ek_test_" + made["id"][7:]})


def delete_ephemeral_key(request: ApiRequest) -> ApiResponse:
    """DELETE /v1/ephemeral_keys/{key}."""
    made = get_unlisted(request, "ephemeral_key")
    del request.account.unlisted[made["id"]]
    return object_response(request, made)


def _create_link(kind: str, url: str) -> Callable[[ApiRequest], ApiResponse]:
    def answer(request: ApiRequest) -> ApiResponse:
        if request.ids:
            get_or_404(request, "account", request.ids[0])
        params = validate_route_parameters(request)
        if "account" in params:
            get_referenced(request, "account", params["account"], "account")
        times = {"created": unix_now(), "expires_at": unix_now() + _LINK_LIFETIME}
        number = stable_hash(kind, request.request_id) % 2**40
        return object_response(request, {"object": kind, **times, "url": f"{url}/{number:x}"})

    return answer


def _create_session(kind: str, **names: str) -> Callable[[ApiRequest], ApiResponse]:
    """A session whose secret a page of the customer's needs."""

    def answer(request: ApiRequest) -> ApiResponse:
        params = validate_route_parameters(request)
        for name, resource in names.items():
            if name in params:
                get_referenced(request, resource, params[name], name)
        secret = f"{kind}_secret_{stable_hash(kind, request.request_id):x}"
        made = {"object": kind, "created": unix_now(), "expires_at": unix_now() + 1800, "livemode": False}
        return object_response(request, {**params, **made, "client_secret": secret})

    return answer


def create_connection_token(request: ApiRequest) -> ApiResponse:
    """POST /v1/terminal/connection_tokens."""
    params = validate_route_parameters(request)
    return object_response(
        request, {"object": "terminal.connection_token", "secret": "pst_test_simulated", **params}
    )


def account_settings(kind: str, usual: Json) -> Callable[[ApiRequest], ApiResponse]:
    """The account's settings, read with GET and changed with POST."""

    def answer(request: ApiRequest) -> ApiResponse:
        made = {"object": kind, **usual, **request.account.unlisted.get(kind, {})}
        if request.method == "POST":
            for name, value in validate_route_parameters(request).items():
                now_ = made.get(name)
                both = isinstance(now_, dict) and isinstance(value, dict)
                made[name] = {**now_, **value} if both else value  # type: ignore[dict-item]
            request.account.unlisted[kind] = made
        return object_response(request, made)

    return answer


_TAX_SETTINGS: Json = {
        "defaults": {"provider": "stripe", "tax_behavior": None, "tax_code": None}, "head_office": None,
        "livemode": False, "status": "active", "status_details": {"active": {}}}  # fmt: skip
_BALANCE_SETTINGS: Json = {"payments": {"debit_negative_balances": True, "payouts": {"status": "enabled"}}}


def list_payment_methods(request: ApiRequest) -> ApiResponse:
    """GET of a customer's payment methods."""
    get_or_404(request, "customer", request.ids[0])
    collection = request.account.collection("payment_method")
    columns = collection.resource.column
    conditions = [Condition(columns["customer"], (request.ids[0],))]
    if "type" in request.params:
        conditions.append(Condition(columns["type"], (request.params["type"],)))
    low, high = collection.bounds()
    page = pagination.page_of(collection, conditions, request.params, low=low, high=high, paged=True)
    bodies = [collection.body(position) for position in page.positions]
    return ApiResponse(pagination.body_of(bodies, has_more=page.has_more, url=request.path))


def _secret_position(request: ApiRequest, params: Json) -> int:
    """Where the app's secret of this name and scope stands."""
    secrets = request.account.collection("apps_secret")
    scope = {"user": None, **(params.get("scope") or {})}
    for position in secrets.find([], *secrets.bounds(), newest_first=True):
        made = secrets.read(position)
        if made["name"] == params["name"] and {"user": None, **(made["scope"] or {})} == scope:
            return position
    raise errors.no_object("secret", str(params["name"]), "name")


def find_secret(request: ApiRequest) -> ApiResponse:
    """GET /v1/apps/secrets/find."""
    position = _secret_position(request, validate_route_parameters(request))
    return object_response(request, request.account.collection("apps_secret").read(position))


def delete_secret(request: ApiRequest) -> ApiResponse:
    """POST /v1/apps/secrets/delete."""
    secrets = request.account.collection("apps_secret")
    position = _secret_position(request, validate_route_parameters(request))
    made = secrets.read(position)
    secrets.delete(position)
    return object_response(request, {**made, "deleted": True})


PATHS: dict[tuple[str, str], Callable[[ApiRequest], ApiResponse]] = {
    ("GET", "/v1/customers/{customer}/payment_methods"): list_payment_methods,
    ("POST", "/v1/tokens"): create_token,
    ("GET", "/v1/tokens/{token}"): retrieve_unlisted("token"),
    ("POST", "/v1/sources"): create_source,
    ("GET", "/v1/sources/{source}"): retrieve_unlisted("source"),
    ("POST", "/v1/sources/{source}"): update_source,
    ("POST", "/v1/test_helpers/confirmation_tokens"): create_confirmation_token,
    ("GET", "/v1/confirmation_tokens/{confirmation_token}"): retrieve_unlisted("confirmation_token"),
    ("POST", "/v1/financial_connections/sessions"): create_financial_session,
    ("GET", "/v1/financial_connections/sessions/{session}"): retrieve_unlisted(
        "financial_connections.session"
    ),
    ("POST", "/v1/ephemeral_keys"): create_ephemeral_key,
    ("DELETE", "/v1/ephemeral_keys/{key}"): delete_ephemeral_key,
    ("POST", "/v1/account_links"): _create_link("account_link", "https://connect.stripe.com/setup/s"),
    ("POST", "/v1/accounts/{account}/login_links"): _create_link(
        "login_link", "https://connect.stripe.com/express"
    ),
    ("POST", "/v1/account_sessions"): _create_session("account_session", account="account"),
    ("POST", "/v1/customer_sessions"): _create_session("customer_session", customer="customer"),
    ("POST", "/v1/terminal/connection_tokens"): create_connection_token,
    ("GET", "/v1/tax/settings"): account_settings("tax.settings", _TAX_SETTINGS),
    ("POST", "/v1/tax/settings"): account_settings("tax.settings", _TAX_SETTINGS),
    ("GET", "/v1/balance_settings"): account_settings("balance_settings", _BALANCE_SETTINGS),
    ("POST", "/v1/balance_settings"): account_settings("balance_settings", _BALANCE_SETTINGS),
    ("GET", "/v1/apps/secrets/find"): find_secret,
    ("POST", "/v1/apps/secrets/delete"): delete_secret,
}
