"""Operations: each one that the catalog lists can be answered, and those on objects without a table."""

import re
import time
from importlib import import_module
from pathlib import Path

import pytest

from stripe_fdw.catalog import Kind, load
from stripe_simulator.operations import registry
from stripe_simulator.requests.routes import Router

CATALOG = load()
ROUTER = Router(CATALOG)


def is_implemented(method: str, path: str) -> bool:
    route, _ = ROUTER.find(method, path)
    return registry.find_operation(method, route) is not None


@pytest.mark.parametrize(
    "resource",
    [resource_ for resource_ in CATALOG.resources if resource_.transitions],
    ids=lambda resource: resource.name,
)
def test_every_change_of_state_is_implemented(resource):
    for transition in resource.transitions:
        operation = transition.operation
        assert is_implemented(operation.method, operation.path), operation


def test_an_operation_that_two_modules_register_is_refused():
    with pytest.raises(ValueError, match=r"registered twice: \{'invoice'\}"):
        registry._merge([{"invoice": 1}, {"quote": 2}, {"invoice": 3}])


def test_every_module_that_has_handlers_is_registered():
    package = Path(registry.__file__).parent
    names = (
        ".".join(path.relative_to(package).with_suffix("").parts)
        for path in package.rglob("*.py")
        if path.name != "__init__.py"
    )
    modules = [import_module(f"stripe_simulator.operations.{name}") for name in names]
    with_handlers = {module.__name__ for module in modules if hasattr(module, "HANDLERS")}
    assert with_handlers == {module.__name__ for module in registry._MODULES}


def test_an_operation_that_is_not_implemented_is_a_501(stripe):
    answer = stripe.post("/radar/payment_evaluations")
    assert answer.status_code == 501
    assert "does not carry out POST /v1/radar/payment_evaluations" in answer.json()["error"]["message"]
    assert not is_implemented("POST", "/v1/radar/payment_evaluations")


def test_a_token_of_a_card(post, stripe):
    card = {"card[number]": "4242424242424242", "card[exp_month]": "4", "card[exp_year]": "2031"}
    token = post("/tokens", **card)
    assert (token["id"][:4], token["card"]["last4"]) == ("tok_", "4242")
    assert stripe.get(f"/tokens/{token['id']}").json() == token
    assert post("/tokens", 400)["param"] == "card"
    assert stripe.get("/tokens/tok_x").status_code == 404


def test_a_source_is_changed(post, stripe):
    source = post("/sources", type="card", **{"metadata[a]": "1"})
    changed = post(f"/sources/{source['id']}", **{"metadata[b]": "2"})
    assert changed["metadata"] == {"a": "1", "b": "2"}
    assert stripe.get(f"/sources/{source['id']}").json() == changed


def test_links_and_sessions(post, reader):
    account = reader.page("/accounts")["data"][0]["id"]
    link = post(
        "/account_links", account=account, type="account_onboarding",
        return_url="https://example.com", refresh_url="https://example.com",
    )  # fmt: skip
    assert (link["object"], link["expires_at"] > time.time()) == ("account_link", True)
    assert post(f"/accounts/{account}/login_links")["object"] == "login_link"
    customer = post("/customers")["id"]
    session = post("/customer_sessions", customer=customer, **{"components[buy_button][enabled]": "true"})
    assert (session["object"], session["customer"]) == ("customer_session", customer)
    assert post("/terminal/connection_tokens")["object"] == "terminal.connection_token"


def test_settings_of_the_account(post, stripe):
    assert stripe.get("/tax/settings").json()["status"] == "active"
    post("/tax/settings", **{"defaults[tax_behavior]": "inclusive"})
    assert stripe.get("/tax/settings").json()["defaults"]["tax_behavior"] == "inclusive"


def test_a_customers_payment_methods(post, stripe):
    customer = post("/customers")["id"]
    payment_method_ids = [
        post("/payment_methods/pm_card_visa/attach", customer=customer)["id"] for _ in range(3)
    ]
    page = stripe.get(f"/customers/{customer}/payment_methods?limit=2").json()
    assert ([payment_method["id"] for payment_method in page["data"]], page["has_more"]) == (
        payment_method_ids[:0:-1],
        True,
    )
    assert stripe.get(f"/customers/{customer}/payment_methods?type=link").json()["data"] == []


def test_a_secret_of_an_app_is_found_and_deleted(post, stripe):
    post("/apps/secrets", name="token", payload="s", **{"scope[type]": "account"})
    secret = stripe.get("/apps/secrets/find?name=token&scope[type]=account")
    assert secret.json()["name"] == "token"
    assert post("/apps/secrets/delete", name="token", **{"scope[type]": "account"})["deleted"] is True
    assert stripe.get("/apps/secrets/find?name=token&scope[type]=account").status_code == 404


def test_a_payment_made_elsewhere_is_reported(post, stripe):
    data = {
        "amount_requested[currency]": "eur",
        "amount_requested[value]": "700",
        "initiated_at": "1790000000",
        "payment_method_details[type]": "custom",
        "outcome": "failed",
    }
    payment_record = post("/payment_records/report_payment", **data)
    assert payment_record["amount_failed"] == {"currency": "eur", "value": 700}
    path = f"/payment_records/{payment_record['id']}"
    again = post(f"{path}/report_payment_attempt", initiated_at="1790000100", outcome="guaranteed")
    assert again["amount_guaranteed"] == {"currency": "eur", "value": 700}
    refund = {"outcome": "refunded", "processor_details[type]": "custom", "amount[currency]": "eur"}
    part = post(f"{path}/report_refund", **refund, **{"amount[value]": "200"})
    assert part["amount_refunded"]["value"] == 200
    assert post(f"{path}/report_refund", 400, **refund, **{"amount[value]": "501"})["param"] == "amount"
    assert (
        "takes no more attempts"
        in post(f"{path}/report_payment_attempt", 400, initiated_at="1790000200")["message"]
    )
    told = post(f"{path}/report_payment_attempt_informational", description="cash")
    assert told["description"] == "cash"
    assert stripe.get(path).json() == told


def test_a_helper_for_tests_moves_a_transfer_of_the_treasury(post, reader):
    accounts = [candidate["id"] for candidate in reader.all("/treasury/financial_accounts")]
    candidate = next(
        candidate
        for account in accounts
        for candidate in reader.all("/treasury/outbound_transfers", financial_account=account)
        if candidate["status"] == "processing"
    )
    posted = post(f"/test_helpers/treasury/outbound_transfers/{candidate['id']}/post")
    assert posted["status"] == "posted"
    refused = post(f"/treasury/outbound_transfers/{candidate['id']}/cancel", 400)
    assert "has a status of posted" in refused["message"]


def sent_for(parameter, path: str, depth: int = 0) -> dict[str, str]:
    """The least that may be sent for a required parameter."""
    path = f"{path}[0]" if parameter.is_list else path
    if parameter.kind is Kind.JSON and parameter.shape:
        needed = [field for field in parameter.fields if field.required] or list(parameter.fields[:1])
        found: dict[str, str] = {}
        for field in needed if depth < 4 else ():
            found |= sent_for(field, f"{path}[{field.name}]", depth + 1)
        return found
    usual = {Kind.INTEGER: "1000", Kind.TIME: "1795000000", Kind.BOOLEAN: "true", Kind.DECIMAL: "5",
             Kind.FLOAT: "5"}  # fmt: skip
    return {path: parameter.values[0] if parameter.values else usual.get(parameter.kind, "usd")}


def test_no_operation_breaks(stripe, reader):
    ids: dict[str, str] = {}

    def id_of(name: str) -> str:
        """The newest object of a resource; nonsense where it has none or lies in another."""
        if name not in ids:
            resource = CATALOG.resource.get(name)
            plain = (
                resource
                and resource.is_listed
                and not resource.parents
                and not any(candidate.required for candidate in resource.filters)
            )
            page = {"limit": 1} if resource and resource.paged else {}
            data = reader.page(resource.list_path.removeprefix("/v1"), **page)["data"] if plain else []
            ids[name] = data[0]["id"] if data else "x"
        return ids[name]

    last = [candidate for candidate in CATALOG.operations if candidate.method != "DELETE"]
    last += [candidate for candidate in CATALOG.operations if candidate.method == "DELETE"]
    statuses: set[int] = set()
    for operation in last:
        route, _ = ROUTER.find(operation.method, operation.path)
        if operation.path.startswith("/v2"):
            continue
        name = route.resource.name if route.resource else ""
        above = (
            {candidate.parameter: candidate.resource for candidate in route.resource.parents}
            if route.resource
            else {}
        )
        path = operation.path
        for hole in re.findall(r"\{(\w+)\}", path):
            path = path.replace(f"{{{hole}}}", id_of(above.get(hole, name)))
        data: dict[str, str] = {}
        for parameter in operation.parameters:
            if parameter.required:
                data |= sent_for(parameter, parameter.name)
        body = {"data": data} if operation.method == "POST" else {}
        answer = stripe.request(operation.method, path.removeprefix("/v1"), **body)
        statuses.add(answer.status_code)
        expected = {200, 400, 402, 404, 501}
        if path.startswith("/v1/accounts/"):
            expected.add(403)  # an account that is gone
        assert answer.status_code in expected, (operation.method, path, data, answer.text)
    assert {200, 400, 404, 501} <= statuses
