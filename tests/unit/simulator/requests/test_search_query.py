"""The search API (https://docs.stripe.com/search)."""

import time

import pytest


def search(stripe, query, path="/customers/search", **params):
    response = stripe.get(path, params={"query": query, **params})
    assert response.status_code == 200, response.text
    return response.json()


def test_a_search_result_has_the_documented_shape(stripe):
    result = search(stripe, 'email:"user6@example.net"')
    assert (result["object"], result["url"], result["has_more"]) == (
        "search_result",
        "/v1/customers/search",
        False,
    )
    assert result["next_page"] is None
    assert [customer["email"] for customer in result["data"]] == ["user6@example.net"]


def test_exact_matches_ignore_case_and_tilde_finds_parts(stripe):
    assert len(search(stripe, 'email:"USER6@example.net"')["data"]) == 1
    assert {customer["name"].split()[0] for customer in search(stripe, 'name~"lukas"')["data"]} <= {"Łukasz"}
    assert search(stripe, 'name~"ukasz"')["data"]


def test_an_exact_match_of_a_text_finds_its_words_in_longer_ones(stripe):
    for name in ("one two three", "One two three four", "one three two", "???"):
        stripe.post("/products", data={"name": name})
    time.sleep(0.4)
    found = search(stripe, 'name:"one two three"', "/products/search")["data"]
    assert [product["name"] for product in found] == ["One two three four", "one two three"]
    assert search(stripe, 'name:"???"', "/products/search")["data"] == []


def test_pages_follow_next_page(stripe, reader):
    expected = [
        customer["id"] for customer in reader.all("/customers") if customer["metadata"].get("tier") == "gold"
    ]
    identifiers, page = [], {}
    while True:
        response = search(stripe, 'metadata["tier"]:"gold"', limit=40, **page)
        identifiers += [customer["id"] for customer in response["data"]]
        if not response["has_more"]:
            break
        page = {"page": response["next_page"]}
    assert identifiers == expected
    assert len(expected) > 80


def test_numbers_negation_and_conjunctions(stripe, reader):
    charges = reader.all("/charges")
    limit = sorted(charge["amount"] for charge in charges)[len(charges) // 2]
    path = "/charges/search"
    matches = search(stripe, f'amount>{limit} AND -status:"succeeded"', path, limit=100)["data"]
    expected = [
        charge["id"] for charge in charges if charge["amount"] > limit and charge["status"] != "succeeded"
    ]
    assert [charge["id"] for charge in matches] == expected[:100]
    either = search(stripe, 'status:"failed" OR status:"pending"', path, limit=100)["data"]
    assert {charge["status"] for charge in either} == {"failed", "pending"}


@pytest.mark.parametrize(
    "query",
    ["", "email", 'email:"a" AND', 'name~"ab"', 'metadata["k"]~"abc"', 'email:"a" AND name:"b" OR phone:"c"'],
)
def test_an_invalid_query_is_refused(stripe, query):
    response = stripe.get("/customers/search", params={"query": query})
    assert response.status_code == 400


def test_a_field_that_cannot_be_searched(stripe):
    response = stripe.get("/customers/search", params={"query": 'balance:"0"'})
    assert "unsupported search field" in response.json()["error"]["message"]


def test_search_has_no_cursors(stripe):
    response = stripe.get("/customers/search", params={"query": 'email:"a"', "starting_after": "cus_1"})
    assert response.json()["error"]["code"] == "parameter_unknown"


def test_the_index_lags_behind(stripe):
    query, path = 'name:"late product"', "/products/search"
    product = stripe.post("/products", data={"name": "late product"}).json()["id"]
    assert search(stripe, query, path)["data"] == []
    time.sleep(0.4)
    assert [match["id"] for match in search(stripe, query, path)["data"]] == [product]
    stripe.delete(f"/products/{product}")
    assert len(search(stripe, query, path)["data"]) == 1
    time.sleep(0.4)
    assert search(stripe, query, path)["data"] == []


def test_a_deleted_customer_is_found_as_if_it_were_not(stripe):
    customer = stripe.post("/customers", data={"email": "late@example.com"}).json()
    stripe.delete(f"/customers/{customer['id']}")
    time.sleep(0.4)
    assert search(stripe, 'email:"late@example.com"')["data"] == [customer]
    assert stripe.get("/customers?email=late@example.com").json()["data"] == []
