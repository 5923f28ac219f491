"""The search API (https://docs.stripe.com/search)."""

import time

import pytest


def search(stripe, query, path="/customers/search", **params):
    answer = stripe.get(path, params={"query": query, **params})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_search_result_has_the_documented_shape(stripe):
    found = search(stripe, 'email:"user6@example.net"')
    assert (found["object"], found["url"], found["has_more"]) == (
        "search_result",
        "/v1/customers/search",
        False,
    )
    assert found["next_page"] is None
    assert [one["email"] for one in found["data"]] == ["user6@example.net"]


def test_exact_matches_ignore_case_and_tilde_finds_parts(stripe):
    assert len(search(stripe, 'email:"USER6@example.net"')["data"]) == 1
    assert {one["name"].split()[0] for one in search(stripe, 'name~"lukas"')["data"]} <= {"Łukasz"}
    assert search(stripe, 'name~"ukasz"')["data"]


def test_pages_follow_next_page(stripe, reader):
    wanted = [one["id"] for one in reader.all("/customers") if one["metadata"].get("tier") == "gold"]
    found, page = [], {}
    while True:
        answer = search(stripe, 'metadata["tier"]:"gold"', limit=40, **page)
        found += [one["id"] for one in answer["data"]]
        if not answer["has_more"]:
            break
        page = {"page": answer["next_page"]}
    assert found == wanted
    assert len(wanted) > 80


def test_numbers_negation_and_conjunctions(stripe, reader):
    charges = reader.all("/charges")
    limit = sorted(one["amount"] for one in charges)[len(charges) // 2]
    path = "/charges/search"
    found = search(stripe, f'amount>{limit} AND -status:"succeeded"', path, limit=100)["data"]
    wanted = [one["id"] for one in charges if one["amount"] > limit and one["status"] != "succeeded"]
    assert [one["id"] for one in found] == wanted[:100]
    either = search(stripe, 'status:"failed" OR status:"pending"', path, limit=100)["data"]
    assert {one["status"] for one in either} == {"failed", "pending"}


@pytest.mark.parametrize(
    "query", ["", "email", 'email:"a" AND', 'name~"ab"', 'email:"a" AND name:"b" OR phone:"c"']
)
def test_what_is_no_query(stripe, query):
    answer = stripe.get("/customers/search", params={"query": query})
    assert answer.status_code == 400


def test_a_field_that_cannot_be_searched(stripe):
    answer = stripe.get("/customers/search", params={"query": 'balance:"0"'})
    assert "unsupported search field" in answer.json()["error"]["message"]


def test_search_has_no_cursors(stripe):
    answer = stripe.get("/customers/search", params={"query": 'email:"a"', "starting_after": "cus_1"})
    assert answer.json()["error"]["code"] == "parameter_unknown"


def test_the_index_lags_behind(stripe):
    made = stripe.post("/customers", data={"email": "late@example.com"}).json()["id"]
    assert search(stripe, 'email:"late@example.com"')["data"] == []
    time.sleep(0.4)
    assert [one["id"] for one in search(stripe, 'email:"late@example.com"')["data"]] == [made]
    stripe.delete(f"/customers/{made}")
    assert len(search(stripe, 'email:"late@example.com"')["data"]) == 1
    time.sleep(0.4)
    assert search(stripe, 'email:"late@example.com"')["data"] == []
