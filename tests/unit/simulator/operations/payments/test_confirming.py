"""What confirming an intent needs, and how its refusals show the intent."""

import pytest

INTENTS = {
    "payment_intent": ("/payment_intents", {"amount": "500", "currency": "usd"}),
    "setup_intent": ("/setup_intents", {}),
}
CARD = {"payment_method": "pm_card_visa"}
NO_REDIRECTS = {
    "automatic_payment_methods[enabled]": "true",
    "automatic_payment_methods[allow_redirects]": "never",
}


@pytest.fixture(params=INTENTS)
def kind(request):
    return request.param


def test_an_intent_that_accepts_all_of_the_dashboard_needs_a_return_url(post, stripe, kind):
    path, fields = INTENTS[kind]
    intent = post(path, **fields, **CARD)
    assert intent["payment_method_types"] == ["card", "link"]
    assert intent["payment_method_configuration_details"]["id"].startswith("pmc_")
    error = post(f"{path}/{intent['id']}/confirm", 400)
    assert (error["type"], error.get("code"), error.get("param")) == ("invalid_request_error", None, None)
    assert "return_url" in error["message"]
    assert error[kind]["id"] == intent["id"]
    assert stripe.get(f"{path}/{intent['id']}").json() == intent
    confirmed = post(f"{path}/{intent['id']}/confirm", return_url="https://example.com/")
    assert confirmed["status"] == "succeeded"


def test_one_that_accepts_no_redirects_or_certain_types_needs_none(post, kind):
    path, fields = INTENTS[kind]
    for accepted in (NO_REDIRECTS, {"allowed_payment_method_types[]": "card"}):
        confirmed = post(path, **fields, **CARD, **accepted, confirm="true")
        assert confirmed["status"] == "succeeded"
    assert confirmed["automatic_payment_methods"] is None
    assert confirmed["payment_method_configuration_details"] is None
    assert confirmed["payment_method_types"] == ["card"]


def test_types_can_be_listed_later(post, kind):
    path, fields = INTENTS[kind]
    intent = post(path, **fields, **CARD)
    listed = {"allowed_payment_method_types[]": "card"}
    assert post(f"{path}/{intent['id']}", **listed)["automatic_payment_methods"] is None
    assert post(f"{path}/{intent['id']}/confirm")["status"] == "succeeded"


def test_an_intent_created_and_confirmed_without_its_return_url_exists_all_the_same(post, stripe, kind):
    path, fields = INTENTS[kind]
    error = post(path, 400, **fields, **CARD, confirm="true")
    kept = stripe.get(f"{path}/{error[kind]['id']}").json()
    assert (kept["status"], kept) == ("requires_confirmation", error[kind])


def test_every_refused_request_about_an_intent_shows_it(post, kind):
    path, fields = INTENTS[kind]
    intent = post(path, **fields)
    for refused in (
        post(f"{path}/{intent['id']}", 400, nonsense="1"),
        post(f"{path}/{intent['id']}/confirm", 400, nonsense="1"),
        post(f"{path}/{intent['id']}/confirm", 400),
        post(f"{path}/{intent['id']}/cancel", 400, cancellation_reason="bored"),
    ):
        assert refused[kind] == intent
    assert kind not in post(path, 400, **fields, nonsense="1")


def test_a_saved_card_pays_only_with_its_customer(post):
    customer, other = post("/customers")["id"], post("/customers")["id"]
    card = post("/payment_methods/pm_card_visa/attach", customer=customer)["id"]
    path, fields = INTENTS["payment_intent"]
    alone = post(path, **fields, **NO_REDIRECTS)
    error = post(f"{path}/{alone['id']}/confirm", 400, payment_method=card)
    assert (error["code"], error["param"], error["payment_intent"]) == ("parameter_missing", "source", alone)
    foreign = post(path, **fields, **NO_REDIRECTS, customer=other)
    error = post(f"{path}/{foreign['id']}/confirm", 400, payment_method=card)
    assert (error.get("code"), error["param"]) == (None, "payment_method")
