"""Transfers, their reversals, and refunds of application fees (https://docs.stripe.com/connect)."""


def test_a_transfer_and_its_reversals(post, stripe, reader, types):
    account = reader.page("/accounts")["data"][0]["id"]
    transfer = post("/transfers", amount="900", currency="usd", destination=account)
    path = f"/transfers/{transfer['id']}"
    part = post(f"{path}/reversals", amount="300")
    assert (part["amount"], part["transfer"], part["currency"]) == (300, transfer["id"], "usd")
    now = stripe.get(path).json()
    assert (now["amount_reversed"], now["reversed"]) == (300, False)
    assert [reversal["id"] for reversal in now["reversals"]["data"]] == [part["id"]]
    assert "is greater than" in post(f"{path}/reversals", 400, amount="601")["message"]
    post(f"{path}/reversals")
    assert stripe.get(path).json()["reversed"] is True
    assert "already been fully reversed" in post(f"{path}/reversals", 400)["message"]
    assert types()[0] == "transfer.created"
    assert types()[-1] == "transfer.reversed"
    wrong = post("/transfers", 400, amount="900", currency="usd", destination="acct_x")
    assert wrong["message"] == "No such destination: 'acct_x'"


def test_an_application_fee_is_given_back(post, stripe, reader):
    fee = next(
        application_fee
        for application_fee in reader.all("/application_fees")
        if application_fee["amount"] > application_fee["amount_refunded"] + 5
    )
    rest = fee["amount"] - fee["amount_refunded"]
    assert post(f"/application_fees/{fee['id']}/refunds")["amount"] == rest
    assert stripe.get(f"/application_fees/{fee['id']}").json()["refunded"] is True
