"""Products, prices, checkout sessions, payment links, webhook endpoints (https://docs.stripe.com/api)."""

import time

import pytest


@pytest.fixture
def price(post):
    def made(**data):
        product = post("/products", name="Tea")["id"]
        return post("/prices", product=product, **{"currency": "eur", "unit_amount": "900", **data})

    return made


MONTHLY = {"recurring[interval]": "month"}
BACK = {"success_url": "https://example.com/thanks"}


def test_a_price_needs_an_amount_and_a_product(post):
    product = post("/products", name="Tea")["id"]
    for data in ({"product": product}, {"unit_amount": "5"}):
        error = post("/prices", 400, currency="eur", **data)
        assert {"code", "param"}.isdisjoint(error)
    both = {"product": product, "product_data[name]": "Tea"}
    assert post("/prices", 400, currency="eur", unit_amount="5", **both)["param"] == "product"
    negative = post("/prices", 400, currency="eur", unit_amount="-5", **{"product_data[name]": "x"})
    assert (negative["message"], negative["param"]) == ("Invalid non-negative integer", "unit_amount")
    assert negative.get("code") is None


def test_a_price_that_is_once_has_no_tiers_and_a_metered_one_a_meter(post):
    data = {"currency": "eur", "product_data[name]": "Calls"}
    tiers = {"billing_scheme": "tiered", "tiers_mode": "volume"}
    tiers |= {"tiers[0][up_to]": "inf", "tiers[0][unit_amount]": "5"}
    assert post("/prices", 400, **data, **tiers)["param"] == "interval"
    assert post("/prices", **data, **tiers, **MONTHLY)["unit_amount"] is None
    metered = {"recurring[usage_type]": "metered", "unit_amount": "5"}
    for error in (
        post("/prices", 400, **data, **MONTHLY, **metered),
        post(
            "/plans",
            400,
            currency="eur",
            interval="month",
            amount="5",
            usage_type="metered",
            **{"product[name]": "Calls"},
        ),
    ):
        assert "metered prices must be backed by meters" in error["message"]
        assert {"code", "param"}.isdisjoint(error)


def test_amounts_by_currency_are_named_in_lower_case(post):
    data = {"currency": "usd", "unit_amount": "5", "product_data[name]": "Tea"}
    assert post("/prices", **data, **{"currency_options[eur][unit_amount]": "4"})["currency"] == "usd"
    refused = post("/prices", 400, **data, **{"currency_options[EUR][unit_amount]": "4"})
    assert (refused["param"], refused.get("code")) == ("currency_options", None)
    assert post("/prices", 400, **data, currency_options="5")["message"] == "Invalid object"


def test_a_tax_code_is_shown_among_the_tax_details(post):
    product = post("/products", name="Tea", tax_code="txcd_10103000")
    assert product["tax_code"] == "txcd_10103000"
    assert product["tax_details"] == {"performance_location": None, "tax_code": "txcd_10103000"}
    assert post("/products", name="Tea")["tax_details"] is None
    changed = post(f"/products/{product['id']}", tax_code="txcd_10000000")
    assert changed["tax_details"]["tax_code"] == "txcd_10000000"


def test_products_are_listed_by_their_ids(post, stripe):
    one, _, gone = (post("/products", name="Tea")["id"] for _ in range(3))
    stripe.delete(f"/products/{gone}")
    params = {"ids[0]": one, "ids[1]": gone, "ids[2]": "prod_nope"}
    assert [product["id"] for product in stripe.get("/products", params=params).json()["data"]] == [one]
    assert stripe.get("/products?ids=prod_1").json()["error"]["param"] == "ids"


def test_amounts_of_parts_of_a_cent(post):
    data = {"currency": "eur", "product_data[name]": "Calls"}
    price = post("/prices", unit_amount_decimal="0.25", **data)
    assert (price["unit_amount"], price["unit_amount_decimal"]) == (None, "0.25")
    assert post("/prices", unit_amount="900", **data)["unit_amount_decimal"] == "900"
    plan = {"currency": "eur", "interval": "month", "product[name]": "Calls"}
    for decimal, amount in (("12.5", None), ("12.0", 12)):
        made = post("/plans", amount_decimal=decimal, **plan)
        assert (made["amount"], made["amount_decimal"]) == (amount, decimal)


def test_a_product_keeps_its_default_price(post, price, stripe):
    one, other = price(), price()
    product = f"/products/{one['product']}"
    assert post(product, default_price=one["id"])["default_price"] == one["id"]
    assert "is not a price of the product" in post(product, 400, default_price=other["id"])["message"]
    assert "default price" in post(f"/prices/{one['id']}", 400, active="false")["message"]
    assert post(f"/prices/{other['id']}", active="false")["active"] is False
    refused = stripe.delete(product)
    assert (refused.status_code, "user-created prices" in refused.text) == (400, True)
    assert {"code", "param"}.isdisjoint(refused.json()["error"])
    assert stripe.delete(f"/products/{post('/products', name='Air')['id']}").json()["deleted"] is True


def test_a_recurring_price_is_a_plan_and_a_plan_is_a_price(price, post, stripe):
    new_price = price(**MONTHLY, nickname="monthly")
    plan = stripe.get(f"/plans/{new_price['id']}").json()
    assert (plan["amount"], plan["interval"], plan["nickname"]) == (900, "month", "monthly")
    assert stripe.get("/plans?limit=1").json()["data"] == [plan]
    post(f"/prices/{new_price['id']}", nickname="tea")
    assert stripe.get(f"/plans/{new_price['id']}").json()["nickname"] == "tea"
    monthly = {"default_price_data[currency]": "eur", "default_price_data[unit_amount]": "700"}
    monthly["default_price_data[recurring][interval]"] = "week"
    default = post("/products", name="Air", **monthly)["default_price"]
    assert stripe.get(f"/plans/{default}").json()["interval"] == "week"
    plan = post("/plans", amount="500", currency="eur", interval="year", **{"product[name]": "Cake"})
    as_price = stripe.get(f"/prices/{plan['id']}").json()
    assert (as_price["unit_amount"], as_price["recurring"]["interval"]) == (500, "year")
    assert price()["id"] != plan["id"]
    assert stripe.delete(f"/plans/{plan['id']}").json()["deleted"] is True
    assert stripe.get(f"/prices/{plan['id']}").status_code == 404


def test_a_lookup_key_belongs_to_one_price(price, post, stripe):
    other_price = price(lookup_key="tea")
    other = price()
    taken = post(f"/prices/{other['id']}", 400, lookup_key="tea")
    assert taken["message"] == f"A price (`{other_price['id']}`) already uses that lookup key."
    assert post(f"/prices/{other['id']}", lookup_key="tea", transfer_lookup_key="true")["lookup_key"] == "tea"
    assert stripe.get(f"/prices/{other_price['id']}").json()["lookup_key"] is None


def test_a_checkout_session_for_a_payment(post, price, stripe):
    items = {"line_items[0][price]": price()["id"], "line_items[0][quantity]": "3"}
    session = post("/checkout/sessions", mode="payment", **items, **BACK)
    assert (session["status"], session["payment_status"], session["amount_total"]) == ("open", "unpaid", 2700)
    assert (session["currency"], session["payment_intent"]) == ("eur", None)
    assert session["url"].startswith("https://checkout.stripe.com/")
    assert session["expires_at"] - session["created"] == 86_400
    (line,) = stripe.get(f"/checkout/sessions/{session['id']}/line_items").json()["data"]
    assert (line["quantity"], line["amount_total"], line["description"]) == (3, 2700, "Tea")
    shown = stripe.get(f"/checkout/sessions/{session['id']}?expand[]=line_items").json()
    assert shown["line_items"]["data"] == [line]
    expired = post(f"/checkout/sessions/{session['id']}/expire")
    assert (expired["status"], expired["url"]) == ("expired", None)
    again = post(f"/checkout/sessions/{session['id']}/expire", 400)
    assert again["message"].startswith('Only Checkout Sessions with a status in ["open"] can be expired.')


def test_checkout_modes_fit_their_prices(post, price):
    once, monthly = price()["id"], price(**MONTHLY)["id"]
    subscribed = post("/checkout/sessions", mode="subscription", **{"line_items[0][price]": monthly}, **BACK)
    assert (subscribed["mode"], subscribed["payment_method_collection"]) == ("subscription", "always")
    wrong = post("/checkout/sessions", 400, mode="payment", **{"line_items[0][price]": monthly}, **BACK)
    assert wrong["message"].startswith("You specified `payment` mode but passed a recurring price.")
    wrong = post("/checkout/sessions", 400, mode="subscription", **{"line_items[0][price]": once}, **BACK)
    assert "at least one recurring price" in wrong["message"]
    setup = post("/checkout/sessions", mode="setup", currency="eur", **BACK)
    assert (setup["payment_status"], setup["amount_total"]) == ("no_payment_required", None)
    assert post("/checkout/sessions", 400, mode="payment", **BACK)["param"] == "line_items"
    assert post("/checkout/sessions", 400, mode="payment", **{"line_items[0][price]": once})["param"] == (
        "success_url"
    )
    late = {"expires_at": int(time.time()) + 90_000, "line_items[0][price]": once}
    assert post("/checkout/sessions", 400, mode="payment", **late, **BACK)["param"] == "expires_at"


def test_a_checkout_session_with_a_price_of_its_own(post):
    data = {
        "line_items[0][price_data][currency]": "eur",
        "line_items[0][price_data][unit_amount]": "500",
        "line_items[0][price_data][product_data][name]": "Cake",
    }
    assert post("/checkout/sessions", mode="payment", **data, **BACK)["amount_total"] == 500
    unnamed = {**data, "line_items[0][price_data][product_data][nmae]": "Cake"}
    error = post("/checkout/sessions", 400, mode="payment", **unnamed, **BACK)
    assert error["message"] == ("Received unknown parameter: line_items[0][price_data][product_data][nmae]")


def test_a_payment_link(post, price, stripe, reader):
    items = {"line_items[0][price]": price()["id"], "line_items[0][quantity]": "1"}
    payment_link = post("/payment_links", **items)
    assert (payment_link["active"], payment_link["currency"]) == (True, "eur")
    assert payment_link["url"].startswith("https://buy.stripe.com/")
    assert len(reader.page(f"/payment_links/{payment_link['id']}/line_items")["data"]) == 1
    assert post(f"/payment_links/{payment_link['id']}", active="false")["active"] is False


def test_a_webhook_endpoint_is_switched_off(post):
    webhook_endpoint = post(
        "/webhook_endpoints", url="https://example.com/hook", **{"enabled_events[0]": "*"}
    )
    assert (webhook_endpoint["status"], webhook_endpoint["secret"][:6]) == ("enabled", "whsec_")
    changed = post(f"/webhook_endpoints/{webhook_endpoint['id']}", disabled="true")
    assert changed["status"] == "disabled"
    assert "secret" not in changed
    error = post("/webhook_endpoints", 400, url="example.com", **{"enabled_events[0]": "*"})
    assert (error["code"], error["param"]) == ("url_invalid", "url")
    error = post("/webhook_endpoints", 400, url="https://example.com", **{"enabled_events[0]": "nothing"})
    assert error["param"] == "enabled_events[0]"


def test_an_account_has_at_most_sixteen_webhook_endpoints(post, reader):
    endpoint = {"url": "https://example.com/hook", "enabled_events[0]": "*"}
    present = reader.page("/webhook_endpoints?limit=100")["data"]
    for _ in range(16 - len(present)):
        post("/webhook_endpoints", **endpoint)
    error = post("/webhook_endpoints", 400, **endpoint)
    assert (error["type"], "maximum" in error["message"]) == ("invalid_request_error", True)


def test_a_tax_registration_ends_now_or_later(post):
    country = {"country": "DE", "country_options[de][type]": "oss_union"}
    registration = post("/tax/registrations", active_from="now", **country)
    assert (registration["status"], registration["expires_at"]) == ("active", None)
    assert registration["active_from"] >= registration["created"]
    path = f"/tax/registrations/{registration['id']}"
    assert post(path, expires_at=int(time.time()) + 1000)["status"] == "active"
    assert post(path, expires_at="now")["status"] == "expired"
    later = post("/tax/registrations", active_from=int(time.time()) + 1000, **country)
    assert later["status"] == "scheduled"


def test_tax_rates_are_percentages(post):
    tax_rate = post("/tax_rates", display_name="VAT", percentage="19.5", inclusive="false")
    assert (tax_rate["percentage"], tax_rate["active"]) == (19.5, True)
    assert (tax_rate["effective_percentage"], tax_rate["rate_type"]) == (19.5, "percentage")
    assert post("/tax_rates", 400, display_name="VAT", percentage="119", inclusive="false")["param"] == (
        "percentage"
    )
    assert post(f"/tax_rates/{tax_rate['id']}", active="false")["active"] is False
