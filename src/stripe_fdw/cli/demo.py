"""``stripe-fdw demo``: live queries and writes on a temporary stack, some on local copies, and an event."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import unquote

import psycopg
import typer
from rich.table import Table

from stripe_fdw.cli.demo_events import show_events
from stripe_fdw.cli.output import out, print_table, say
from stripe_fdw.cli.ranges import MAX_MILLISECONDS, MAX_OBJECTS
from stripe_fdw.copies.install import install_copies
from stripe_fdw.counts import counted
from stripe_fdw.database.install import HostName
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.database.session import CLIENT_ENCODING
from stripe_fdw.devstack.stack import Stack

_SHOWN_ROWS = 5
_SHOWN_REQUESTS = 4


@dataclass(frozen=True)
class Example:
    """A query, and a title that says what it demonstrates."""

    title: str
    query: str
    writes: bool = False  # its plan is not shown


EXAMPLES: tuple[Example, ...] = (
    Example(
        "A filter becomes a parameter of the list",
        "select id, status, current_date - created::date as days_old\n"
        "  from stripe_live.subscription where customer = '{customer}'",
    ),
    Example(
        "A join with your own table requests only the rows that join",
        "select o.name, s.id, s.status\n"
        "  from orgs o join stripe_live.subscription s on s.customer = o.stripe_id\n"
        " where o.plan = 'team' order by o.name",
    ),
    Example(
        "LIMIT costs one small request",
        "select id, amount_due, status from stripe_live.invoice order by created desc limit 3",
    ),
    Example(
        "A time range becomes a range of created",
        "select count(*) as charges, sum(amount) as amount, currency\n  from stripe_live.charge\n"
        " where created >= now() - interval '30 days' and created < now() group by currency",
    ),
    Example(
        "An aggregate over everything, fetched in parallel slices",
        "select status, count(*) from stripe_live.subscription group by status order by 2 desc",
    ),
    Example(
        "INSERT creates an object; RETURNING shows the response; with a key it is safe to run again",
        "insert into stripe_live.customer (email, name, _idempotency_key)\n"
        "values ('ada@example.com', 'Ada', 'org-1001') returning id, email, balance, created",
        writes=True,
    ),
    Example(
        "UPDATE sends the columns that differ; a change of status is an operation of Stripe's",
        "update stripe_live.invoice set status = 'void', metadata = '{{\"why\": \"demo\"}}'\n"
        " where id = '{invoice}' returning id, status, metadata ->> 'why' as why",
        writes=True,
    ),
    Example(
        "Writes are visible at once, in every session",
        "select id, status, metadata ->> 'why' as why from stripe_live.invoice where id = '{invoice}'",
    ),
)

_REFRESHED: Final = ("customer", "product", "subscription", "subscription_item")
EXAMPLES_ON_COPIES: tuple[Example, ...] = (
    Example(
        "UPDATE of a copy's view changes Stripe, one request for a row, and the copy with it",
        'update stripe.subscription set metadata = \'{{"order_id": "6735"}}\'\n'
        " where customer_id = '{customer}' returning id, status, metadata",
        writes=True,
    ),
    Example(
        "A product of Stripe's names the group of films that it gives access to",
        'update stripe.product set metadata = \'{{"group": "classics"}}\'\n'
        " where id = '{product}' returning id, metadata",
        writes=True,
    ),
    Example(
        "A search that shows what the customer has subscribed to: no request, as fast as your own tables",
        "select m.info, exists (\n"
        "         select from stripe.subscription s\n"
        "           join stripe.subscription_item si on si.subscription_id = s.id\n"
        "           join stripe.product p on p.id = si.product_id\n"
        "          where s.customer_id = '{customer}' and s.status = 'active'\n"
        "            and p.metadata ->> 'group' = any (m.subscription_groups)) as is_included\n"
        "  from movie_search m\n"
        " where to_tsvector('english', m.info) @@ to_tsquery('english', 'harrison & ford')",
    ),
)


def demo(
    customers: Annotated[
        int, typer.Option(min=10, max=MAX_OBJECTS, help="Customers in the simulated Stripe.")
    ] = 1000,
    latency_ms: Annotated[
        float, typer.Option(min=0, max=MAX_MILLISECONDS, help="Minimum duration of each response.")
    ] = 20,
    host: Annotated[
        HostName, typer.Option(help="The extension that runs stripe-fdw inside Postgres.")
    ] = "bundled",
) -> None:
    """Start a private Postgres and a simulated Stripe, run queries and writes, show an event, remove both."""
    with tempfile.TemporaryDirectory(prefix="stripe-fdw-demo-") as directory:
        stack = Stack(Path(directory))
        try:
            state = stack.up({"customers": customers, "latency_ms": latency_ms, "host": host}, say)
            with psycopg.connect(stack.dsn, autocommit=True, client_encoding=CLIENT_ENCODING) as connection:
                _show_live(connection, state.simulator_url)
                environment = stack.environment()
                _show_copies(connection, state.simulator_url, environment)
                show_events(connection, environment, Path(directory), len(EXAMPLES + EXAMPLES_ON_COPIES) + 1)
        finally:
            stack.down(remove=True)
    say("stopped and removed everything; `stripe-fdw dev up` starts a stack that keeps running")


def _show_live(connection: psycopg.Connection, simulator: str) -> None:
    connection.execute(
        "create table orgs as select coalesce(name, 'Org ' || id) as name, id as stripe_id,"
        " (array['team', 'solo', 'solo', 'solo', 'solo'])[row_number() over () % 5 + 1] as plan"
        " from (select id, name from stripe_live.customer limit 20) c"
    )
    connection.execute("analyze orgs")
    ids = {
        "customer": _first_value(
            connection, "select customer from stripe_live.subscription where status = 'active'"
        ),
        "invoice": _first_value(connection, "select id from stripe_live.invoice where status = 'open'"),
    }
    _show(connection, simulator, EXAMPLES, ids)


def _show_copies(connection: psycopg.Connection, simulator: str, environment: Mapping[str, str]) -> None:
    command = ("refresh", *_REFRESHED)
    with connection.transaction():
        list(install_copies(connection, Schemas(), _REFRESHED))
    out.print(f"\nLocal copies: stripe-fdw {' '.join(command)}\n", markup=False, style="bold")
    subprocess.run(
        [sys.executable, "-m", "stripe_fdw", *command],
        env={**os.environ, **environment},
        check=True,
    )
    connection.execute(
        "create table movie_search as select * from (values"
        " ('Blade Runner, with Harrison Ford', array['classics']),"
        " ('Witness, with Harrison Ford', array['thrillers']),"
        " ('Alien, with Sigourney Weaver', array['classics'])) v (info, subscription_groups);"
        " analyze movie_search"
    )
    for name in _REFRESHED:
        connection.execute(f"analyze stripe_copy.{name}".encode())
    subscribed = connection.execute(
        "select s.customer_id, si.product_id from stripe.subscription s"
        " join stripe.subscription_item si on si.subscription_id = s.id where s.status = 'active' limit 1"
    ).fetchone()
    customer, product = subscribed or ("none", "none")
    _show(
        connection, simulator, EXAMPLES_ON_COPIES, {"customer": customer, "product": product}, len(EXAMPLES)
    )


def _show(
    connection: psycopg.Connection,
    simulator: str,
    examples: Sequence[Example],
    ids: Mapping[str, str],
    shown_before: int = 0,
) -> None:
    for number, example in enumerate(examples, shown_before + 1):
        query = example.query.format(**ids)
        out.print(f"\n{number}. {example.title}\n", markup=False, style="bold")
        out.print(_indent(query), markup=False, style="cyan")
        _clear_requests(simulator)
        plan = connection.execute(f"explain (costs off) {query}".encode()).fetchall()
        assert not _requests(simulator), "EXPLAIN made a request"
        start = time.perf_counter()
        cursor = connection.execute(query.encode())
        rows = cursor.fetchall()
        seconds = time.perf_counter() - start
        out.print()
        if not example.writes:
            out.print(_indent("\n".join(line for (line,) in plan)), markup=False, style="dim")
            out.print()
        _print_rows([column.name for column in cursor.description or ()], rows)
        _print_cost(_requests(simulator), seconds)


def _first_value(connection: psycopg.Connection, query: str) -> str:
    row = connection.execute(f"{query} limit 1".encode()).fetchone()
    return str(row[0]) if row else "none"


def _print_rows(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    table = Table(*names, box=None, pad_edge=True)
    for row in rows[:_SHOWN_ROWS]:
        table.add_row(*map(_text, row))
    print_table(table)
    if len(rows) > _SHOWN_ROWS:
        out.print(f" … and {counted(len(rows) - _SHOWN_ROWS, 'more row')}", markup=False)


def _text(value: object) -> str:
    """Return the value as psql shows it."""
    match value:
        case None:
            return ""
        case bool():
            return "t" if value else "f"
        case dict() | list():
            return json.dumps(value, ensure_ascii=False)
        case _:
            return str(value)


def _print_cost(requests: Sequence[dict[str, Any]], seconds: float) -> None:
    out.print(f"\n {counted(len(requests), 'request')}, {seconds * 1000:.0f} ms", markup=False, style="green")
    for request in requests[:_SHOWN_REQUESTS]:
        query = unquote(str(request["query_string"]))
        body = " ".join(f"{name}={value}" for name, value in request["form"])
        out.print(
            f"   {request['method']} {request['path']}{'?' if query else ''}{query} {body}".rstrip(),
            markup=False,
            style="green",
        )
    if len(requests) > _SHOWN_REQUESTS:
        out.print(f"   … and {len(requests) - _SHOWN_REQUESTS} more", markup=False, style="green")


def _clear_requests(simulator: str) -> None:
    _requests(simulator, "DELETE")


def _requests(simulator: str, method: str = "GET") -> list[dict[str, Any]]:
    request = urllib.request.Request(f"{simulator}/_simulator/requests", method=method)  # noqa: S310 - loopback
    with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
        body = json.loads(response.read() or b"{}")
    return list(body.get("requests", []))


def _indent(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
