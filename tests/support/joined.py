"""Foreign tables, and a table of the test's own to join them with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import psycopg

from stripe_simulator.process import SimulatorProcess
from support.database import Server, Servers, column, rows

TABLES = ("customer", "subscription", "subscription_item", "price", "product", "_call")


@dataclass(frozen=True)
class Shop:
    """Foreign tables and a table with twenty customers, one without, and one twice."""

    db: psycopg.Connection
    server: Server
    orgs: str
    customers: list[str]

    def __call__(self, text: str) -> str:
        """The query with the names of the tables."""
        return text.replace("stripe.", f"{self.server.name}.").replace("orgs", self.orgs)

    def rows(self, text: str) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        return rows(self.db, self(text))

    def plan(self, text: str) -> str:
        """EXPLAIN's lines."""
        return "\n".join(map(str, column(self.db, f"explain (verbose, costs off) {self(text)}")))

    def asked_ahead(self, text: str) -> dict[str, Any]:
        """What EXPLAIN ANALYZE says of the first node that asks ahead."""
        [[explained]] = rows(self.db, f"explain (analyze, format json) {self(text)}")
        return next(node for node in nodes(explained[0]["Plan"]) if "Stripe Rows Ahead" in node)


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


def make_shop(db: psycopg.Connection, servers: Servers, simulator: SimulatorProcess) -> Shop:
    """Make tables without statistics, in a session that prefers nested loops."""
    mapping = {"api_key": f"sk_test_{uuid4().hex}"}
    server = servers(*TABLES, mapping=mapping, api_base=simulator.url, max_requests_per_second=10_000)
    orgs = f"{server.name}.orgs"
    db.execute(f"create table {orgs} (n serial primary key, customer text, name text default 'org')".encode())
    db.execute(f"insert into {orgs} (customer) select id from {server.table('customer')} limit 20".encode())
    customers = [str(value) for value in column(db, f"select customer from {orgs} order by n")]
    db.execute(f"insert into {orgs} (customer) values (null), ('{customers[0]}')".encode())
    db.execute(f"analyze {orgs}".encode())
    db.execute("set enable_hashjoin = off; set enable_mergejoin = off; set enable_sort = off")
    simulator.control("DELETE", "/requests")
    return Shop(db, server, orgs, customers)
