"""Whatever options, conditions, values, calls and names hold: a clear error, or the planned requests."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import unquote

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql

from support.database import KEY, WRAPPERS, Server, Servers, options_clause, said
from support.hostile_endpoint import HostileEndpoint, answer, asked_for
from support.hostile_values import json_of, json_values, sql_texts
from support.waiting import hang_guard

INTERNAL = re.compile(r"Traceback|\b(?:Type|Value|Attribute|Key|Index|Recursion|Unicode\w*|Assertion)Error\b")
SERVER_OPTIONS = (
    "api_base",
    "stripe_account",
    "cache_ttl",
    "timeout",
    "max_requests_per_second",
    "use_search",
)
JSONS = json_values(sql_texts()).map(lambda value: json_of(value).decode())
NAMES = sql_texts().filter(lambda name: 0 < len(name.encode()) < 64)  # which Postgres does not cut
# Postgres itself refuses an option whose name has "=", and quotes the name, whatever it holds.
OPTION_NAMES = NAMES.filter(lambda name: "=" not in name)
few = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(scope="module")
def backend(database: str) -> Iterator[psycopg.Connection]:
    """The backend of all tests, which none of them ends."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("set log_statement = 'none'; set statement_timeout = '5s'")
        yield connection
        assert connection.execute("select 1").fetchone() == (1,)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[HostileEndpoint]:
    """An endpoint that answers what is asked for, and notes the requests."""
    endpoint = HostileEndpoint(lambda connection, line: connection.sendall(answer(asked_for(line))))
    yield endpoint
    endpoint.close()


@pytest.fixture(scope="module")
def server(backend: psycopg.Connection, endpoint: HostileEndpoint, host: str) -> Iterator[Server]:
    servers = Servers(backend, host)
    options = {"api_base": endpoint.url, "max_requests_per_second": 10_000, "timeout": 4}
    yield servers("customer", "_call", mapping={"api_key": KEY}, **options)
    servers.drop()


Try = Callable[..., list[str]]


@pytest.fixture
def attempt(backend: psycopg.Connection, endpoint: HostileEndpoint, host: str) -> Try:
    """Run a statement, which may fail with a clear error. Return the requests that it made."""

    def attempt(query: sql.Composable, *values: object) -> list[str]:
        endpoint.requests.clear()
        try:
            with hang_guard(5), backend.transaction(force_rollback=True):
                backend.execute(query, values or None, prepare=False)
        except psycopg.Error as error:
            problem = error
        else:
            return [*endpoint.requests]
        assert problem.sqlstate is not None, problem  # the backend has not ended
        assert not INTERNAL.search(said(problem)), said(problem)
        assert host == "multicorn2" or not problem.sqlstate.startswith("XX"), said(problem)
        assert KEY not in f"{said(problem)} {problem.diag.context}"
        return [*endpoint.requests]

    return attempt


@few
@given(options=st.dictionaries(st.sampled_from(SERVER_OPTIONS) | OPTION_NAMES, sql_texts(), max_size=3))
def test_odd_options_are_refused_or_kept(attempt: Try, host: str, options: dict[str, str]) -> None:
    own = dict(options)
    if host == "multicorn2":
        own["wrapper"] = "stripe_fdw.StripeForeignDataWrapper"
    wrapper = sql.Identifier(WRAPPERS[host])
    create = sql.SQL("create server fuzzed foreign data wrapper {} {}").format(wrapper, options_clause(own))
    assert attempt(create) == []


@few
@given(
    column=st.sampled_from(["id", "id", "email", "name", "description", "test_clock"]),
    values=st.lists(sql_texts(), min_size=1, max_size=3),
)
def test_odd_conditions_lead_to_no_other_path(
    attempt: Try, server: Server, column: str, values: list[str]
) -> None:
    table = sql.Identifier(server.name, "customer")
    for query, value in (
        ("select id from {} where {} = %s", values[0]),
        ("select id from {} where {} = any(%s)", values),
    ):
        for request in attempt(sql.SQL(query).format(table, sql.Identifier(column)), value):
            path = request.removeprefix("GET ").partition("?")[0]
            identifier = path.removeprefix("/v1/customers").removeprefix("/")
            assert path.startswith("/v1/customers")
            assert "/" not in identifier
            assert identifier == "" or (column == "id" and unquote(identifier) in values)


@few
@given(email=sql_texts(), metadata=JSONS, params=JSONS, key=sql_texts())
def test_odd_values_are_sent_to_their_own_object(
    attempt: Try, server: Server, email: str, metadata: str, params: str, key: str
) -> None:
    insert = sql.SQL(
        "insert into {} (email, metadata, _params, _idempotency_key) values (%s, %s, %s, nullif(%s, ''))"
    ).format(sql.Identifier(server.name, "customer"))
    assert set(attempt(insert, email, metadata, params, key)) <= {"POST /v1/customers"}
    update = sql.SQL("update {} set email = %s, metadata = %s where id = 'cus_1'").format(
        sql.Identifier(server.name, "customer")
    )
    paths = {request.partition("?")[0] for request in attempt(update, email, metadata)}
    assert paths <= {"GET /v1/customers/cus_1", "POST /v1/customers/cus_1"}


SEGMENTS = st.sampled_from(["v1", "v2", "customers", "charges", "cus_1"]) | sql_texts(10)
PATHS = st.lists(SEGMENTS, max_size=4).map(lambda parts: "/" + "/".join(parts)) | sql_texts()


@few
@given(method=st.sampled_from(["GET", "POST", "DELETE"]) | NAMES, path=PATHS, params=JSONS | sql_texts())
def test_odd_calls_go_to_the_path_that_they_name(
    attempt: Try, server: Server, method: str, path: str, params: str
) -> None:
    table = sql.Identifier(server.name, "_call")
    read = sql.SQL("select response from {} where method = %s and path = %s and params = %s").format(table)
    write = sql.SQL("insert into {} (method, path, params) values (%s, %s, %s)").format(table)
    for statement in (read, write):
        paths = {request.partition("?")[0] for request in attempt(statement, method, path, params)}
        assert paths <= {f"{method} {path}"}


@few
@given(schema=st.just("stripe") | NAMES, names=st.lists(st.just("customer") | NAMES, min_size=1, max_size=2))
def test_odd_names_are_imported_or_refused(
    attempt: Try, server: Server, schema: str, names: list[str]
) -> None:
    statement: Any = sql.SQL("import foreign schema {} limit to ({}) from server {} into {}").format(
        sql.Identifier(schema),
        sql.SQL(", ").join(map(sql.Identifier, names)),
        sql.Identifier(server.name),
        sql.Identifier("pg_temp"),
    )
    assert attempt(statement) == []
