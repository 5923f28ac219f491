"""Coupons and promotion codes (https://docs.stripe.com/billing/subscriptions/coupons)."""

import time

import pytest

IN_SIX_YEARS = int(time.time()) + 6 * 365 * 86_400


@pytest.mark.parametrize(
    ("data", "param"),
    [
        ({"percent_off": 0}, "percent_off"),
        ({"percent_off": 101}, "percent_off"),
        ({"percent_off": 10, "amount_off": 10, "currency": "usd"}, None),
        ({"percent_off": 10, "currency_options[eur][amount_off]": 5}, "currency_options"),
        ({"amount_off": 100}, "currency"),
        ({"amount_off": 100, "currency": "usd", "currency_options": 5}, "currency_options"),
        ({"amount_off": 100, "currency": "usd", "currency_options[EUR][amount_off]": 5}, "currency_options"),
        ({"percent_off": 10, "duration": "repeating"}, "duration"),
        ({"percent_off": 10, "duration": "once", "duration_in_months": 2}, "duration_in_months"),
        ({"percent_off": 10, "redeem_by": 5}, "redeem_by"),
        ({"percent_off": 10, "redeem_by": IN_SIX_YEARS}, "redeem_by"),
    ],
)
def test_coupons_that_cannot_be(shop, data, param):
    error = shop.refused("/coupons", **data)
    assert (error.get("param"), error.get("code")) == (param, None)


def test_a_coupon_needs_something_to_take_off(shop):
    error = shop.refused("/coupons", duration="once")
    assert (error.get("param"), error["code"]) == (None, "parameter_missing")
    assert shop.refused("/coupons", amount_off=0, currency="usd")["param"] == "amount_off"


def test_a_coupon_takes_off_one_of_two(shop):
    coupon = shop.post("/coupons", id="AUTUMN", percent_off="12.5")
    assert (coupon["id"], coupon["percent_off"], coupon["duration"], coupon["valid"]) == (
        "AUTUMN",
        12.5,
        "once",
        True,
    )
    shop.refused("/coupons")
    shop.refused("/coupons", percent_off=5, amount_off=5, currency="usd")
    assert shop.delete("/coupons/AUTUMN") == {"id": "AUTUMN", "object": "coupon", "deleted": True}


def test_a_coupon_is_used_up(shop, customer):
    coupon = shop.post("/coupons", percent_off=10, max_redemptions=1)["id"]
    data = {"customer": customer, "items[0][price]": shop.price(), "discounts[0][coupon]": coupon}
    shop.post("/subscriptions", **data)
    redeemed = shop.get(f"/coupons/{coupon}")
    assert (redeemed["times_redeemed"], redeemed["valid"]) == (1, False)
    refused = shop.refused("/subscriptions", **data)
    assert refused["message"] == f"Coupon {coupon} is used up and cannot be applied."
    refused = shop.refused("/subscriptions", **data | {"discounts[0][coupon]": "nope"})
    assert refused["message"] == "No such coupon: 'nope'"


def test_promotion_codes_that_cannot_be(shop):
    promotion = {"promotion[type]": "coupon"}
    unnamed = shop.refused("/promotion_codes", **promotion)
    assert (unnamed["param"], unnamed.get("code")) == ("promotion.coupon", None)
    promotion["promotion[coupon]"] = shop.post("/coupons", percent_off=10)["id"]
    for data in ({"code": "has spaces!"}, {"expires_at": 2000}, {"expires_at": IN_SIX_YEARS}):
        error = shop.refused("/promotion_codes", **promotion, **data)
        assert (error["param"], error.get("code")) == (*data, None)


def test_promotion_codes_are_unique_while_they_are_active(shop, customer):
    coupon = shop.post("/coupons", percent_off=10)["id"]
    data = {"promotion[type]": "coupon", "promotion[coupon]": coupon, "code": "SUNNY"}
    promotion_code = shop.post("/promotion_codes", **data)
    assert (promotion_code["active"], promotion_code["promotion"]) == (
        True,
        {"coupon": coupon, "type": "coupon"},
    )
    refused = shop.refused("/promotion_codes", **data)
    assert refused["message"] == "An active promotion code with `code: SUNNY` already exists."
    shop.post(f"/promotion_codes/{promotion_code['id']}", active="false")
    second = shop.post("/promotion_codes", **data)
    again = shop.refused(f"/promotion_codes/{promotion_code['id']}", active="true")
    assert again["message"] == refused["message"]
    assert "param" not in again
    assert "code" not in again
    bought = shop.subscription(customer, shop.price(), **{"discounts[0][promotion_code]": second["id"]})
    assert shop.get(f"/invoices/{bought['latest_invoice']}")["total"] == 1800
    assert shop.get(f"/promotion_codes/{second['id']}")["times_redeemed"] == 1
    refused = shop.refused(
        "/subscriptions",
        **{
            "customer": customer,
            "items[0][price]": shop.price(),
            "discounts[0][promotion_code]": promotion_code["id"],
        },
    )
    assert refused["param"] == "discounts[0][promotion_code]"
