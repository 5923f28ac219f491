"""Whatever is joined, a nested loop that asks ahead gives the rows, and their order, of one that does not.

Queries are generated over a table with ids of Stripe's, some twice, some of nothing, some NULL. Postgres
answers each three times: asking ahead, without it, and on plain tables with the same objects.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stripe_simulator.process import SimulatorProcess
from support.database import Servers, one
from support.hosts import BUNDLED_ALONE
from support.simulators import Simulators

# Multicorn2 has no such node.
pytestmark = BUNDLED_ALONE
TABLES = ("customer", "subscription", "subscription_item", "price", "product", "invoice")
EXAMPLES = int(os.environ.get("HUNT", "1")) * 60


@pytest.fixture(scope="module")
def stripe(simulators: Simulators) -> SimulatorProcess:
    """A simulated Stripe of 40 customers."""
    return simulators("ask ahead", customers=40, seed=5)


@dataclass(frozen=True)
class Schemas:
    """The same tables, in three schemas."""

    connection: psycopg.Connection
    ahead: str
    one_by_one: str
    plain: str

    def __repr__(self) -> str:
        return "schemas"


@pytest.fixture(scope="module")
def schemas(database: str, host: str, stripe: SimulatorProcess) -> Iterator[Schemas]:
    """Servers with and without asking ahead, plain copies, and a table of ids in each schema."""
    with psycopg.connect(database, autocommit=True) as connection:
        servers = Servers(connection, host)
        options = {"api_base": stripe.url, "max_requests_per_second": 10_000}
        # Keys of their own have no statistics; with them, the short lists would be read as a whole.
        ahead, one_by_one, copied = (
            servers(*TABLES, mapping={"api_key": f"sk_test_{uuid4().hex}"}, **options, ask_ahead=setting).name
            for setting in ("on", "off", "off")
        )
        plain = f"{ahead}_plain"
        connection.execute(f"create schema {plain}".encode())
        for table in TABLES:
            connection.execute(f"create table {plain}.{table} as select * from {copied}.{table}".encode())
        for schema in (ahead, one_by_one, plain):
            connection.execute(
                f"""
                create table {schema}.org as
                select row_number() over () n, id customer, id::text || '!' as label from (
                  select id from {plain}.customer
                  union all (select id from {plain}.customer limit 9)
                  union all select 'cus_none' union all select null union all select '') ids (id);
                analyze {schema}.org
                """.encode()
            )
        connection.execute("set enable_hashjoin = off; set enable_mergejoin = off; set enable_material = off")
        yield Schemas(connection, ahead, one_by_one, plain)
        connection.execute(f"drop schema {plain} cascade".encode())
        servers.drop()


OUTER = (
    "org o",
    "(select * from org where n % 3 = 0) o",
    "(select * from org order by n desc) o",
    "(select min(n) n, customer, max(label) as label from org group by customer) o",
    "(select o.* from org o join customer known on known.id = o.customer offset 0) o",
    "(select * from org union all select n + 100, customer, label from org where n < 5) o",
)
INNER = (
    "join subscription s on s.customer = o.customer",
    "left join subscription s on s.customer = o.customer and s.status = 'active'",
    "join customer s on s.id = o.customer",
    "cross join lateral"
    " (select * from invoice s where s.customer = o.customer order by created desc, id limit 2) s",
    "cross join lateral"
    " (select max(id) as id, count(*) as c from subscription s where s.customer = o.customer) s",
    "cross join lateral (select id from subscription s where s.customer = o.customer"
    " union all select id from customer c where c.id = o.customer) s",
    "left join subscription s on s.customer = o.customer join subscription_item i on i.subscription = s.id",
    "join subscription s on s.customer = o.customer left join price p on p.id = s.price"
    " left join product q on q.id = p.product",
)
FILTERS = (
    "true",
    "exists (select 1 from subscription x where x.customer = o.customer)",
    "not exists (select 1 from invoice x where x.customer = o.customer and x.status = 'open')",
    "o.customer in (select customer from subscription x where x.customer = o.customer)",
    "o.n <= all (select 40 + length(x.id) from customer x where x.id = o.customer)",
)


@st.composite
def queries(draw: st.DrawFn) -> tuple[str, int | None]:
    """A query, and how many rows are read of it."""
    inner = draw(st.sampled_from(INNER))
    text = f"select o.n, s.id, o.label from {draw(st.sampled_from(OUTER))} {inner}"
    text += f" where {draw(st.sampled_from(FILTERS))}"
    return text, draw(st.none() | st.integers(0, 12))


def _rows(schemas: Schemas, schema: str, text: str, how: str, most: int | None) -> list[tuple[Any, ...]]:
    connection = schemas.connection
    connection.execute(f"set search_path = {schema}".encode())
    if most is None:
        return connection.execute(text.encode()).fetchall()
    if how == "limit":
        return connection.execute(f"{text} limit {most}".encode()).fetchall()
    with connection.transaction():
        connection.execute(f"declare c no scroll cursor for {text}".encode())
        found = connection.execute(f"fetch {most} from c".encode()).fetchall() if most else []
        return found + connection.execute("fetch 2 from c").fetchall()


def _plan(schemas: Schemas, schema: str, text: str) -> list[tuple[str, str]]:
    """The nodes of a plan and their tables, without those that ask ahead."""

    def nodes(plan: dict[str, Any]) -> Iterator[tuple[str, str]]:
        if plan["Node Type"] != "Custom Scan":
            yield plan["Node Type"], plan.get("Alias", "")
        for child in plan.get("Plans", ()):
            yield from nodes(child)

    schemas.connection.execute(f"set search_path = {schema}".encode())
    [[[explained]]] = schemas.connection.execute(f"explain (format json) {text}".encode()).fetchall()
    return list(nodes(explained["Plan"]))


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(query=queries(), how=st.sampled_from(["limit", "cursor"]))
def test_the_same_rows_in_the_same_order(schemas: Schemas, query: tuple[str, int | None], how: str) -> None:
    text, most = query
    ahead = _rows(schemas, schemas.ahead, text, how, most)
    one_by_one = _rows(schemas, schemas.one_by_one, text, how, most)
    assert len(ahead) == len(one_by_one), text
    if _plan(schemas, schemas.ahead, text) == _plan(schemas, schemas.one_by_one, text):
        assert ahead == one_by_one, text
    every = _rows(schemas, schemas.plain, text, how, None)
    if most is None:
        assert sorted(ahead, key=repr) == sorted(every, key=repr), text
    else:
        assert len(ahead) == min(len(every), most if how == "limit" else most + 2)
        assert set(ahead) <= set(every), text


def test_the_queries_do_ask_ahead(schemas: Schemas) -> None:
    """Else the test above would compare nothing."""
    for inner in INNER:
        schemas.connection.execute(f"set search_path = {schemas.ahead}".encode())
        text = f"select o.n, s.id from org o {inner}"
        assert "Stripe Asks Ahead" in str(one(schemas.connection, f"explain (format json) {text}")), inner
        assert _plan(schemas, schemas.ahead, text) == _plan(schemas, schemas.one_by_one, text)
