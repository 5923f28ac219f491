"""Objects that no list shows: tokens, sources, links, sessions and the account's settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from stripe_simulator import errors
from stripe_simulator.errors import StripeProblem
from stripe_simulator.objects.operation import living_in, now, read
from stripe_simulator.objects.read import shown
from stripe_simulator.operations.payments.payment_methods import from_data
from stripe_simulator.requests import pagination, test_cards
from stripe_simulator.requests.body import checked
from stripe_simulator.requests.call import Answer
from stripe_simulator.requests.list_filters import Condition
from stripe_simulator.requests.parameters import merged_metadata
from stripe_simulator.seeding import salt
from stripe_simulator.world.ids import Codec

if TYPE_CHECKING:
    from stripe_simulator.requests.call import Call, Json

_SOON = 300  # seconds for which a link to a page of Stripe's is good


def _params(call: Call) -> Json:
    assert call.route.operation is not None
    return checked(call, call.route.operation)


def _new_id(call: Call, prefix: str) -> str:
    number = len(call.world.singles)
    return Codec(prefix, call.world.seed, call.world.account, "single").encode(number)


def _keep(call: Call, prefix: str, kind: str, values: Json) -> Json:
    """A new object that can be retrieved by its id."""
    made: Json = {"id": _new_id(call, prefix), "object": kind, "created": now(), "livemode": False} | values
    call.world.singles[made["id"]] = made
    return made


def _kept(call: Call, kind: str) -> Json:
    made = call.world.singles.get(call.ids[0])
    if made is None or made["object"] != kind:
        raise errors.no_object(kind.replace("_", " "), call.ids[0])
    return made


def retrieve(kind: str) -> Callable[[Call], Answer]:
    """GET of one that was made here."""
    return lambda call: shown(call, _kept(call, kind))


def create_token(call: Call) -> Answer:
    """POST /v1/tokens: a card, a bank account, or whatever else, to be used once."""
    params = _params(call)
    kinds = [name for name in params if name not in {"customer"}]
    if len(kinds) != 1:
        raise StripeProblem(
            "You must supply either a card, customer, PII data, bank account, or account legal entity to "
            "create a token.",
            param="card",
        )
    kind, sent = kinds[0], params[kinds[0]]
    values: Json = {"client_ip": None, "type": kind, "used": False}
    if kind == "card":
        if not isinstance(sent, dict):
            raise StripeProblem("Invalid object", param="card")
        card = test_cards.numbered(str(sent.get("number", "")))
        values["card"] = {"object": "card", **card.shown(int(sent["exp_month"]), int(sent["exp_year"]))}
    elif isinstance(sent, dict):
        values[kind] = {"object": kind, **{name: sent[name] for name in sent if name != "account_number"}}
    return shown(call, _keep(call, "tok_", "token", values))


def create_source(call: Call) -> Answer:
    """POST /v1/sources: the oldest way to pay."""
    params = _params(call)
    usual: Json = {"amount": None, "currency": None, "status": "pending", "flow": "redirect"}
    values = usual | params
    values["metadata"] = dict(params.get("metadata") or {})
    return shown(call, _keep(call, "src_", "source", values))


def update_source(call: Call) -> Answer:
    """POST /v1/sources/{source}."""
    made = dict(_kept(call, "source"))
    params = _params(call)
    if "metadata" in params:
        params["metadata"] = merged_metadata(made["metadata"], params["metadata"])
    call.world.singles[made["id"]] = made = made | params
    return shown(call, made)


def create_confirmation_token(call: Call) -> Answer:
    """POST /v1/test_helpers/confirmation_tokens: what the customer chose, to be confirmed with."""
    params = _params(call)
    method: Json | None = None
    if isinstance(params.get("payment_method_data"), dict):
        method = from_data(call, params["payment_method_data"], "payment_method_data")
    elif params.get("payment_method"):
        card = test_cards.named(params["payment_method"])
        method = {"type": "card", "card": card.shown()} if card else None
    values = {
        "expires_at": now() + 12 * 3600,
        "payment_method_preview": method,
        "return_url": params.get("return_url"),
        "setup_future_usage": params.get("setup_future_usage"),
        "shipping": params.get("shipping"),
    }
    return shown(call, _keep(call, "ctoken_", "confirmation_token", values))


def create_financial_session(call: Call) -> Answer:
    """POST /v1/financial_connections/sessions: where somebody links a bank account."""
    url = "/v1/financial_connections/accounts"
    values: Json = {"accounts": {"object": "list", "data": [], "has_more": False, "url": url}}
    return shown(call, _keep(call, "fcsess_", "financial_connections.session", values | _params(call)))


def create_ephemeral_key(call: Call) -> Answer:
    """POST /v1/ephemeral_keys."""
    _params(call)
    made = _keep(call, "ephkey_", "ephemeral_key", {"expires": now() + 3600})
    return shown(call, made | {"secret": "ek_test_" + made["id"][7:]})


def delete_ephemeral_key(call: Call) -> Answer:
    """DELETE /v1/ephemeral_keys/{key}."""
    made = _kept(call, "ephemeral_key")
    del call.world.singles[made["id"]]
    return shown(call, made)


def _link(kind: str, url: str) -> Callable[[Call], Answer]:
    def answer(call: Call) -> Answer:
        if call.ids:
            living_in(call, "account", call.ids[0])
        params = _params(call)
        if "account" in params:
            read(call, "account", params["account"], "account")
        times = {"created": now(), "expires_at": now() + _SOON}
        number = salt(kind, call.request_id) % 2**40
        return shown(call, {"object": kind, **times, "url": f"{url}/{number:x}"})

    return answer


def _session(kind: str, **names: str) -> Callable[[Call], Answer]:
    """A session whose secret a page of the customer's needs."""

    def answer(call: Call) -> Answer:
        params = _params(call)
        for name, resource in names.items():
            if name in params:
                read(call, resource, params[name], name)
        secret = f"{kind}_secret_{salt(kind, call.request_id):x}"
        made = {"object": kind, "created": now(), "expires_at": now() + 1800, "livemode": False}
        return shown(call, {**params, **made, "client_secret": secret})

    return answer


def connection_token(call: Call) -> Answer:
    """POST /v1/terminal/connection_tokens."""
    params = _params(call)
    return shown(call, {"object": "terminal.connection_token", "secret": "pst_test_simulated", **params})


def _settings(kind: str, usual: Json) -> Callable[[Call], Answer]:
    """The account's settings, read with GET and changed with POST."""

    def answer(call: Call) -> Answer:
        made = {"object": kind, **usual, **call.world.singles.get(kind, {})}
        if call.method == "POST":
            for name, value in _params(call).items():
                now_ = made.get(name)
                both = isinstance(now_, dict) and isinstance(value, dict)
                made[name] = {**now_, **value} if both else value  # type: ignore[dict-item]
            call.world.singles[kind] = made
        return shown(call, made)

    return answer


_TAX: Json = {"defaults": {"provider": "stripe", "tax_behavior": None, "tax_code": None}, "head_office": None,
        "livemode": False, "status": "active", "status_details": {"active": {}}}  # fmt: skip
_BALANCE: Json = {"payments": {"debit_negative_balances": True, "payouts": {"status": "enabled"}}}


def payment_methods(call: Call) -> Answer:
    """GET of a customer's payment methods."""
    living_in(call, "customer", call.ids[0])
    collection = call.world.collection("payment_method")
    columns = collection.resource.column
    conditions = [Condition(columns["customer"], (call.ids[0],))]
    if "type" in call.params:
        conditions.append(Condition(columns["type"], (call.params["type"],)))
    low, high = collection.bounds()
    page = pagination.page_of(collection, conditions, call.params, low=low, high=high, paged=True)
    bodies = [collection.body(position) for position in page.positions]
    return Answer(pagination.body_of(bodies, has_more=page.has_more, url=call.path))


def _secret(call: Call, params: Json) -> int:
    """Where the app's secret of this name and scope stands."""
    secrets = call.world.collection("apps_secret")
    scope = {"user": None, **(params.get("scope") or {})}
    for position in secrets.find([], *secrets.bounds(), newest_first=True):
        made = secrets.read(position)
        if made["name"] == params["name"] and {"user": None, **(made["scope"] or {})} == scope:
            return position
    raise errors.no_object("secret", str(params["name"]), "name")


def find_secret(call: Call) -> Answer:
    """GET /v1/apps/secrets/find."""
    position = _secret(call, _params(call))
    return shown(call, call.world.collection("apps_secret").read(position))


def delete_secret(call: Call) -> Answer:
    """POST /v1/apps/secrets/delete."""
    secrets = call.world.collection("apps_secret")
    position = _secret(call, _params(call))
    made = secrets.read(position)
    secrets.delete(position)
    return shown(call, {**made, "deleted": True})


PATHS: dict[tuple[str, str], Callable[[Call], Answer]] = {
    ("GET", "/v1/customers/{customer}/payment_methods"): payment_methods,
    ("POST", "/v1/tokens"): create_token,
    ("GET", "/v1/tokens/{token}"): retrieve("token"),
    ("POST", "/v1/sources"): create_source,
    ("GET", "/v1/sources/{source}"): retrieve("source"),
    ("POST", "/v1/sources/{source}"): update_source,
    ("POST", "/v1/test_helpers/confirmation_tokens"): create_confirmation_token,
    ("GET", "/v1/confirmation_tokens/{confirmation_token}"): retrieve("confirmation_token"),
    ("POST", "/v1/financial_connections/sessions"): create_financial_session,
    ("GET", "/v1/financial_connections/sessions/{session}"): retrieve("financial_connections.session"),
    ("POST", "/v1/ephemeral_keys"): create_ephemeral_key,
    ("DELETE", "/v1/ephemeral_keys/{key}"): delete_ephemeral_key,
    ("POST", "/v1/account_links"): _link("account_link", "https://connect.stripe.com/setup/s"),
    ("POST", "/v1/accounts/{account}/login_links"): _link("login_link", "https://connect.stripe.com/express"),
    ("POST", "/v1/account_sessions"): _session("account_session", account="account"),
    ("POST", "/v1/customer_sessions"): _session("customer_session", customer="customer"),
    ("POST", "/v1/terminal/connection_tokens"): connection_token,
    ("GET", "/v1/tax/settings"): _settings("tax.settings", _TAX),
    ("POST", "/v1/tax/settings"): _settings("tax.settings", _TAX),
    ("GET", "/v1/balance_settings"): _settings("balance_settings", _BALANCE),
    ("POST", "/v1/balance_settings"): _settings("balance_settings", _BALANCE),
    ("GET", "/v1/apps/secrets/find"): find_secret,
    ("POST", "/v1/apps/secrets/delete"): delete_secret,
}
