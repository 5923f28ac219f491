"""What surrounds an operation: keys, accounts, versions, headers, routes, the log."""

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
    answer = stripe.get("/customers", headers={"Stripe-Version": "latest"})
    assert answer.json()["error"]["message"] == "Invalid Stripe API version: latest"


def test_without_a_key(simulator):
    answer = httpx.get(simulator.url + "/v1/customers")
    assert answer.status_code == 401
    assert answer.json()["error"]["message"].startswith("You did not provide an API key.")


def test_a_wrong_key_is_shown_only_in_part(simulator):
    simulator.control("POST", "/keys", {"wrong": ["sk_test_stolen1234"]})
    for key in ("sk_test_stolen1234", "pk_test_0123456789", "nonsense"):
        answer = httpx.get(simulator.url + "/v1/customers", headers={"Authorization": f"Bearer {key}"})
        assert answer.status_code == 401
        assert key not in answer.text
    assert "sk_test_******1234" not in answer.text
    basic = base64.b64encode(b"sk_test_stolen1234:").decode()
    answer = httpx.get(simulator.url + "/v1/customers", headers={"Authorization": f"Basic {basic}"})
    assert answer.json()["error"]["message"] == "Invalid API Key provided: sk_test_******1234"
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_a_restricted_key(simulator):
    key = "rk_test_restricted99"
    simulator.control("POST", "/keys", {"restricted": {key: ["customer_read"]}})
    with httpx.Client(base_url=simulator.url + "/v1", headers={"Authorization": f"Bearer {key}"}) as client:
        assert client.get("/customers").status_code == 200
        for answer in (client.post("/customers"), client.get("/subscriptions")):
            assert answer.status_code == 403
            error = answer.json()["error"]
            assert "does not have the required permissions for this endpoint" in error["message"]
            assert key not in answer.text
        assert "rak_subscription_read" in error["message"]


def test_connected_accounts_are_worlds_of_their_own(stripe, reader):
    account = reader.page("/accounts")["data"][0]["id"]
    own = {one["id"] for one in reader.page("/customers", limit=100)["data"]}
    headers = {"Stripe-Account": account}
    theirs = stripe.get("/customers?limit=100", headers=headers).json()["data"]
    assert theirs
    assert not own & {one["id"] for one in theirs}
    made = stripe.post("/customers", headers=headers).json()["id"]
    assert stripe.get(f"/customers/{made}").status_code == 404
    assert stripe.get(f"/customers/{made}", headers=headers).status_code == 200
    assert stripe.get("/account", headers=headers).json()["id"] == account
    event = stripe.get("/events", headers=headers).json()["data"][0]
    assert event["account"] == account
    assert stripe.get("/events").json()["data"] == []


def test_an_account_that_is_not_connected(stripe):
    answer = stripe.get("/customers", headers={"Stripe-Account": "acct_nope"})
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "account_invalid"


def test_an_unknown_route(stripe):
    answer = stripe.get("/customer")
    assert answer.status_code == 404
    assert answer.json()["error"]["message"].startswith("Unrecognized request URL (GET: /v1/customer).")
    assert stripe.get("/customers/").status_code == 404


def test_the_log_says_what_was_sent_but_no_key(stripe, simulator):
    stripe.get("/customers?limit=3&created[gte]=5&email=a%2Bb%40example.com")
    entry = simulator.requests()[-1]
    assert (entry["method"], entry["path"], entry["status"]) == ("GET", "/v1/customers", 200)
    assert entry["query"] == [["limit", "3"], ["created[gte]", "5"], ["email", "a+b@example.com"]]
    assert entry["endpoint"] == "/v1/customers"
    assert "sk_test_simulator0123" not in str(simulator.requests())
    stripe.get("/customers/cus_x")
    assert [one["status"] for one in simulator.requests(after=entry["number"])] == [404]
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
