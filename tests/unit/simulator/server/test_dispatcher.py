"""Keys, accounts, versions, headers, routes and the request log."""

import base64
from email.utils import parsedate_to_datetime

import httpx

from stripe_simulator.process import SimulatorProcess


def test_headers_of_an_answer(stripe, simulator):
    first, second = stripe.get("/customers"), stripe.get("/customers/cus_x")
    assert first.headers["request-id"].startswith("req_")
    assert first.headers["request-id"] != second.headers["request-id"]
    assert parsedate_to_datetime(first.headers["date"])
    assert first.headers["content-type"] == "application/json"
    old = stripe.get("/customers", headers={"Stripe-Version": "2024-06-20"})
    assert old.headers["stripe-version"] == "2024-06-20"
    assert stripe.post("/customers", headers={"Idempotency-Key": "k1"}).headers["idempotency-key"] == "k1"


def answered(stripe, method, path, key="k1", **data):
    """The request's own id and the headers about idempotency of a response."""
    response = stripe.request(method, path, data=data or None, headers={"Idempotency-Key": key})
    names = ("idempotency-key", "original-request", "idempotent-replayed", "stripe-should-retry")
    return response.headers["request-id"], {name: response.headers.get(name) for name in names}


def test_a_response_kept_for_its_key_is_final_and_names_its_request(stripe):
    first, headers = answered(stripe, "POST", "/customers", name="Ada")
    assert headers == {
        "idempotency-key": "k1",
        "original-request": first,
        "idempotent-replayed": None,
        "stripe-should-retry": "false",
    }
    _, again = answered(stripe, "POST", "/customers", name="Ada")
    assert again == headers | {"idempotent-replayed": "true"}
    _, other = answered(stripe, "POST", "/customers", name="Bob")
    assert (other["original-request"], other["stripe-should-retry"]) == (first, None)


def test_a_refused_operation_is_kept_but_no_refused_parameters(stripe, post):
    canceled = post("/payment_intents", amount="500", currency="usd")["id"]
    post(f"/payment_intents/{canceled}/cancel")
    decline = {"amount": "500", "currency": "usd", "payment_method": "pm_card_chargeDeclined"}
    decline |= {"confirm": "true", "allowed_payment_method_types[]": "card"}
    for path, sent, expected in (
        (f"/payment_intents/{canceled}/cancel", {}, "false"),
        ("/payment_intents", decline, "false"),
        ("/customers", {"nonsense": "1"}, None),
        ("/payment_intents/pi_x/cancel", {}, None),
        ("/refunds", {"charge": "ch_x"}, None),
    ):
        own, headers = answered(stripe, "POST", path, key=path + str(sent), **sent)
        assert (headers["stripe-should-retry"], headers["original-request"]) == (expected, own), path


def test_a_deletion_echoes_its_key_only(stripe, post):
    _, headers = answered(stripe, "DELETE", f"/customers/{post('/customers')['id']}")
    assert {name for name, value in headers.items() if value} == {"idempotency-key"}


def test_api_versions_are_dates_with_or_without_a_name(stripe):
    for version in ("2019-12-03", "2026-10-28.endive"):
        assert stripe.get("/customers", headers={"Stripe-Version": version}).status_code == 200
    response = stripe.get("/customers", headers={"Stripe-Version": "latest"})
    assert response.json()["error"]["message"] == "Invalid Stripe API version: latest"


def test_without_a_key(simulator):
    response = httpx.get(simulator.url + "/v1/customers")
    assert response.status_code == 401
    assert "request-id" not in response.headers
    assert response.headers["www-authenticate"].startswith("Basic")
    assert response.json()["error"]["message"].startswith("You did not provide an API key.")


def test_a_wrong_key_is_shown_only_in_part(simulator):
    simulator.control("POST", "/keys", {"wrong": ["sk_test_stolen1234"]})
    for key in ("sk_test_stolen1234", "pk_test_0123456789", "nonsense"):
        response = httpx.get(simulator.url + "/v1/customers", headers={"Authorization": f"Bearer {key}"})
        assert response.status_code == 401
        assert key not in response.text
    assert "sk_test_******1234" not in response.text
    basic = base64.b64encode(b"sk_test_stolen1234:").decode()
    response = httpx.get(simulator.url + "/v1/customers", headers={"Authorization": f"Basic {basic}"})
    assert response.json()["error"]["message"] == "Invalid API Key provided: sk_test_******1234"
    assert response.json()["error"]["type"] == "invalid_request_error"


def test_a_restricted_key(simulator):
    key = "rk_test_restricted99"
    simulator.control("POST", "/keys", {"restricted": {key: ["customer_read"]}})
    with httpx.Client(base_url=simulator.url + "/v1", headers={"Authorization": f"Bearer {key}"}) as client:
        assert client.get("/customers").status_code == 200
        for response in (client.post("/customers"), client.get("/subscriptions")):
            assert response.status_code == 403
            error = response.json()["error"]
            assert error["code"] == "more_permissions_required"
            assert "does not have the required permissions for this endpoint" in error["message"]
            assert "https://dashboard.stripe.com/" in error["message"]
            assert key not in response.text
        assert "Subscriptions Read ('subscription_read')" in error["message"]
        prices = client.get("/prices").json()["error"]
        assert "Prices Read ('plan_read')" in prices["message"]
        simulator.control("POST", "/keys", {"restricted": {key: ["plan_read"]}})
        assert client.get("/prices").status_code == client.get("/plans").status_code == 200


def test_connected_accounts_have_objects_of_their_own(stripe, reader):
    account = reader.page("/accounts")["data"][0]["id"]
    own = {customer["id"] for customer in reader.page("/customers", limit=100)["data"]}
    headers = {"Stripe-Account": account}
    connected = stripe.get("/customers?limit=100", headers=headers).json()["data"]
    assert connected
    assert not own & {customer["id"] for customer in connected}
    customer_id = stripe.post("/customers", headers=headers).json()["id"]
    assert stripe.get(f"/customers/{customer_id}").status_code == 404
    assert stripe.get(f"/customers/{customer_id}", headers=headers).status_code == 200
    assert stripe.get("/account", headers=headers).json()["id"] == account
    event = stripe.get("/events", headers=headers).json()["data"][0]
    assert event["account"] == account
    assert stripe.get("/events").json()["data"] == []


def test_an_account_that_is_not_connected(stripe):
    response = stripe.get("/customers", headers={"Stripe-Account": "acct_nope"})
    assert response.status_code == 403
    assert response.json()["error"]["code"] == "account_invalid"


def test_another_account_that_is_not_connected(stripe, post):
    for path in ("/accounts/acct_nope", "/accounts/acct_nope/persons"):
        response = stripe.get(path)
        assert (response.status_code, response.json()["error"]["code"]) == (403, "account_invalid")
    own = post("/accounts", country="DE")["id"]
    assert stripe.get(f"/accounts/{own}").status_code == 200
    stripe.delete(f"/accounts/{own}")
    assert stripe.get(f"/accounts/{own}").status_code == 403


def test_areas_that_are_not_activated():
    with SimulatorProcess(customers=20, not_activated=["issuing", "connect"]) as other:
        headers = {"Authorization": "Bearer sk_test_simulator0123"}
        with httpx.Client(base_url=other.url + "/v1", headers=headers) as client:
            listed = client.get("/issuing/cards")
            error = listed.json()["error"]
            assert (listed.status_code, error["type"]) == (400, "invalid_request_error")
            assert error["message"].startswith("Your account is not set up to use Issuing.")
            assert (error.get("code"), error.get("param")) == (None, None)
            assert client.get("/issuing/cards/ic_x").status_code == 404
            assert client.get("/treasury/financial_accounts").status_code == 200
            foreign = client.get("/accounts/acct_nope")
            assert foreign.status_code == 403
            assert foreign.json()["error"]["code"] == "platform_account_required"
            assert client.get("/account").status_code == 200
            assert client.get("/accounts").json()["data"] == []


def test_an_unknown_route(stripe):
    response = stripe.get("/customer")
    assert response.status_code == 404
    message = response.json()["error"]["message"]
    assert message.startswith("Unrecognized request URL (GET: /v1/customer).")
    assert "trailing slash" not in message
    slash = stripe.get("/customers/")
    assert (slash.status_code, "trailing slash" in slash.text) == (404, True)


def test_the_log_says_what_was_sent_but_no_key(stripe, simulator):
    stripe.get("/customers?limit=3&created[gte]=5&email=a%2Bb%40example.com")
    entry = simulator.requests()[-1]
    assert (entry["method"], entry["path"], entry["status"]) == ("GET", "/v1/customers", 200)
    assert entry["query"] == [["limit", "3"], ["created[gte]", "5"], ["email", "a+b@example.com"]]
    assert entry["endpoint"] == "/v1/customers"
    assert "sk_test_simulator0123" not in str(simulator.requests())
    stripe.get("/customers/cus_x")
    assert [request["status"] for request in simulator.requests(after=entry["number"])] == [404]
    simulator.control("DELETE", "/requests")
    assert simulator.requests() == []


def test_seeds_decide_what_there_is(simulator, reader):
    here = reader.page("/customers", limit=2)["data"]
    headers = {"Authorization": "Bearer sk_test_simulator0123"}
    for seed, same in ((1, True), (2, False)):
        with SimulatorProcess(customers=3000, seed=seed) as other:
            there = httpx.get(other.url + "/v1/customers?limit=2", headers=headers).json()["data"]
        assert (there == here) is same
