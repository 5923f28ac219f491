"""The pages on writing, followed from top to bottom on each host: every result is the one that is shown."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from textwrap import dedent

import psycopg
import pytest

from stripe_fdw.database.install import InstallPlan, install_into
from stripe_fdw.devstack.private_postgres import Cluster
from stripe_simulator.process import SimulatorProcess
from support.doc_pages import PAGES, WRITING_PAGES, Block, Shown, blocks, session, writes

KEY = "sk_test_51KeyOfTheDocsOfWriting0"
FILE = "/srv/customers.csv"
STANDS_FOR_AN_ID = re.compile(r"\b([a-z]+)_(\d{3})\b")
ANYTHING = "…"


# The table that the quickstart makes, and others speak of.
ORGS = "drop table if exists orgs cascade; create table orgs (id int primary key, name text, stripe_id text)"


class Page:
    """A page that is followed from top to bottom: ids that it shows stand for those that come."""

    def __init__(self, connection: psycopg.Connection, stripe: SimulatorProcess, host: str) -> None:
        self.ids: dict[str, str] = {}
        self._connection = connection
        self._stripe = stripe
        self._host = host
        self._said: list[str] = []
        connection.add_notice_handler(self._hear)

    def start_with(self, given: str) -> None:
        """Make what an example takes for granted."""
        self._connection.execute(given.encode())

    def follow(self, block: Block) -> None:
        """Run a block, and compare what comes with what is shown."""
        if block.mark.startswith("fault: "):
            self._stripe.control("POST", "/faults", json.loads(block.mark.removeprefix("fault: ")))
        if block.language == "sql":
            self._connection.execute(self._meant(block.text).encode())
        elif block.language == "python":
            exec(dedent(self._meant(block.text)), {"connection": self._connection})
        else:
            for shown in session(block):
                self.show(shown)
        self._stripe.control("DELETE", "/faults")

    def show(self, shown: Shown) -> None:
        """Run a statement; all that comes must be as it is shown."""
        table, messages = self.run(shown.statement)
        assert len(messages) == len(shown.messages), (shown.statement, messages)
        for expected, came in zip(shown.messages, messages, strict=True):
            self._compare(expected, came)
        assert len(table) == len(shown.table), (shown.statement, table)
        for expected_row, row in zip(shown.table, table, strict=True):
            assert len(expected_row) == len(row)
            for expected, came in zip(expected_row, row, strict=True):
                self._compare(expected, came)

    def run(self, statement: str) -> tuple[list[tuple[str, ...]], list[str]]:
        """The table with its names, and the messages, that come of a statement."""
        self._said.clear()
        try:
            cursor = self._connection.execute(self._meant(statement).encode())
        except psycopg.Error as error:
            return [], [self._error(error), *self._said]
        result = cursor.pgresult
        if cursor.description is None or result is None:
            return [], self._said
        rows = [
            tuple((result.get_value(row, column) or b"").decode().strip() for column in range(result.nfields))
            for row in range(result.ntuples)
        ]
        return [tuple(column.name for column in cursor.description), *rows], self._said

    def _meant(self, text: str) -> str:
        return STANDS_FOR_AN_ID.sub(lambda found: self.ids.get(found[0], found[0]), text)

    def _compare(self, expected: str, came: str) -> None:
        """Compare a text, and learn which ids stand for which."""
        learnt: list[str] = []

        def pattern(part: str) -> str:
            if part == ANYTHING:
                return ".*?"
            if not STANDS_FOR_AN_ID.fullmatch(part):
                return re.escape(part)
            if part in self.ids:
                return re.escape(self.ids[part])
            learnt.append(part)
            return rf"({part[:-3]}\w+)"

        parts = re.split(r"(…|\b[a-z]+_\d{3}\b)", expected)
        found = re.fullmatch("".join(map(pattern, parts)), came, flags=re.DOTALL)
        assert found is not None, f"shown: {expected}\n came: {came}"
        self.ids.update(zip(learnt, found.groups(), strict=True))

    def _error(self, error: psycopg.Error) -> str:
        diag = error.diag
        if diag.message_primary == "Error in python: PlainError":  # as Multicorn says everything
            text = " ".join(self._plain(f"ERROR: {diag.message_detail}").split())
            return text.replace("user request or statement timeout", "statement timeout")
        return self._words(diag)

    def _hear(self, diag: psycopg.errors.Diagnostic) -> None:
        self._said.append(self._words(diag))

    def _words(self, diag: psycopg.errors.Diagnostic) -> str:
        parts = [
            f"{diag.severity}: {diag.message_primary}",
            f"DETAIL: {diag.message_detail}" if diag.message_detail else "",
            f"HINT: {diag.message_hint}" if diag.message_hint else "",
        ]
        return " ".join(self._plain(" ".join(parts)).split())

    def _plain(self, text: str) -> str:
        return text.replace(self._stripe.url.removeprefix("http://"), "api.stripe.com")


@pytest.fixture
def stripe(tmp_path: Path) -> Iterator[SimulatorProcess]:
    """A simulated Stripe for the statements of one page."""
    with SimulatorProcess(customers=30, seed=11, log=tmp_path / "simulator.log") as simulator:
        yield simulator


@pytest.fixture
def page(cluster: Cluster, stripe: SimulatorProcess, host: str) -> Iterator[Page]:
    """A session in a new database as ``init`` leaves it, for the statements of one page."""
    with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
        connection.execute("drop database if exists writing")
        connection.execute("create database writing")
    with psycopg.connect(cluster.dsn("writing"), autocommit=True) as connection:
        options = {"api_base": stripe.url, "max_requests_per_second": "10000"}
        install_into(connection, InstallPlan(host=host, server_options=options, mapping={"api_key": KEY}))
        yield Page(connection, stripe, host)


@pytest.fixture
def file(cluster: Cluster) -> Path:
    """The file that the page copies, where the server can read it."""
    path = cluster.log.parent / "customers.csv"
    path.write_text("email,name\nlea@example.com,Lea\nmax@example.com,Max\n")
    path.chmod(0o644)
    return path


@pytest.mark.timeout(120)
@pytest.mark.parametrize("path", WRITING_PAGES, ids=lambda path: path.stem)
def test_what_the_pages_show_of_writing_is_what_happens(
    page: Page, path: Path, host: str, file: Path
) -> None:
    follow(page, path, blocks(path), host, file)
    if path == WRITING_PAGES[0]:  # other pages show statements on the objects that this one creates
        for other in PAGES:
            if other not in WRITING_PAGES:
                written = [block for block in blocks(other) if block.language == "sql" and writes(block)]
                follow(page, other, written, host, file, given=ORGS)


def follow(page: Page, path: Path, examples: list[Block], host: str, file: Path, given: str = "") -> None:
    """Follow the examples of a page, each after the statements that it takes for granted."""
    for block in examples:
        if block.mark == "bundled host" and host != "bundled":
            continue
        if given:
            page.start_with(given)
        try:
            page.follow(replace(block, text=block.text.replace(FILE, str(file))))
        except BaseException as error:
            error.add_note(f"{path.name}, line {block.line}")
            raise
