"""Fields that Stripe sends only on request: the requests of a statement expand those that it names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from stripe_simulator.process import SimulatorProcess
from support.database import KEY, Server, Servers, create, one

Sent = Callable[[], list[tuple[str, str, list[str]]]]

TABLES = ("price", "customer", "coupon", "invoice", "issuing_card", "charge", "product")
TIERED = {
    "currency": "usd",
    "product_data[name]": "stairs",
    "recurring[interval]": "month",
    "billing_scheme": "tiered",
    "tiers_mode": "graduated",
    "tiers[0][up_to]": "5",
    "tiers[0][unit_amount]": "500",
    "tiers[1][up_to]": "inf",
    "tiers[1][unit_amount]": "400",
}


@pytest.fixture
def shop(servers: Servers, written: SimulatorProcess) -> Server:
    """A server whose answers are not kept, with tables to read and to write."""
    return servers(*TABLES, mapping={"api_key": KEY}, api_base=written.url, max_requests_per_second=10000)


@pytest.fixture
def price(written: SimulatorProcess) -> dict[str, Any]:
    return create(written, "prices", TIERED)


@pytest.fixture
def expanded(written: SimulatorProcess) -> Sent:
    """Return the requests since the last call: method, path, and what they expand."""
    written.control("DELETE", "/requests")

    def since() -> list[tuple[str, str, list[str]]]:
        log = written.requests()
        written.control("DELETE", "/requests")
        return [
            (
                item["method"],
                item["path"].removeprefix("/v1"),
                [value for name, value in (*item["query"], *item["form"]) if name.startswith("expand[")],
            )
            for item in log
        ]

    return since


def explained(db: psycopg.Connection, query: str) -> dict[str, str]:
    """Return EXPLAIN's lines by label."""
    lines = (row[0].strip().removeprefix("Multicorn: ") for row in db.execute(f"explain {query}".encode()))
    return dict(line.split(": ", 1) for line in lines if ": " in line)


def test_an_object_by_its_id(
    db: psycopg.Connection, shop: Server, price: dict[str, Any], expanded: Sent
) -> None:
    table, identifier = shop.table("price"), price["id"]
    expanded()
    amount = f"select jsonb_array_length(tiers) from {table} where id = '{identifier}'"
    assert one(db, amount) == 2
    assert expanded() == [("GET", f"/prices/{identifier}", ["tiers"])]
    assert one(db, f"select nickname from {table} where id = '{identifier}'") is None
    assert expanded() == [("GET", f"/prices/{identifier}", [])]
    assert explained(db, amount)["Stripe Expand"] == "tiers"
    assert "Stripe Expand" not in explained(db, f"select nickname from {table} where id = '{identifier}'")


def test_a_list_and_a_condition_that_postgres_checks(
    db: psycopg.Connection, shop: Server, price: dict[str, Any], expanded: Sent
) -> None:
    table = shop.table("price")
    expanded()
    tiered = f"select id from {table} where jsonb_array_length(tiers) = 2 and product = '{price['product']}'"
    assert one(db, tiered) == price["id"]
    assert expanded() == [("GET", "/prices", ["data.tiers"])] * 2
    assert explained(db, tiered)["Stripe Expand"] == "tiers"


def test_all_columns(db: psycopg.Connection, shop: Server, price: dict[str, Any], expanded: Sent) -> None:
    expanded()
    row = db.execute(f"select * from {shop.table('price')} where id = '{price['id']}'".encode())
    names = [item.name for item in row.description or ()]
    values = dict(zip(names, row.fetchone() or (), strict=True))
    assert expanded() == [("GET", f"/prices/{price['id']}", ["currency_options", "tiers"])]
    assert len(values["tiers"]) == 2
    assert list(values["currency_options"]) == ["usd"]


def test_a_whole_row(
    db: psycopg.Connection, shop: Server, price: dict[str, Any], expanded: Sent, host: str
) -> None:
    expanded()
    tiers = one(db, f"select to_jsonb(p) -> 'tiers' from {shop.table('price')} p where id = '{price['id']}'")
    if host == "multicorn2":  # which does not say that a query refers to the whole row
        assert tiers is None
        assert expanded() == [("GET", f"/prices/{price['id']}", [])]
    else:
        assert isinstance(tiers, list)
        assert expanded() == [("GET", f"/prices/{price['id']}", ["currency_options", "tiers"])]


def test_a_count_names_no_column(db: psycopg.Connection, shop: Server, expanded: Sent) -> None:
    expanded()
    one(db, f"select count(*) from {shop.table('customer')}")
    assert {tuple(paths) for _, _, paths in expanded()} == {()}


def test_raw_holds_what_the_query_names(
    db: psycopg.Connection, shop: Server, price: dict[str, Any], expanded: Sent
) -> None:
    table, identifier = shop.table("price"), price["id"]
    expanded()
    assert one(db, f"select _raw ? 'tiers' from {table} where id = '{identifier}'") is False
    assert expanded() == [("GET", f"/prices/{identifier}", [])]
    assert one(db, f"select _raw ? 'tiers' and tiers is not null from {table} where id = '{identifier}'")


def test_one_answer_serves_parts_of_a_statement_that_need_fewer(
    db: psycopg.Connection, shop: Server, price: dict[str, Any], expanded: Sent
) -> None:
    table, identifier = shop.table("price"), price["id"]
    expanded()
    both = f"""
        with a as materialized (select tiers, id from {table} where id = '{identifier}'),
             b as materialized (select _raw, id from {table} where id = '{identifier}')
        select a.tiers is not null and not b._raw ? 'tiers' from a join b using (id)"""
    assert one(db, both) is True
    requests = expanded()
    assert ("GET", f"/prices/{identifier}", ["tiers"]) in requests
    assert len(requests) <= 2


def test_kept_answers(
    db: psycopg.Connection, servers: Servers, written: SimulatorProcess, price: dict[str, Any], expanded: Sent
) -> None:
    caching = servers(
        "price", mapping={"api_key": KEY}, api_base=written.url, max_requests_per_second=10000, cache_ttl=1000
    )
    table, identifier = caching.table("price"), price["id"]
    expanded()
    assert one(db, f"select _raw ? 'tiers' from {table} where id = '{identifier}'") is False
    assert one(db, f"select tiers is not null from {table} where id = '{identifier}'") is True
    assert expanded() == [("GET", f"/prices/{identifier}", []), ("GET", f"/prices/{identifier}", ["tiers"])]
    assert one(db, f"select tiers is not null from {table} where id = '{identifier}'") is True
    assert expanded() == []
    both = f"select tiers is not null and currency_options is not null from {table} where id = '{identifier}'"
    assert one(db, both) is True
    assert expanded() == [("GET", f"/prices/{identifier}", ["currency_options", "tiers"])]
    # The widest answer serves, without what the query has not asked for.
    raw = f"select _raw ? 'tiers', currency_options is not null from {table} where id = '{identifier}'"
    assert db.execute(raw.encode()).fetchone() == (False, True)
    assert expanded() == []


def test_card_numbers_are_asked_for_by_name_and_of_one_card(
    db: psycopg.Connection, shop: Server, written: SimulatorProcess, expanded: Sent
) -> None:
    table = shop.table("issuing_card")
    card = one(db, f"select id from {table} where type = 'virtual' limit 1")
    assert expanded()[0][2] == []
    assert one(db, f"select length(number) > 0 from {table} where id = '{card}'") is True
    assert expanded() == [("GET", f"/issuing/cards/{card}", ["number"])]
    assert one(db, f"select count(*) from {table} c where id = '{card}' and c is not null") in (0, 1)
    assert expanded() == [("GET", f"/issuing/cards/{card}", [])]
    listed = f"select number from {table} limit 1"
    assert one(db, listed) is None
    assert expanded()[0][2] == []
    assert explained(db, listed)["Stripe Not Expanded"] == "number: only of one object by its id"


def test_an_update_reads_what_it_sets(
    db: psycopg.Connection, shop: Server, written: SimulatorProcess, expanded: Sent
) -> None:
    fields = {
        "currency": "usd", "unit_amount": "1000", "product_data[name]": "tea",
        "currency_options[eur][unit_amount]": "900", "currency_options[gbp][unit_amount]": "800",
    }  # fmt: skip
    identifier = create(written, "prices", fields)["id"]
    table = shop.table("price")
    expanded()
    db.execute(
        f"""update {table} set currency_options = currency_options || '{{"gbp": {{"unit_amount": 850}}}}'
            where id = '{identifier}'""".encode()
    )
    form = [tuple(item) for item in written.requests()[-1]["form"] if "expand" not in item[0]]
    assert ("currency_options[gbp][unit_amount]", "850") in form
    assert not any("eur" in name for name, _ in form)
    method, path, paths = expanded()[0]
    assert (method, path) == ("GET", f"/prices/{identifier}")
    assert "currency_options" in paths
    options = one(db, f"select currency_options from {table} where id = '{identifier}'")
    assert isinstance(options, dict)
    assert {name: option["unit_amount"] for name, option in options.items()} == {
        "usd": 1000, "eur": 900, "gbp": 850,
    }  # fmt: skip


def test_an_update_to_null(db: psycopg.Connection, shop: Server, written: SimulatorProcess) -> None:
    fields = {"currency": "usd", "unit_amount": "1000", "product_data[name]": "tea"}
    identifier = create(written, "prices", fields | {"currency_options[eur][unit_amount]": "900"})["id"]
    table = shop.table("price")
    names = f"select array(select jsonb_object_keys(currency_options)) from {table} where id = '{identifier}'"
    assert sorted(one(db, names)) == ["eur", "usd"]  # type: ignore[call-overload]
    db.execute(f"update {table} set currency_options = null where id = '{identifier}'".encode())
    assert one(db, names) == ["usd"]


def test_an_update_of_other_columns_expands_nothing(
    db: psycopg.Connection, shop: Server, price: dict[str, Any], expanded: Sent, host: str
) -> None:
    expanded()
    db.execute(f"update {shop.table('price')} set nickname = 'x' where id = '{price['id']}'".encode())
    # Multicorn2 does not say which columns an UPDATE sets or has conditions on: it names all.
    paths = ["currency_options", "tiers"] if host == "multicorn2" else []
    assert expanded() == [("GET", f"/prices/{price['id']}", paths), ("POST", f"/prices/{price['id']}", [])]


def test_returning(
    db: psycopg.Connection, shop: Server, price: dict[str, Any], expanded: Sent, host: str
) -> None:
    table, identifier = shop.table("price"), price["id"]
    expanded()
    insert = f"""
        insert into {table} (currency, product, recurring, billing_scheme, tiers_mode, tiers)
        values ('usd', '{price["product"]}', '{{"interval": "month"}}', 'tiered', 'volume',
                '[{{"up_to": 3, "unit_amount": 7}}, {{"up_to": "inf", "unit_amount": 6}}]')
        returning jsonb_array_length(tiers)"""
    update = (
        f"update {table} set nickname = 'new' where id = '{identifier}' returning jsonb_array_length(tiers)"
    )
    if host == "multicorn2":  # which does not say what RETURNING names
        assert one(db, insert) is one(db, update) is None
        assert [paths for method, _, paths in expanded() if method == "POST"] == [[], []]
        return
    assert one(db, insert) == 2
    assert expanded() == [("POST", "/prices", ["tiers"])]
    assert one(db, update) == 2
    assert expanded()[-1] == ("POST", f"/prices/{identifier}", ["tiers"])
    # Nothing changes, so nothing is written, and the answer is read.
    assert one(db, update) == 2
    assert {method for method, _, _ in expanded()} == {"GET"}


def test_returning_after_an_operation(
    db: psycopg.Connection, shop: Server, written: SimulatorProcess, expanded: Sent, host: str
) -> None:
    if host == "multicorn2":
        return  # as above
    customer = create(written, "customers", {"name": "payer"})["id"]
    draft = create(written, "invoices", {"customer": customer, "collection_method": "send_invoice",
                                         "days_until_due": 30})["id"]  # fmt: skip
    expanded()
    finalize = f"update {shop.table('invoice')} set status = 'open' where id = '{draft}' returning payments"
    payments = one(db, finalize)
    assert isinstance(payments, dict)
    assert payments["object"] == "list"
    method, path, paths = expanded()[-1]
    assert (method, path) == ("POST", f"/invoices/{draft}/finalize")
    assert "payments" in paths


def test_delete_returning(
    db: psycopg.Connection, shop: Server, written: SimulatorProcess, expanded: Sent
) -> None:
    fields = {"id": "by_product", "percent_off": "5", "duration": "once"}
    product = create(written, "products", {"name": "cup"})["id"]
    create(written, "coupons", {**fields, "applies_to[products][0]": product})
    expanded()
    delete = f"delete from {shop.table('coupon')} where id = 'by_product' returning applies_to"
    assert one(db, delete) == {"products": [product]}
    method, path, paths = expanded()[0]
    assert (method, path) == ("GET", "/coupons/by_product")
    assert "applies_to" in paths


def test_rows_that_are_locked_are_read_no_wider(
    db: psycopg.Connection, shop: Server, price: dict[str, Any], expanded: Sent
) -> None:
    expanded()
    one(db, f"select nickname from {shop.table('price')} where id = '{price['id']}' for update")
    assert expanded() == [("GET", f"/prices/{price['id']}", [])]


def test_several_lists_inside_a_customer(
    db: psycopg.Connection, shop: Server, written: SimulatorProcess, expanded: Sent
) -> None:
    customer = create(written, "customers", {"name": "c", "tax_id_data[0][type]": "eu_vat",
                                             "tax_id_data[0][value]": "DE123456789"})["id"]  # fmt: skip
    expanded()
    row = db.execute(
        f"select tax_ids ->> 'object', sources ->> 'object', subscriptions ->> 'object', tax is not null,"
        f" cash_balance ->> 'object', invoice_credit_balance"
        f" from {shop.table('customer')} where id = '{customer}'".encode()
    ).fetchone()
    assert row == ("list", "list", "list", True, "cash_balance", {})
    assert sorted(expanded()[0][2]) == [
        "cash_balance", "invoice_credit_balance", "sources", "subscriptions", "tax", "tax_ids",
    ]  # fmt: skip
