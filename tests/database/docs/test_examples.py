"""What the documentation shows is what happens: its SQL runs, its plans and answers are the product's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from stripe_fdw.database.install import InstallPlan, install_into
from stripe_fdw.devstack.private_postgres import Cluster
from stripe_simulator.process import SimulatorProcess
from support.doc_pages import PAGES, WRITING_PAGES, blocks, writes

KEY = "sk_test_4eC39HqLyjWDarjtT1zdp7dcdatabasetests"
# Pages on writing have a simulator of their own: test_writing.
READING = [path for path in PAGES if path not in WRITING_PAGES]
ORGS = """create table orgs (id int primary key, name text, stripe_id text);
insert into orgs select row_number() over (), 'org', id from stripe_live.customer limit 50;
analyze orgs"""
# What an example takes for granted, said on the same page.
GIVEN = {
    "amount > 5000": "alter server stripe options (add use_search 'true')",
    "GET /v1/customers/cus_hB1lpcFSgL3aUY": "alter server stripe options (add cache_ttl '60');"
    " select email from stripe_live.customer where id = 'cus_hB1lpcFSgL3aUY'",
}
# Measured, not promised.
VOLATILE = re.compile(r"(Made|Retries|Hits|Limits|Received|Time): .*|rows=\d+")


def of_page(path: Path, number: int) -> str:
    return f"{path.stem}-{number}"


SQL = [
    pytest.param(block.text, id=of_page(path, number))
    for path in READING
    for number, block in enumerate(blocks(path))
    if block.language == "sql" and not writes(block)
    if "foreign data wrapper multicorn" not in block.text
]
EXAMPLES = [
    pytest.param(query, shown, id=of_page(path, number))
    for path in READING
    for number, block in enumerate(blocks(path))
    if not block.language
    for query, shown in re.findall(
        r"^\w*=# (.*?);$\n(.*?)(?=^\w*=# |\Z)", block.text, flags=re.DOTALL | re.MULTILINE
    )
]


@pytest.fixture(scope="module")
def stripe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    """The simulated Stripe that ``dev up --customers 300`` starts."""
    with SimulatorProcess(customers=300, log=tmp_path_factory.mktemp("docs") / "simulator.log") as simulator:
        yield simulator


@pytest.fixture(scope="module")
def documented(cluster: Cluster, stripe: SimulatorProcess) -> str:
    """A database as ``init`` leaves it, and the roles that the pages speak of."""
    with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
        connection.execute("create database documented")
        connection.execute("create database documented_empty")
        connection.execute("create role app; create role support")
    with psycopg.connect(cluster.dsn("documented"), autocommit=True) as connection:
        options = {"api_base": stripe.url, "max_requests_per_second": "10000"}
        install_into(connection, InstallPlan(server_options=options, mapping={"api_key": KEY}))
    return cluster.dsn("documented")


@pytest.fixture
def session(documented: str) -> Iterator[psycopg.Connection]:
    """A session whose changes are undone."""
    with psycopg.connect(documented) as connection:
        connection.execute("set timezone = 'UTC'")
        yield connection
        connection.rollback()


@pytest.mark.parametrize("text", SQL)
def test_sql_that_is_shown_runs(text: str, session: psycopg.Connection, cluster: Cluster) -> None:
    statements = [
        statement.strip() for statement in re.sub(r"--.*", "", text).split(";") if statement.strip()
    ]
    if statements[0].startswith("create extension"):
        # By hand, in a database with nothing in it; the last statement would ask Stripe itself.
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
def test_what_is_shown_is_what_comes(query: str, shown: str, session: psycopg.Connection) -> None:
    for word, given in GIVEN.items():
        if word in shown:
            session.execute(given.encode())
    cursor = session.execute(query.encode())
    names = [column.name for column in cursor.description or ()]
    came = [tuple("" if value is None else str(value) for value in row) for row in cursor]
    wanted = [
        line
        for line in shown.splitlines()
        if line.strip() and not re.fullmatch(r"\(\d+ rows?\)", line.strip())
    ]
    assert [cell.strip() for cell in wanted[0].split("|")] == names
    if names == ["QUERY PLAN"]:
        plan = [VOLATILE.sub("", line).rstrip() for (line,) in came]
        expected = [VOLATILE.sub("", line[1:]).rstrip() for line in wanted[2:]]
        assert plan[: len(expected)] == expected
        return
    rows = [tuple(cell.strip() for cell in line.split("|")) for line in wanted[2:]]
    if "created" in names:  # counted back from the day on which the simulator runs
        rows, came = [row[:-1] for row in rows], [row[:-1] for row in came]
    assert came == rows
