"""The pages on writing, run from top to bottom on each host: every result is the one that is shown."""

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
from support.simulators import Simulators

KEY = "sk_test_51KeyOfTheDocsOfWriting0"
FILE = "/srv/customers.csv"
PLACEHOLDER_ID = re.compile(r"\b([a-z]+)_(\d{3})\b")
ANYTHING = "…"


# The table that the quickstart creates, and other pages use.
ORGS = "drop table if exists orgs cascade; create table orgs (id int primary key, name text, stripe_id text)"


class Page:
    """A page that is run from top to bottom, in which ids such as cus_123 stand for actual ones."""

    def __init__(self, connection: psycopg.Connection, stripe: SimulatorProcess, host: str) -> None:
        self.ids: dict[str, str] = {}
        self._connection = connection
        self._stripe = stripe
        self._host = host
        self._notices: list[str] = []
        connection.add_notice_handler(self._record_notice)

    def prepare(self, statements: str) -> None:
        """Run statements that an example relies on."""
        self._connection.execute(statements.encode())

    def run_block(self, block: Block) -> None:
        """Run a block of code, and compare each result with the one that is shown."""
        if block.mark.startswith("fault: "):
            self._stripe.control("POST", "/faults", json.loads(block.mark.removeprefix("fault: ")))
        if block.language == "sql":
            self._connection.execute(self._with_actual_ids(block.text).encode())
        elif block.language == "python":
            exec(dedent(self._with_actual_ids(block.text)), {"connection": self._connection})
        else:
            for shown in session(block):
                self.compare(shown)
        self._stripe.control("DELETE", "/faults")

    def compare(self, shown: Shown) -> None:
        """Run a statement, and compare its rows and messages with those that are shown."""
        table, messages = self.run(shown.statement)
        assert len(messages) == len(shown.messages), (shown.statement, messages)
        for expected, actual in zip(shown.messages, messages, strict=True):
            self._compare_text(expected, actual)
        assert len(table) == len(shown.table), (shown.statement, table)
        for expected_row, row in zip(shown.table, table, strict=True):
            assert len(expected_row) == len(row)
            for expected, actual in zip(expected_row, row, strict=True):
                self._compare_text(expected, actual)

    def run(self, statement: str) -> tuple[list[tuple[str, ...]], list[str]]:
        """Run a statement; return its rows, the column names first, and its messages."""
        self._notices.clear()
        try:
            cursor = self._connection.execute(self._with_actual_ids(statement).encode())
        except psycopg.Error as error:
            return [], [self._error_text(error), *self._notices]
        result = cursor.pgresult
        if cursor.description is None or result is None:
            return [], self._notices
        rows = [
            tuple((result.get_value(row, column) or b"").decode().strip() for column in range(result.nfields))
            for row in range(result.ntuples)
        ]
        return [tuple(column.name for column in cursor.description), *rows], self._notices

    def _with_actual_ids(self, text: str) -> str:
        return PLACEHOLDER_ID.sub(lambda match: self.ids.get(match[0], match[0]), text)

    def _compare_text(self, expected: str, actual: str) -> None:
        """Compare a text, and record the actual ids for those that are new."""
        new_ids: list[str] = []

        def pattern(part: str) -> str:
            if part == ANYTHING:
                return ".*?"
            if not PLACEHOLDER_ID.fullmatch(part):
                return re.escape(part)
            if part in self.ids:
                return re.escape(self.ids[part])
            new_ids.append(part)
            return rf"({part[:-3]}\w+)"

        parts = re.split(r"(…|\b[a-z]+_\d{3}\b)", expected)
        match = re.fullmatch("".join(map(pattern, parts)), actual, flags=re.DOTALL)
        assert match is not None, f"shown: {expected}\nactual: {actual}"
        self.ids.update(zip(new_ids, match.groups(), strict=True))

    def _error_text(self, error: psycopg.Error) -> str:
        diag = error.diag
        if diag.message_primary == "Error in python: PlainError":  # the only message under Multicorn2
            text = " ".join(self._with_api_host(f"ERROR: {diag.message_detail}").split())
            text = text.replace("<schema>.", "stripe_live.")  # Multicorn2 does not say which it is
            return text.replace("user request or statement timeout", "statement timeout")
        return self._message(diag)

    def _record_notice(self, diag: psycopg.errors.Diagnostic) -> None:
        self._notices.append(self._message(diag))

    def _message(self, diag: psycopg.errors.Diagnostic) -> str:
        parts = [
            f"{diag.severity}: {diag.message_primary}",
            f"DETAIL: {diag.message_detail}" if diag.message_detail else "",
            f"HINT: {diag.message_hint}" if diag.message_hint else "",
        ]
        return " ".join(self._with_api_host(" ".join(parts)).split())

    def _with_api_host(self, text: str) -> str:
        return text.replace(self._stripe.url.removeprefix("http://"), "api.stripe.com")


@pytest.fixture
def stripe(simulators: Simulators) -> SimulatorProcess:
    """A simulated Stripe for the statements of one page."""
    return simulators(customers=30, seed=11)


@pytest.fixture
def page(host_cluster: Cluster, stripe: SimulatorProcess, host: str) -> Iterator[Page]:
    """A session in a new database after ``init``, for the statements of one page."""
    with psycopg.connect(host_cluster.dsn(), autocommit=True) as connection:
        connection.execute("drop database if exists writing")
        connection.execute("create database writing")
    with psycopg.connect(host_cluster.dsn("writing"), autocommit=True) as connection:
        options = {"api_base": stripe.url, "max_requests_per_second": "10000"}
        install_into(connection, InstallPlan(host=host, server_options=options, mapping={"api_key": KEY}))
        yield Page(connection, stripe, host)


@pytest.fixture
def file(host_cluster: Cluster) -> Path:
    """The file that a page copies, in a directory that the server can read."""
    path = host_cluster.log.parent / "customers.csv"
    path.write_text("email,name\nlea@example.com,Lea\nmax@example.com,Max\n")
    path.chmod(0o644)
    return path


@pytest.mark.timeout(120)
@pytest.mark.parametrize("path", WRITING_PAGES, ids=lambda path: path.stem)
def test_the_results_of_a_page_on_writing(page: Page, path: Path, host: str, file: Path) -> None:
    run_examples(page, path, blocks(path), host, file)
    if path == WRITING_PAGES[0]:  # other pages use objects that this one creates
        for other in PAGES:
            if other not in WRITING_PAGES:
                written = [block for block in blocks(other) if block.language == "sql" and writes(block)]
                run_examples(page, other, written, host, file, before_each=ORGS)


def run_examples(
    page: Page, path: Path, examples: list[Block], host: str, file: Path, before_each: str = ""
) -> None:
    """Run the examples of a page, each after the statements ``before_each``."""
    for block in examples:
        if block.mark == "bundled host" and host != "bundled":
            continue
        if before_each:
            page.prepare(before_each)
        try:
            page.run_block(replace(block, text=block.text.replace(FILE, str(file))))
        except BaseException as error:
            error.add_note(f"{path.name}, line {block.line}")
            raise
