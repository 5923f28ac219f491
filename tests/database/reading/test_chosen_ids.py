"""Ids that users chose may contain any character: objects are found by them, and by references to them."""

from __future__ import annotations

import psycopg
import pytest

from stripe_simulator.process import SimulatorProcess
from support.database import KEY, Server, Servers, column, create
from support.simulators import Simulators

IDS = ("gold plan", "25% OFF", "a/b?c=d&e", "plain_1", "Ünïcøde ☃", "a+b", "%41")


@pytest.fixture(scope="module")
def chosen(simulators: Simulators) -> SimulatorProcess:
    """A Stripe where users chose the ids of products, each with a price, and of coupons, each with a code."""
    simulator = simulators(customers=5)
    for id_ in IDS:
        name = f"name of {id_}"
        price = {"product": id_, "currency": "eur", "unit_amount": 100, "nickname": id_}
        coupon = {"id": id_, "name": name, "percent_off": 25, "duration": "once"}
        create(simulator, "products", {"id": id_, "name": name})
        create(simulator, "prices", price)
        create(simulator, "coupons", coupon)
        create(simulator, "promotion_codes", {"promotion[type]": "coupon", "promotion[coupon]": id_})
    return simulator


@pytest.fixture
def live(servers: Servers, chosen: SimulatorProcess) -> Server:
    """Tables on that Stripe."""
    return servers(
        "product", "price", "coupon", "promotion_code",
        mapping={"api_key": KEY}, api_base=chosen.url, max_requests_per_second=10000,
    )  # fmt: skip


@pytest.mark.parametrize("id_", IDS)
def test_an_object_is_found_by_its_id_and_by_references_to_it(
    db: psycopg.Connection, live: Server, id_: str
) -> None:
    for target in ("product", "coupon"):
        assert column(db, f"select name from {live.table(target)} where id = %b", id_) == [f"name of {id_}"]
    assert column(db, f"select nickname from {live.table('price')} where product = %b", id_) == [id_]
    assert len(column(db, f"select id from {live.table('promotion_code')} where coupon = %b", id_)) == 1


def test_several_objects_are_found_by_a_list_of_ids(db: psycopg.Connection, live: Server) -> None:
    ids = ["..", "", ".", *IDS, None]
    matches = column(db, f"select nickname from {live.table('price')} where product = any(%b)", ids)
    assert sorted(map(str, matches)) == sorted(IDS)
    for target in ("product", "coupon"):
        matches = column(db, f"select id from {live.table(target)} where id = any(%b)", list(IDS))
        assert sorted(map(str, matches)) == sorted(IDS)


@pytest.mark.parametrize("way", ["set enable_nestloop = off", "set enable_hashjoin = off"])
def test_a_join_finds_objects_by_chosen_ids(db: psycopg.Connection, live: Server, way: str) -> None:
    db.execute("set enable_mergejoin = off; set enable_material = off")
    db.execute(way.encode())
    for outer, inner in (("r", "p"), ("p", "r")):
        tables = {"r": f"{live.table('price')} r", "p": f"{live.table('product')} p"}
        join = f"select r.nickname from {tables[outer]} left join {tables[inner]} on r.product = p.id"
        nicknames = column(db, f"{join} where p.id = any(%b)", list(IDS))
        assert sorted(map(str, nicknames)) == sorted(IDS)
