"""The SQL of the documentation runs, and gives the plans and rows that are shown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from stripe_fdw.copies.install import install_copies
from stripe_fdw.database.install import InstallPlan, install_into
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.devstack.private_postgres import Cluster
from stripe_fdw.jobs.queue_schema import install_queue
from stripe_simulator.process import SimulatorProcess
from support.database import SessionPool
from support.doc_pages import PAGES, WRITING_PAGES, blocks, writes
from support.simulators import Simulators

KEY = "sk_test_4eC39HqLyjWDarjtT1zdp7dcdatabasetests"
# Pages on writing have a simulator of their own: test_writing.
READING = [path for path in PAGES if path not in WRITING_PAGES]
ORGS = """create table orgs (id int primary key, name text, stripe_id text);
insert into orgs select row_number() over (), 'org', id from stripe_live.customer limit 50;
analyze orgs"""
# The copies that the pages read.
COPIES = ["customer", "invoice", "line_item", "product", "subscription", "subscription_item"]
# Statements that an example relies on, by a text in its result.
PREPARATIONS = {
    "Stripe Asks Ahead": ORGS,
    "amount > 5000": "alter server stripe options (add use_search 'true')",
    "GET /v1/customers/cus_hB1lpcFSgL3aUY": "alter server stripe options (add cache_ttl '60');"
    " select email from stripe_live.customer where id = 'cus_hB1lpcFSgL3aUY'",
}
# Values that differ between runs.
VOLATILE = re.compile(r"(Made|Retries|Hits|Limits|Received|Time): .*|rows=\d+")


def example_id(path: Path, number: int) -> str:
    return f"{path.stem}-{number}"


SQL = [
    pytest.param(block.text, id=example_id(path, number))
    for path in READING
    for number, block in enumerate(blocks(path))
    if block.language == "sql" and not writes(block)
    if "foreign data wrapper multicorn" not in block.text and block.mark != "another test runs it"
]
EXAMPLES = [
    pytest.param(query, shown, id=example_id(path, number))
    for path in READING
    for number, block in enumerate(blocks(path))
    if not block.language
    for query, shown in re.findall(
        r"^\w*=# (.*?);$\n(.*?)(?=^\w*=# |\Z)", block.text, flags=re.DOTALL | re.MULTILINE
    )
]


@pytest.fixture(scope="module")
def stripe(simulators: Simulators) -> SimulatorProcess:
    """The simulated Stripe that ``dev up --customers 300`` starts."""
    return simulators(customers=300)


@pytest.fixture(scope="module")
def documented(cluster: Cluster, stripe: SimulatorProcess) -> Iterator[str]:
    """A database after ``init``, with the roles and the copies that the pages mention."""
    with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
        connection.execute("create database documented")
        connection.execute("create database documented_empty")
        connection.execute("create role app; create role support")
    with psycopg.connect(cluster.dsn("documented"), autocommit=True) as connection:
        options = {"api_base": stripe.url, "max_requests_per_second": "10000"}
        install_into(connection, InstallPlan(server_options=options, mapping={"api_key": KEY}))
        list(install_queue(connection))
        with connection.transaction():
            list(install_copies(connection, Schemas(), COPIES))
        second = Schemas("stripe_eu", "stripe_eu")
        plan = InstallPlan("bundled", second.server, options, {"api_key": KEY}, schema=second.views)
        install_into(connection, plan)
        with connection.transaction():
            list(install_copies(connection, second, ["customer"]))
    yield cluster.dsn("documented")
    with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
        for name in ("documented", "documented_empty"):
            connection.execute(f"drop database {name} with (force)")
        connection.execute("drop role app; drop role support")


@pytest.fixture(scope="module")
def pool(documented: str) -> Iterator[SessionPool]:
    """The sessions that tests take over from each other."""
    pool = SessionPool(documented)
    yield pool
    pool.close()


@pytest.fixture
def session(pool: SessionPool) -> Iterator[psycopg.Connection]:
    """A session that an earlier test may have used, whose changes are rolled back."""
    with pool.session() as connection:
        connection.autocommit = False
        connection.execute("set timezone = 'UTC'")
        yield connection


@pytest.fixture
def new_session(documented: str) -> Iterator[psycopg.Connection]:
    """A session that has read nothing before, as what pages show is planned; its changes are rolled back."""
    with psycopg.connect(documented) as connection:
        connection.execute("set timezone = 'UTC'")
        yield connection
        connection.rollback()


@pytest.mark.parametrize("text", SQL)
def test_the_sql_of_a_page_runs(text: str, session: psycopg.Connection, cluster: Cluster) -> None:
    statements = [
        statement.strip() for statement in re.sub(r"--.*", "", text).split(";") if statement.strip()
    ]
    if statements[0].startswith("create extension"):
        # In an empty database; the last statement would make a request to Stripe itself.
        with psycopg.connect(cluster.dsn("documented_empty")) as empty:
            for statement in statements:
                if not statement.startswith("select"):
                    empty.execute(statement.encode())
            empty.rollback()
        return
    if "create table orgs" not in text:
        session.execute(ORGS.encode())
    for statement in statements:
        session.execute("savepoint before")
        if re.match(r"create user mapping for app server stripe options", statement):
            session.execute(
                "drop user mapping if exists for app server stripe"
            )  # the page shows several ways
        session.execute(statement.encode())


@pytest.mark.parametrize(("query", "shown"), EXAMPLES)
def test_an_example_gives_the_result_of_the_page(
    query: str, shown: str, new_session: psycopg.Connection
) -> None:
    for text, statements in PREPARATIONS.items():
        if text in shown:
            new_session.execute(statements.encode())
    cursor = new_session.execute(query.encode())
    names = [column.name for column in cursor.description or ()]
    actual_rows = [tuple("" if value is None else str(value) for value in row) for row in cursor]
    shown_lines = [
        line
        for line in shown.splitlines()
        if line.strip() and not re.fullmatch(r"\(\d+ rows?\)", line.strip())
    ]
    assert [cell.strip() for cell in shown_lines[0].split("|")] == names
    if names == ["QUERY PLAN"]:
        plan = [VOLATILE.sub("", line).rstrip() for (line,) in actual_rows]
        expected = [VOLATILE.sub("", line[1:]).rstrip() for line in shown_lines[2:]]
        assert plan[: len(expected)] == expected
        return
    shown_rows = [tuple(cell.strip() for cell in line.split("|")) for line in shown_lines[2:]]
    if "created" in names:  # depends on the day on which the simulator runs
        shown_rows, actual_rows = [row[:-1] for row in shown_rows], [row[:-1] for row in actual_rows]
    assert actual_rows == shown_rows
