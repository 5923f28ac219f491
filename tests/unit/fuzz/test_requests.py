"""Whatever options, ids, filters, parameters and paths hold: requests go where they are planned to go."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, get_args
from urllib.parse import parse_qsl, unquote, urlsplit

import orjson
from hypothesis import example, given, settings
from hypothesis import strategies as st
from urllib3.util import parse_url

from stripe_fdw.api.api_base import check_api_base, is_foreign, is_loopback
from stripe_fdw.api.client import _PATH
from stripe_fdw.api.request import Request
from stripe_fdw.catalog import load
from stripe_fdw.exact_json import loads
from stripe_fdw.fdw.planning.plan import FanOut, ReadPlan, Search
from stripe_fdw.fdw.planning.planner import plan_read
from stripe_fdw.fdw.planning.quals import Qual, normalise
from stripe_fdw.fdw.schema.import_schema import import_statements
from stripe_fdw.fdw.schema.options import VALID, OptionContext, check_merged_options, validate_options
from stripe_fdw.fdw.tables.call import plan_read_call, plan_write_call
from stripe_fdw.fdw.writing.plan.planner import plan_insert, plan_update
from stripe_fdw.fdw.writing.plan.row_plan import RowPlan
from stripe_fdw.object_ids import is_safe_path
from stripe_fdw.redaction import Secret, redact, redact_beginning
from stripe_fdw.sql_quoting import quote_identifier
from support.clear_errors import clear_errors
from support.hostile_values import KEY, json_of, json_values, sql_texts, texts

SECRET = Secret(KEY)  # which is masked from now on
OPTION_NAMES = sorted({name for names in VALID.values() for name in names})
READ_TABLES = (
    "customer",
    "subscription",
    "invoice",
    "subscription_item",
    "product",
    "customer_balance_transaction",
)
WRITTEN_TABLES = ("customer", "subscription", "invoice", "product", "subscription_item")


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(get_args(OptionContext)),
    st.dictionaries(st.sampled_from(OPTION_NAMES) | texts(), texts(), max_size=3),
)
def test_options_are_valid_or_refused_without_a_key(context: OptionContext, options: dict[str, str]) -> None:
    with clear_errors(KEY):
        validate_options(context, options)
    with clear_errors(KEY):
        check_merged_options(options)


PIECES = (
    *(
        "http:",
        "https:",
        "//",
        "/",
        "\\",
        "@",
        ":",
        "#",
        "?",
        "[",
        "]",
        "%2f",
        "%00",
        ".",
        "\t",
        "\n",
        "\xad",
        "a",
    ),
    *("127.0.0.1", "localhost", "evil.example", "api.stripe.com", "::1", "80", "0"),
)
ADDRESSES = st.lists(st.sampled_from(PIECES), min_size=2, max_size=8).map("".join)


@settings(max_examples=300, deadline=None)
@given(st.builds("{}//{}".format, st.sampled_from(["http:", "https:"]), ADDRESSES) | ADDRESSES | texts())
@example("http://127.0.0.1\\@evil.example")
@example("http://127.0.0.1%2f@evil.example")
@example("https://api.stripe.com:")
def test_an_address_leads_where_it_was_checked_to_lead(text: str) -> None:
    with clear_errors(KEY):
        checked = check_api_base(text)
        parts, seen = urlsplit(checked), parse_url(checked)
        host = (parts.hostname or "").lower()
        assert (seen.host or "").strip("[]").lower() == host
        assert seen.scheme == "https" or is_loopback(host)
        assert is_foreign(checked) is (
            host != "api.stripe.com" or parts.port not in (None, 443)
        ) or is_loopback(host)


def assert_within(template: str, path: str) -> None:
    """Check that a path has the template's segments, and one for each of its ids that leads nowhere else."""
    assert _PATH.fullmatch(path)
    assert is_safe_path(path)
    wanted, segments = template.split("/"), path.split("/")
    assert len(wanted) == len(segments)
    for segment, want in zip(segments, wanted, strict=True):
        assert segment == want or want.startswith("{")
        assert unquote(segment) not in (".", "..", "") or segment == want == ""


SCALARS = st.one_of(sql_texts(), st.integers(-5, 2**63), st.booleans(), st.none())


def requests_of(plan: ReadPlan) -> list[Request]:
    """The requests that a plan knows before any answer."""
    access: Any = plan.access
    parts = [access, *(getattr(access, name, None) for name in ("listed", "retrieved"))]
    found = [fetch.request for part in parts if part for fetch in getattr(part, "fetches", ())]
    if isinstance(access, FanOut):
        return requests_of(access.parents)
    return found + ([access.fetch.request] if isinstance(access, Search) else [])


@st.composite
def quals(draw: st.DrawFn) -> tuple[str, list[Qual]]:
    name = draw(st.sampled_from(READ_TABLES))
    columns = [column.name for column in load().resource[name].columns]
    favoured = st.sampled_from(["id", *(item.column for item in load().resource[name].filters)])
    made = []
    for column in draw(st.lists(favoured | st.sampled_from(columns), min_size=1, max_size=3)):
        if draw(st.booleans()):
            made.append(Qual(column, "= any", tuple(draw(st.lists(SCALARS, max_size=3)))))
        else:
            made.append(Qual(column, draw(st.sampled_from(["=", "=", "<", ">=", "<>"])), draw(SCALARS)))
    return name, made


@settings(max_examples=250, deadline=None)
@given(quals())
def test_a_read_asks_for_its_own_paths_whatever_the_quals(case: tuple[str, list[Qual]]) -> None:
    name, conditions = case
    resource = load().resource[name]
    with clear_errors(KEY):
        plan = plan_read(resource, normalise(conditions, dict(resource.column)), resources=load().resource)
        for request in requests_of(plan):
            assert request.method == "GET"
            assert_within(request.endpoint, request.path)
            assert urlsplit(f"http://h{request.target}").path == request.path
            assert parse_qsl(request.query, keep_blank_values=True) == list(request.params)
            assert all(re.fullmatch(r"[a-z_]+(\[[a-z_0-9.]*\])*", key) for key, _ in request.params)


PLAIN_COLUMNS = ("id", "email", "name", "description", "customer", "metadata", "_params", "_idempotency_key")


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(WRITTEN_TABLES),
    st.dictionaries(st.sampled_from(PLAIN_COLUMNS), sql_texts() | json_values(sql_texts()), max_size=4),
    sql_texts(),
)
def test_a_write_goes_to_its_own_path_whatever_the_values(
    name: str, row: dict[str, Any], identifier: str
) -> None:
    resource = load().resource[name]
    values = loads(json_of(row))
    known = {key: value for key, value in values.items() if key in resource.column or key.startswith("_")}
    plans: list[Callable[[], RowPlan]] = [
        lambda: plan_insert(resource, known),
        lambda: plan_update(resource, {"id": identifier}, known),
    ]
    for make in plans:
        with clear_errors(KEY):
            for planned in make().requests:
                request = planned.request
                assert_within(request.endpoint, request.path)
                sent = parse_qsl(request.query, keep_blank_values=True, strict_parsing=bool(request.query))
                assert sent == list(request.params)


METHODS = st.sampled_from(["GET", "POST", "DELETE", "PUT", "get", "GET\r\nX: y"])
SEGMENTS = st.sampled_from(
    ["v1", "v2", "customers", "charges", "search", "cus_1", "core", "accounts"]
) | sql_texts(10)
PATHS = st.lists(SEGMENTS, max_size=5).map(lambda parts: "/" + "/".join(parts)) | sql_texts()


@settings(max_examples=250, deadline=None)
@given(
    METHODS,
    PATHS,
    st.one_of(sql_texts(), json_values(sql_texts()).map(lambda value: json_of(value).decode())),
)
@example("GET", "/v1/customers/..;/charges", "{}")
@example("GET", "/v1/customers", '{"a":' * 3000 + "1" + "}" * 3000)
@example("POST", "/v1/customers", '{"a":' * 500 + "1" + "}" * 500)
@example("POST", "/v2/core/accounts", '{"a":' * 500 + "1" + "}" * 500)
def test_a_call_goes_to_the_path_that_it_names(method: str, path: str, params: str) -> None:
    with clear_errors(KEY):
        read = plan_read_call(
            [Qual("method", "=", method), Qual("path", "=", path), Qual("params", "=", params)]
        )
        assert read is not None
        assert read.request.path == path
        assert_within(read.request.endpoint, path)
    with clear_errors(KEY):
        written = plan_write_call({"method": method, "path": path, "params": params})
        request = written.plan.requests[0].request
        assert (request.method, request.path) == (method, path)
        assert_within(request.endpoint, path)
        assert orjson.loads(request.body or "{}") or parse_qsl(request.query) is not None


@settings(max_examples=100, deadline=None)
@given(
    texts(),
    st.sampled_from(["stripe", "billing"]) | texts(),
    st.sampled_from(["limit to", "except", None]),
    st.lists(st.sampled_from(["customer", "invoice"]) | texts(), max_size=3),
)
def test_an_import_makes_commands_of_known_tables_alone(
    server: str, schema: str, restriction: Any, names: list[str]
) -> None:
    with clear_errors(KEY):
        for statement in import_statements(schema, server, {}, restriction, names):
            made = re.match(r'CREATE FOREIGN TABLE [a-z_0-9"]+ \(', statement, re.IGNORECASE)
            assert made
            assert f"\n) SERVER {quote_identifier(server)} OPTIONS (" in statement


@settings(max_examples=200, deadline=None)
@given(texts(60), texts(60), st.integers(0, 80))
def test_a_remembered_key_is_masked_wherever_it_stands(before: str, after: str, cut: int) -> None:
    for text in (before + KEY + after, f"{before}{KEY}{KEY}{after}"):
        assert KEY not in redact(text)
        assert KEY not in redact_beginning(text, cut)
        assert redact(redact(text)) == redact(text)
