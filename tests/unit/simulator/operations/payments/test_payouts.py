"""Payouts and top-ups (https://docs.stripe.com/payouts)."""


def test_a_payout_leaves_the_balance_and_comes_back_when_canceled(post, stripe, types):
    def available():
        (usd,) = (
            amount_ for amount_ in stripe.get("/balance").json()["available"] if amount_["currency"] == "usd"
        )
        return usd["amount"]

    before = available()
    payout = post("/payouts", amount="1000", currency="usd", description="rent")
    assert (payout["status"], payout["method"]) == ("pending", "standard")
    assert available() == before - 1000
    assert post(f"/payouts/{payout['id']}/cancel")["status"] == "canceled"
    assert available() == before
    assert "has a status of canceled" in post(f"/payouts/{payout['id']}/cancel", 400)["message"]
    assert post("/payouts", 400, amount="99999999", currency="usd")["code"] == "balance_insufficient"
    assert types() == ["payout.created", "payout.canceled"]


def test_a_payout_is_reversed_once(post, stripe):
    payout = post("/payouts", amount="1000", currency="usd", method="instant")
    back = post(f"/payouts/{payout['id']}/reverse")
    assert (back["amount"], back["original_payout"]) == (-1000, payout["id"])
    assert stripe.get(f"/payouts/{payout['id']}").json()["reversed_by"] == back["id"]
    post(f"/payouts/{payout['id']}/reverse", 400)


def test_a_top_up(post):
    topup = post("/topups", amount="5000", currency="usd", description="for refunds")
    assert topup["status"] == "pending"
    assert post(f"/topups/{topup['id']}/cancel")["status"] == "canceled"
    assert "Only pending top-ups" in post(f"/topups/{topup['id']}/cancel", 400)["message"]
