"""Parameters that are refused, with Stripe's messages (https://docs.stripe.com/error-codes)."""

import pytest


@pytest.fixture
def refused(stripe):
    """The error of a POST that must be answered with 400."""

    def post(path, **data):
        response = stripe.post(path, data=data)
        assert response.status_code == 400, response.text
        error = response.json()["error"]
        assert error["type"] == "invalid_request_error"
        return error.get("code"), error.get("param"), error["message"]

    return post


PRICE = {"currency": "eur", "unit_amount": "5", "product_data[name]": "Tea"}


@pytest.mark.parametrize(
    ("path", "data", "code", "param", "message"),
    [
        ("/customers", {"nmae": "x"}, "parameter_unknown", "nmae", "Received unknown parameter: nmae"),
        ("/customers", {"a": "x", "b": "x"}, "parameter_unknown", "a", "Received unknown parameters: a, b"),
        (
            "/customers", {"address[town]": "x"},
            "parameter_unknown", "address[town]", "Received unknown parameter: address[town]",
        ),
        (
            "/customers", {"tax_id_data[0][foo]": "x"},
            "parameter_unknown", "tax_id_data[0][foo]", "Received unknown parameter: tax_id_data[0][foo]",
        ),
        (
            "/payment_intents", {"currency": "usd"},
            "parameter_missing", "amount", "Missing required param: amount.",
        ),
        (
            "/prices", {**PRICE, "recurring[usage_type]": "licensed"},
            "parameter_missing", "recurring[interval]", "Missing required param: recurring[interval].",
        ),
        (
            "/customers", {"tax_id_data[0][type]": "eu_vat"},
            "parameter_missing", "tax_id_data[0][value]", "Missing required param: tax_id_data[0][value].",
        ),
        ("/customers", {"balance": "abc"}, "parameter_invalid_integer", "balance", "Invalid integer: abc"),
        ("/customers", {"balance": "1.5"}, "parameter_invalid_integer", "balance", "Invalid integer: 1.5"),
        ("/customers", {"validate": "maybe"}, None, "validate", "Invalid boolean: maybe"),
        ("/customers", {"address": "home"}, None, "address", "Invalid object"),
        ("/customers", {"preferred_locales": "de"}, None, "preferred_locales", "Invalid array"),
        ("/customers", {"tax_id_data[0]": "x"}, None, "tax_id_data[0]", "Invalid object"),
        ("/customers", {"name[first]": "x"}, None, "name", 'Invalid string: {"first"=>"x"}'),
        ("/customers", {"metadata": "x"}, None, "metadata", "Invalid object"),
        (
            "/customers", {"tax_exempt": "maybe"},
            None, "tax_exempt", "Invalid tax_exempt: must be one of exempt, none, or reverse",
        ),
        (
            "/prices", {**PRICE, "recurring[interval]": "hour"},
            None, "recurring[interval]",
            "Invalid recurring[interval]: must be one of day, month, week, or year",
        ),
        (
            "/prices", {**PRICE, "unit_amount": "", "unit_amount_decimal": "much"},
            "parameter_invalid_empty", "unit_amount",
            "You passed an empty string for 'unit_amount'. We assume empty values are an attempt to unset a "
            "parameter; however 'unit_amount' cannot be unset. You should remove 'unit_amount' from your "
            "request or supply a non-empty value.",
        ),
        (
            "/prices", {"currency": "eur", "unit_amount_decimal": "much", "product_data[name]": "Tea"},
            None, "unit_amount_decimal", "Invalid decimal: much",
        ),
        (
            "/invoices", {"customer": "cus_x"},
            "resource_missing", "customer", "No such customer: 'cus_x'",
        ),
        (
            "/checkout/sessions",
            {"mode": "payment", "success_url": "https://example.com", "line_items[0][price]": "price_x"},
            "resource_missing", "line_items[0][price]", "No such price: 'price_x'",
        ),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, str) else None,
)  # fmt: skip
def test_a_refusal(refused, path, data, code, param, message):
    assert refused(path, **data) == (code, param, message)


def test_times_are_seconds(refused):
    assert refused("/coupons", percent_off="10", redeem_by="1795000000000")[1] == "redeem_by"
    assert refused("/coupons", percent_off="10", redeem_by="tomorrow")[2] == "Invalid integer: tomorrow"


def test_metadata_has_limits(refused, stripe):
    long_key = refused("/customers", **{f"metadata[{'k' * 41}]": "v"})
    assert long_key[1:] == (
        "metadata",
        "Metadata keys can have up to 40 characters, but you passed in a key that is 41 characters. "
        f"Invalid key: {'k' * 41}",
    )
    long_value = refused("/customers", **{"metadata[a]": "v" * 501})
    assert long_value[1] == "metadata[a]"
    assert long_value[2].startswith(
        "Metadata values can have up to 500 characters, but you passed in a value"
    )
    fifty = {f"metadata[k{number}]": "v" for number in range(50)}
    customer = stripe.post("/customers", data=fifty).json()
    assert len(customer["metadata"]) == 50
    assert refused(f"/customers/{customer['id']}", **{"metadata[more]": "v"})[1] == "metadata"
    traded = stripe.post(f"/customers/{customer['id']}", data={"metadata[more]": "v", "metadata[k0]": ""})
    assert len(traded.json()["metadata"]) == 50


def test_a_deleted_object_cannot_be_named(refused, stripe):
    gone = stripe.post("/customers").json()["id"]
    stripe.delete(f"/customers/{gone}")
    assert refused("/invoices", customer=gone)[2] == f"No such customer: '{gone}'"


def test_nothing_is_done_by_what_is_refused(refused, stripe):
    refused("/prices", currency="eur", unit_amount="x", **{"product_data[name]": "Tea"})
    assert stripe.get("/events").json()["data"] == []


def test_the_log_has_the_body_and_the_idempotency_key_but_no_key(stripe, simulator):
    data = {"name": "Ada & Bob", "metadata[a]": "1", "preferred_locales[0]": "de"}
    stripe.post("/customers", data=data, headers={"Idempotency-Key": "order-1"})
    entry = simulator.requests()[-1]
    assert (entry["method"], entry["path"], entry["status"]) == ("POST", "/v1/customers", 200)
    assert entry["form"] == [["name", "Ada & Bob"], ["metadata[a]", "1"], ["preferred_locales[0]", "de"]]
    assert entry["idempotency_key"] == "order-1"
    assert "sk_test_simulator0123" not in str(entry)
