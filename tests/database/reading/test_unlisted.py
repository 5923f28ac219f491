"""Objects that Stripe retrieves and does not list: single ones, those known by id, those inside others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from stripe_fdw.catalog import Resource, load
from stripe_simulator.process import SimulatorProcess
from support.database import column, create, failing, one, rows

pytestmark = pytest.mark.usefixtures("restored")
Requests = Callable[[], list[str]]
UNLISTED = [item for item in load().resources if not item.is_listed and not item.preview]


# -- one object of an account or of another object -----------------------------------------------------------


def test_the_balance_is_one_row(db: psycopg.Connection, requests: Requests) -> None:
    [(available, livemode, raw)] = rows(db, "select available, livemode, _raw from stripe_live.balance")
    assert requests() == ["GET /v1/balance"]
    assert available == raw["available"]
    assert {"amount", "currency"} <= available[0].keys()
    assert livemode is False


@pytest.mark.parametrize(
    ("table", "request_text", "object_name"),
    [
        ("balance", "GET /v1/balance", "balance"),
        ("balance_settings", "GET /v1/balance_settings", "balance_settings"),
        ("tax_settings", "GET /v1/tax/settings", "tax.settings"),
        ("current_account", "GET /v1/account", "account"),
    ],
)
def test_singletons_need_no_condition(
    db: psycopg.Connection, requests: Requests, table: str, request_text: str, object_name: str
) -> None:
    assert column(db, f"select object from stripe_live.{table}") == [object_name]
    assert column(db, f"select object from stripe_live.{table} where object <> '{object_name}'") == []
    assert set(requests()) == {request_text}


def test_the_account_of_the_key_is_in_no_list(db: psycopg.Connection, requests: Requests) -> None:
    own = one(db, "select id from stripe_live.current_account")
    assert isinstance(own, str)
    assert own.startswith("acct_")
    assert own not in column(db, "select id from stripe_live.account")
    requests()
    assert one(db, f"select count(*) from stripe_live.current_account where id = '{own}'") == 1
    assert one(db, "select count(*) from stripe_live.current_account where id = 'acct_other'") == 0
    assert set(requests()) == {"GET /v1/account"}


def test_a_cash_balance_is_that_of_a_customer(db: psycopg.Connection, requests: Requests) -> None:
    first, second = column(db, "select id from stripe_live.customer")[:2]
    requests()
    query = "select customer, settings ->> 'reconciliation_mode' from stripe_live.cash_balance"
    assert rows(db, f"{query} where customer = '{first}'") == [(first, "automatic")]
    assert requests() == [f"GET /v1/customers/{first}/cash_balance"]
    found = rows(db, f"{query} where customer = any('{{{first},{second},cus_none}}')")
    assert {customer for customer, _ in found} == {first, second}
    assert sorted(requests()) == sorted(
        f"GET /v1/customers/{name}/cash_balance" for name in (first, second, "cus_none")
    )


def test_without_a_parent_the_parents_are_read_first(db: psycopg.Connection, requests: Requests) -> None:
    query = "select customer from stripe_live.cash_balance limit 3"
    assert len(column(db, query)) == 3
    first, *others = requests()
    assert first.startswith("GET /v1/customers?")
    assert all(other.endswith("/cash_balance") for other in others)


def test_a_parent_is_joined_value_by_value(db: psycopg.Connection, requests: Requests, host: str) -> None:
    query = """select c.id, b.customer, b.object
                 from (select id from stripe_live.customer order by created desc limit 3) c
                 join stripe_live.cash_balance b on b.customer = c.id"""
    found = rows(db, query)
    assert len(found) == 3
    assert all(left == right for left, right, _ in found)
    asked = {request for request in requests() if request.endswith("/cash_balance")}
    wanted = {f"GET /v1/customers/{customer}/cash_balance" for customer, _, _ in found}
    # Multicorn2 compares rows and not requests, so it may read the balances of all customers.
    assert asked >= wanted if host == "multicorn2" else asked == wanted


def test_what_the_object_does_not_say_of_its_parent_is_the_condition_s(
    db: psycopg.Connection, requests: Requests
) -> None:
    account = column(db, "select id from stripe_live.treasury_financial_account")[0]
    requests()
    query = (
        "select financial_account, intra_stripe_flows from stripe_live.treasury_financial_account_features"
    )
    [(parent, feature)] = rows(db, f"{query} where financial_account = '{account}'")
    assert parent == account
    assert feature["status"] == "active"
    assert requests() == [f"GET /v1/treasury/financial_accounts/{account}/features"]


def test_a_summary_of_credit_or_entitlements_is_one_row_of_a_customer(
    db: psycopg.Connection, requests: Requests
) -> None:
    customer = one(db, "select customer from stripe_live.entitlements_active_entitlement limit 1")
    requests()
    query = "select customer, object, entitlements -> 'data' as data"
    query += " from stripe_live.entitlements_active_entitlement_summary"
    [(named, object_name, entitlements)] = rows(db, f"{query} where customer = '{customer}'")
    assert (named, object_name) == (customer, "entitlements.active_entitlement_summary")
    assert entitlements
    # Multicorn2 reads ahead of a LIMIT, so requests of the query before may still arrive.
    assert f"GET /v1/entitlements/active_entitlements?customer={customer}&limit=100" in requests()
    query = "select customer, balances from stripe_live.billing_credit_balance_summary"
    [(named, balances)] = rows(db, f"{query} where customer = '{customer}'")
    assert named == customer
    assert isinstance(balances, list)


# -- objects known by id ------------------------------------------------------------------------------------


def token(simulator: SimulatorProcess) -> dict[str, Any]:
    card = {
        "card[number]": "4242424242424242",
        "card[exp_month]": 8,
        "card[exp_year]": 2034,
        "card[cvc]": "1",
    }
    return create(simulator, "tokens", card)


def test_an_object_without_a_list_is_read_by_its_id(
    db: psycopg.Connection, calm: SimulatorProcess, requests: Requests
) -> None:
    first, second = token(calm), token(calm)
    requests()
    query = "select id, type, card ->> 'last4' from stripe_live.token"
    assert rows(db, f"{query} where id = '{first['id']}'") == [(first["id"], "card", "4242")]
    assert requests() == [f"GET /v1/tokens/{first['id']}"]
    both = f"{query} where id = any('{{{first['id']},{second['id']},tok_none}}') order by created desc"
    assert {row[0] for row in rows(db, both)} == {first["id"], second["id"]}
    assert len(requests()) == 3


def test_many_ids_are_never_read_as_a_list(
    db: psycopg.Connection, calm: SimulatorProcess, requests: Requests
) -> None:
    ids = ",".join([str(token(calm)["id"]), *(f"tok_none{number}" for number in range(60))])
    requests()
    assert len(rows(db, f"select id from stripe_live.token where id = any('{{{ids}}}')")) == 1
    assert {request.rpartition("/")[0] for request in requests()} == {"GET /v1/tokens"}


def test_an_id_that_fits_no_path_is_no_object_s(db: psycopg.Connection, requests: Requests) -> None:
    for text in ("", "a/b", "..", "x" * 6000):
        assert rows(db, f"select id from stripe_live.mandate where id = '{text}'") == []
    assert requests() == []


def test_mandates_are_joined_with_what_names_them(db: psycopg.Connection, requests: Requests) -> None:
    query = """select i.mandate, m.id, m.status
                 from (select mandate from stripe_live.setup_intent where mandate is not null limit 3) i
                 join stripe_live.mandate m on m.id = i.mandate"""
    found = rows(db, query)
    assert len(found) == 3
    assert all(named == own for named, own, _ in found)
    assert sum(request.startswith("GET /v1/mandates/mandate_") for request in requests()) == len(
        {named for named, _, _ in found}
    )


def test_mandates_are_joined_with_a_place_inside_a_charge(db: psycopg.Connection, requests: Requests) -> None:
    place = "payment_method_details -> (payment_method_details ->> 'type') ->> 'mandate'"
    query = f"""select c.mandate, m.id, m.payment_method_details ->> 'type'
                  from (select {place} as mandate from stripe_live.charge limit 100) c
                  join stripe_live.mandate m on m.id = c.mandate"""
    found = rows(db, query)
    assert found
    assert all(named == own for named, own, _ in found)
    assert any(request.startswith("GET /v1/mandates/mandate_") for request in requests())
    assert not any(request.startswith("GET /v1/mandates?") for request in requests())


def test_a_table_by_id_alone_is_joined_by_a_nested_loop(db: psycopg.Connection) -> None:
    query = "select m.id from stripe_live.setup_intent i join stripe_live.mandate m on m.id = i.mandate"
    lines = "\n".join(str(line) for line in column(db, f"explain (costs off) {query}"))
    assert "Nested Loop" in lines
    assert "GET /v1/mandates/" in lines


def test_tax_goes_from_a_calculation_to_a_transaction(
    db: psycopg.Connection, calm: SimulatorProcess, requests: Requests
) -> None:
    sent = {
        "currency": "usd",
        "line_items[0][amount]": 1200,
        "line_items[0][reference]": "L1",
        "customer_details[address][country]": "US",
        "customer_details[address_source]": "billing",
    }
    calculation = create(calm, "tax/calculations", sent)
    committed = create(
        calm,
        "tax/transactions/create_from_calculation",
        {"calculation": calculation["id"], "reference": f"order of {calculation['id']}"},
    )
    requests()
    query = "select amount_total, tax_breakdown from stripe_live.tax_calculation"
    found = rows(db, f"{query} where id = '{calculation['id']}'")
    assert found[0][0] == 1200
    assert requests() == [f"GET /v1/tax/calculations/{calculation['id']}"]
    lines = one(
        db, f"select line_items -> 'data' from stripe_live.tax_transaction where id = '{committed['id']}'"
    )
    assert isinstance(lines, list)
    assert [line["reference"] for line in lines] == ["L1"]
    assert requests() == [f"GET /v1/tax/transactions/{committed['id']}?expand[0]=line_items"]


# -- objects inside others ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "source", "owner"),
    [
        ("card", "customer_source", "customer"),
        ("bank_account", "customer_source", "customer"),
        ("card", "external_account", "account"),
        ("bank_account", "external_account", "account"),
    ],
)
def test_cards_and_bank_accounts_are_those_of_a_customer_or_an_account(
    db: psycopg.Connection, requests: Requests, table: str, source: str, owner: str
) -> None:
    listed = f"from stripe_live.{source} where object = '{table}'"
    known = column(db, f"select {owner} {listed} limit 1") or column(
        db, f"select {owner} from stripe_live.{source} limit 1"
    )
    [identifier] = known
    wanted = column(db, f"select id {listed} and {owner} = '{identifier}'")
    requests()
    found = rows(db, f"select id, {owner} from stripe_live.{table} where {owner} = '{identifier}'")
    assert sorted(row[0] for row in found) == sorted(map(str, wanted))
    assert {row[1] for row in found} <= {identifier}
    assert any(
        f"/{identifier}/" in each and each.endswith(f"?object={table}&limit=100") for each in requests()
    )


@pytest.fixture
def discounted(calm: SimulatorProcess) -> tuple[str, str]:
    """A customer with a subscription that has a discount."""
    coupon = create(calm, "coupons", {"percent_off": 20, "duration": "forever"})
    customer = create(calm, "customers", {"name": "Ada"})
    price = create(
        calm, "prices", {"currency": "usd", "unit_amount": 500, "recurring[interval]": "month",
                             "product_data[name]": "Tea"},
    )  # fmt: skip
    subscription = create(
        calm,
        "subscriptions",
        {
            "customer": customer["id"],
            "items[0][price]": price["id"],
            "discounts[0][coupon]": coupon["id"],
            "collection_method": "send_invoice",
            "days_until_due": 30,
        },
    )
    return str(customer["id"]), str(subscription["id"])


def test_a_discount_is_found_by_its_subscription_and_by_its_customer(
    db: psycopg.Connection, requests: Requests, discounted: tuple[str, str]
) -> None:
    customer, subscription = discounted
    requests()
    query = "select id, customer, subscription, source ->> 'type' from stripe_live.discount"
    [by_subscription] = rows(db, f"{query} where subscription = '{subscription}'")
    assert by_subscription[1:] == (customer, subscription, "coupon")
    assert requests() == [f"GET /v1/subscriptions/{subscription}?expand[0]=discounts"]
    assert rows(db, f"{query} where customer = '{customer}'") == [by_subscription]
    assert sorted(requests()) == [
        f"GET /v1/customers/{customer}",
        f"GET /v1/subscriptions?customer={customer}&status=all&limit=100&expand[0]=data.discounts",
    ]
    assert rows(db, f"{query} where subscription = '{subscription}' and customer = 'cus_other'") == []
    assert rows(db, f"{query} where subscription = 'sub_none'") == []
    assert rows(db, f"{query} where customer = 'cus_none'") == []


def test_discounts_are_joined_with_their_subscriptions(
    db: psycopg.Connection, requests: Requests, discounted: tuple[str, str]
) -> None:
    customer, subscription = discounted
    query = f"""select s.id, d.subscription from stripe_live.subscription s
                  join stripe_live.discount d on d.subscription = s.id where s.customer = '{customer}'"""
    assert rows(db, query) == [(subscription, subscription)]


# -- errors and EXPLAIN -------------------------------------------------------------------------------------


def test_what_is_known_by_id_needs_one_and_the_error_says_where_ids_lie(db: psycopg.Connection) -> None:
    error = failing(db, "select * from stripe_live.mandate")
    text = str(error)
    assert 'table "mandate" can only be read with a condition on id' in text
    assert "no list" in text
    assert "id = 'mandate_...'" in text
    assert "setup_intent.mandate" in text
    assert "charge.payment_method_details" in text


@pytest.mark.parametrize(
    ("table", "condition"),
    [
        ("token", "id = 'tok_...'"),
        ("source_mandate_notification", "source = 'src_...' AND id = 'srcmn_...'"),
        ("discount", "subscription = 'sub_...'"),
        ("card", "customer = 'cus_...'"),
    ],
)
def test_every_such_error_has_an_example(db: psycopg.Connection, table: str, condition: str) -> None:
    assert condition in str(failing(db, f"select * from stripe_live.{table}"))


@pytest.mark.parametrize("resource", UNLISTED, ids=lambda resource: resource.name)
def test_every_table_without_a_list_answers_or_says_what_it_needs(
    db: psycopg.Connection, resource: Resource
) -> None:
    query = f"select * from stripe_live.{resource.name} limit 1"
    if resource.single:
        assert len(rows(db, query)) <= 1
    else:
        error = failing(db, query)
        assert "can only be read with a condition on" in str(error)


def test_explain_shows_the_requests(db: psycopg.Connection) -> None:
    lines = column(db, "explain (costs off) select * from stripe_live.balance")
    assert any("GET /v1/balance" in str(line) for line in lines)
    lines = column(db, "explain (costs off) select * from stripe_live.discount where customer = 'cus_1'")
    assert sum("Stripe Request" in str(line) for line in lines) == 2
