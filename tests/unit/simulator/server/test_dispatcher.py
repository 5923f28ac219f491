"""Keys, accounts, versions, headers, routes and the request log."""

import base64
from email.utils import parsedate_to_datetime

import httpx


def test_headers_of_an_answer(stripe, simulator):
    first, second = stripe.get("/customers"), stripe.get("/customers/cus_x")
    assert first.headers["request-id"].startswith("req_")
    assert first.headers["request-id"] != second.headers["request-id"]
    assert parsedate_to_datetime(first.headers["date"])
    assert first.headers["content-type"] == "application/json"
    old = stripe.get("/customers", headers={"Stripe-Version": "2024-06-20"})
    assert old.headers["stripe-version"] == "2024-06-20"
    assert stripe.post("/customers", headers={"Idempotency-Key": "k1"}).headers["idempotency-key"] == "k1"


def test_api_versions_are_dates_with_or_without_a_name(stripe):
    for version in ("2019-12-03", "2026-10-28.endive"):
        assert stripe.get("/customers", headers={"Stripe-Version": version}).status_code == 200
    response = stripe.get("/customers", headers={"Stripe-Version": "latest"})
    assert response.json()["error"]["message"] == "Invalid Stripe API version: latest"


def test_without_a_key(simulator):
    response = httpx.get(simulator.url + "/v1/customers")
    assert response.status_code == 401
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
            assert "does not have the required permissions for this endpoint" in error["message"]
            assert key not in response.text
        assert "rak_subscription_read" in error["message"]


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


def test_an_unknown_route(stripe):
    response = stripe.get("/customer")
    assert response.status_code == 404
    assert response.json()["error"]["message"].startswith("Unrecognized request URL (GET: /v1/customer).")
    assert stripe.get("/customers/").status_code == 404


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
    from stripe_simulator.process import SimulatorProcess

    here = reader.page("/customers", limit=2)["data"]
    headers = {"Authorization": "Bearer sk_test_simulator0123"}
    for seed, same in ((1, True), (2, False)):
        with SimulatorProcess(customers=3000, seed=seed) as other:
            there = httpx.get(other.url + "/v1/customers?limit=2", headers=headers).json()["data"]
        assert (there == here) is same
