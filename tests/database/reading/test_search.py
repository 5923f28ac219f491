"""With ``use_search``, what no list filters by is searched for: the rows, EXPLAIN, and the requests made."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from urllib.parse import unquote_plus

import psycopg
import pytest
from psycopg import sql

from stripe_simulator.process import SimulatorProcess
from support.database import KEY, Servers, column, create, one, rows
from support.simulators import Simulators

DELAY = 0.3  # seconds
TABLES = ("customer", "charge", "product", "subscription", "_call")
# Names and values of metadata: letter case, words in common, quotes, escapes, other scripts, and NULL.
CUSTOMERS = (
    ("Ada Lovelace", "a-1"),
    ("ada lovelace", "A-1"),
    ("Ada", "a-1 b"),
    ('Ada "Countess" Lovelace', 'say "hi"'),
    ("Rocket Rides", "C:\\temp\\x"),
    ("rocketrides", "it's"),
    ("İstanbul Rides", "null"),
    ("Łukasz Żółw", "żółw"),
    ("100% Ada_", "5"),
    ("???", "..."),
)
ORGS = "(values (1, 'a-1'), (2, 'say \"hi\"'), (3, 'nothing'), (4, null)) as o (id, ref)"


@pytest.fixture(scope="module")
def stripe(simulators: Simulators) -> SimulatorProcess:
    """A simulated Stripe with customers of our own among its generated ones."""
    simulator = simulators("search", customers=120, seed=7, search_delay_ms=DELAY * 1000)
    for name, ref in CUSTOMERS:
        create(simulator, "customers", {"name": name, "metadata[ref]": ref, "metadata[all]": "x"})
    time.sleep(DELAY)
    return simulator


@dataclass
class Stripe:
    """Tables that search, a plain copy of them, and the requests that are made."""

    db: psycopg.Connection
    schema: str
    host: str
    requests: Callable[[], list[str]]

    def text(self, query: str) -> str:
        return query.replace("SCHEMA.", f"{self.schema}.")

    def ask(self, query: str) -> list[str]:
        """Check that the query gives a plain table's rows; return the requests that it made."""
        self.requests()
        live = rows(self.db, self.text(query))
        made = self.requests()
        plain = rows(self.db, query.replace("SCHEMA.", "plain_search."))
        assert sorted(live, key=repr) == sorted(plain, key=repr)
        return made

    def plan(self, query: str) -> str:
        return "\n".join(map(str, column(self.db, f"explain (costs off) {self.text(query)}")))


@pytest.fixture(scope="module")
def searched(database: str, host: str, stripe: SimulatorProcess) -> Iterator[str]:
    with psycopg.connect(database, autocommit=True) as connection:
        servers = Servers(connection, host)
        options = {"api_base": stripe.url, "max_requests_per_second": 10_000, "use_search": "on"}
        schema = servers(*TABLES, mapping={"api_key": KEY}, **options).name
        connection.execute("drop schema if exists plain_search cascade; create schema plain_search")
        for table in TABLES[:-1]:
            connection.execute(f"create table plain_search.{table} as select * from {schema}.{table}")
        yield schema
        servers.drop()
        connection.execute("drop schema plain_search cascade")


@pytest.fixture
def live(db: psycopg.Connection, searched: str, host: str, stripe: SimulatorProcess) -> Stripe:
    def requests() -> list[str]:
        log = stripe.requests()
        stripe.control("DELETE", "/requests")
        return [f"{item['path']}?{unquote_plus(item['query_string'])}" for item in log]

    return Stripe(db, searched, host, requests)


@pytest.fixture
def writing(live: Stripe, database: str) -> Iterator[Stripe]:
    """A session of its own: what it writes is asked for by its later searches."""
    with psycopg.connect(database, autocommit=True) as connection:
        yield replace(live, db=connection)


def search(*queries: str, path: str = "customers") -> list[str]:
    return [f"/v1/{path}/search?query={query}&limit=100" for query in queries]


# The condition, and the query that finds its rows on the bundled host: Multicorn2 passes no `->>`.
INSIDE_JSON = [
    ("metadata ->> 'ref' = 'a-1'", 'metadata["ref"]:"a-1"'),
    ("'a-1' = metadata ->> 'ref'", 'metadata["ref"]:"a-1"'),
    ("metadata ->> 'ref' = 'say \"hi\"'", 'metadata["ref"]:"say \\"hi\\""'),
    ("metadata -> 'ref' = '\"a-1\"'", 'metadata["ref"]:"a-1"'),
    ("metadata ->> 'ref' in ('a-1', 'żółw')", 'metadata["ref"]:"a-1" OR metadata["ref"]:"żółw"'),
    (
        "metadata ->> 'ref' = 'a-1' or metadata ->> 'ref' = '5'",
        'metadata["ref"]:"a-1" OR metadata["ref"]:"5"',
    ),
    ("metadata ->> 'ref' = any (array['5', null, '5'])", 'metadata["ref"]:"5"'),
    (
        "metadata ->> 'ref' = 'a-1' and metadata ->> 'all' = 'x'",
        'metadata["ref"]:"a-1" AND metadata["all"]:"x"',
    ),
    ("(metadata ->> 'ref')::varchar = 'a-1'::varchar", 'metadata["ref"]:"a-1"'),
    (
        "metadata ->> 'ref' = 'a-1' and created > '2020-01-01Z'",
        'metadata["ref"]:"a-1" AND created>1577836800',
    ),
]


@pytest.mark.parametrize(("condition", "query"), INSIDE_JSON)
def test_a_text_inside_metadata_is_searched_for(live: Stripe, condition: str, query: str) -> None:
    made = live.ask(f"select id, name from SCHEMA.customer where {condition}")
    if live.host == "bundled":
        assert made == search(query)
    else:
        assert not any("search" in request for request in made)


# Whose rows a search might miss, so that the list is read.
LISTED = [
    "metadata ->> 'ref' = 'C:\\temp\\x'",
    "metadata ->> 'ref' = 'null'",
    "metadata ->> 'ref' = '...'",
    "metadata ->> 'ref' = ''",
    "metadata ->> 'ref' = ' a-1'",
    "metadata ->> 'ref' in ('a-1', '...')",
    "metadata ->> 'a\"b' = 'x'",
    "metadata ->> 'ref' <> 'a-1'",
    "metadata ->> 'none' is null",
    "metadata -> 'ref' = '5'",
    "metadata -> 'ref' = 'null'",
    "metadata -> 'ref' in ('\"a-1\"', 'null')",
    "metadata ->> lower('REF') || '' = 'a-1'",
    "(metadata ->> 'ref')::text collate ignoring = 'A-1'",
    "name = '???'",
    "name ilike '%?%'",
    "name ilike '%da%'",
    "name not ilike '%lace%'",
    "name ~ 'lace'",
    "metadata ->> 'ref' = 'a-1' or name = 'Ada'",
    "not metadata ->> 'ref' = 'a-1'",
]


@pytest.mark.parametrize("condition", LISTED)
def test_what_a_search_might_miss_is_listed(live: Stripe, condition: str) -> None:
    if "collate" in condition:
        try:
            live.db.execute("create collation if not exists ignoring (provider = icu, deterministic = false,"
                            " locale = 'und-u-ks-level2')")  # fmt: skip
        except psycopg.errors.FeatureNotSupported:
            condition = condition.replace("collate ignoring = 'A-1'", "<> 'A-1'")
    made = live.ask(f"select id, name from SCHEMA.customer where {condition}")
    assert made
    assert not any("search" in request for request in made)


def test_no_request_is_made_for_what_is_never_true(live: Stripe) -> None:
    for condition in (
        "metadata ->> 'ref' = null::text || 'x'",
        "metadata ->> 'ref' = any (null::text[])",
        "metadata ->> 'ref' = any (array[null]::text[])",
        "metadata -> 'ref' = null::jsonb",
    ):
        made = live.ask(f"select id from SCHEMA.customer where {condition}")
        assert made == [] or live.host == "multicorn2"


def test_a_containment_is_searched_for_on_both_hosts(live: Stripe) -> None:
    query = 'select id from SCHEMA.customer where metadata @> \'{"ref": "a-1", "all": "x"}\''
    assert live.ask(query) == search('metadata["all"]:"x" AND metadata["ref"]:"a-1"')
    assert live.ask("select id from SCHEMA.customer where metadata @> '\"a-1\"'") != []


# What is searched for of a pattern: no i, whose letter case differs between languages, in ILIKE.
PATTERNS = [
    ("name ilike '%LOVELACE%'", 'name~"LOVELACE"'),
    ("name ilike '%rocket rides%'", 'name~"rocket" AND name~"des"'),
    ("name ilike '%stanbul%'", 'name~"stanbul"'),
    ("name like '%Rides'", 'name~"Rides"'),
    ("name like '100\\% Ad%'", 'name~"100"'),
    ("name like 'Ada%' and name like '%lace'", 'name~"Ada" AND name~"lace"'),
    ("email ilike 'user1_@%' and name like 'A%'", 'email~"user1"'),
]


@pytest.mark.parametrize(("condition", "query"), PATTERNS)
def test_words_of_a_pattern_are_searched_for(live: Stripe, condition: str, query: str) -> None:
    assert live.ask(f"select id, name from SCHEMA.customer where {condition}") == search(query)


def test_a_product_is_found_by_a_part_of_its_name(live: Stripe) -> None:
    name = str(one(live.db, live.text("select name from SCHEMA.product limit 1")))
    word = max((word for word in name.split() if word.isalpha()), key=len)
    condition = sql.SQL("name like {}").format(sql.Literal(f"%{word}%")).as_string(live.db)
    expected = search(f'name~"{word}"', path="products")
    assert live.ask(f"select id from SCHEMA.product where {condition}") == expected


def test_a_card_is_found_by_what_lies_deeper(live: Stripe) -> None:
    last4 = one(
        live.db, live.text("select payment_method_details -> 'card' ->> 'last4' from SCHEMA.charge limit 1")
    )
    made = live.ask(
        f"select id from SCHEMA.charge where payment_method_details -> 'card' ->> 'last4' = '{last4}'"
    )
    if live.host == "bundled":
        assert made[0] == search(f'payment_method_details.card.last4:"{last4}"', path="charges")[0]
        assert len(made) == len([request for request in made if "/search" in request])


def test_a_list_by_what_few_objects_share_comes_before_a_search(live: Stripe) -> None:
    customer = one(live.db, live.text("select customer from SCHEMA.subscription limit 1"))
    tier = 'metadata @> \'{"tier": "gold"}\''
    made = live.ask(f"select id from SCHEMA.subscription where customer = '{customer}' and {tier}")
    assert [request.partition("?")[0] for request in made] == ["/v1/subscriptions"]
    made = live.ask(f"select id from SCHEMA.subscription where status = 'active' and {tier}")
    assert made[0] == search('metadata["tier"]:"gold" AND status:"active"', path="subscriptions")[0]


def test_a_value_with_other_conditions_is_a_query_each(live: Stripe) -> None:
    values = "metadata ->> 'ref' in ('a-1', 'A-1', 'żółw')"
    made = live.ask(f"select id from SCHEMA.customer where {values} and created > '2020-01-01Z'")
    both = "created>1577836800"
    if live.host == "multicorn2":  # which passes the range alone
        assert made[0] == "/v1/customers?created[gt]=1577836800&limit=100"
        return
    expected = search(*(f'metadata["ref"]:"{value}" AND {both}' for value in ("a-1", "A-1", "żółw")))
    assert sorted(made) == sorted(expected)
    many = ", ".join(f"'{number}'" for number in range(25))
    made = live.ask(f"select id from SCHEMA.customer where metadata ->> 'ref' in ({many})")
    assert sorted(request.count(" OR ") for request in made) == [4, 9, 9]
    too_many = ", ".join(f"'{number}'" for number in range(2000))
    made = live.ask(f"select id from SCHEMA.customer where metadata ->> 'ref' in ({too_many})")
    assert not any("search" in request for request in made)


def test_explain_tells_of_the_delay(live: Stripe) -> None:
    plan = live.plan('select id from SCHEMA.customer where metadata @> \'{"ref": "a-1"}\'')
    assert "Stripe Search Index: delayed, so recent changes may be missing" in plan
    assert 'Stripe Pushed: metadata @> \'{"ref":"a-1"}\'' in plan
    if live.host == "bundled":
        plan = live.plan("select id from SCHEMA.customer where metadata ->> 'ref' = 'a-1'")
        assert "Stripe Pushed: metadata ->> 'ref' = 'a-1'" in plan
        assert "Filter: ((metadata ->> 'ref'::text) = 'a-1'::text)" in plan
        plan = live.plan("select id from SCHEMA.customer where metadata ->> 'ref' = '...'")
        assert "Stripe Checked Locally: metadata ->> 'ref' = '...'" in plan
        assert "Search Index" not in plan


def test_without_the_option_nothing_is_searched(db: psycopg.Connection, live: Stripe) -> None:
    db.execute(f"alter server {live.schema} options (set use_search 'off')")
    made = live.ask("select id from SCHEMA.customer where metadata ->> 'ref' = 'a-1' and name ilike '%ada%'")
    assert not any("search" in request for request in made)
    db.execute(f"alter server {live.schema} options (set use_search 'on')")


def test_parameters_are_searched_for_under_generic_plans(live: Stripe) -> None:
    live.db.execute("set plan_cache_mode = force_generic_plan")
    query = "select count(*) from SCHEMA.customer where metadata ->> $1 = $2"
    live.db.execute(f"prepare wanted (text, text) as {live.text(query)}".encode())
    live.requests()
    assert one(live.db, "execute wanted ('ref', 'a-1')") == 1
    assert one(live.db, "execute wanted (null, 'a-1')") == 0
    assert one(live.db, "execute wanted ('ref', null)") == 0
    made = live.requests()
    if live.host == "bundled":
        assert made == search('metadata["ref"]:"a-1"')
    assert one(live.db, "execute wanted ('ref', '...')") == 1
    live.db.execute("deallocate wanted; reset plan_cache_mode")


def test_a_join_searches_for_each_value(live: Stripe) -> None:
    live.db.execute("set enable_hashjoin = off; set enable_mergejoin = off; set enable_material = off")
    query = f"select o.id, c.name from {ORGS} left join SCHEMA.customer c on c.metadata ->> 'ref' = o.ref"
    made = live.ask(query)
    if live.host == "bundled":
        expected = search(*(f'metadata["ref"]:"{ref}"' for ref in ("a-1", 'say \\"hi\\"', "nothing")))
        assert sorted(made) == sorted(expected)  # several are under way
        assert "metadata ->> 'ref' = <join value>" in live.plan(query)
    numbers = "(values (5), (6)) as o (id) left join SCHEMA.customer c"
    made = live.ask(f"select o.id, c.name from {numbers} on c.metadata ->> 'ref' = o.id::text")
    if live.host == "bundled":
        assert sorted(made) == search('metadata["ref"]:"5"', 'metadata["ref"]:"6"')
    live.ask(f"select o.id, c.name from {ORGS} join SCHEMA.customer c on o.ref = c.metadata ->> 'ref'")
    live.ask(f"select o.id, c.name from {ORGS} full join SCHEMA.customer c on o.ref = c.metadata ->> 'ref'")


# Queries in which the condition stands otherwise than in WHERE with constants.
ELSEWHERE = [
    "select v.id from (select id, metadata ->> 'ref' as ref from SCHEMA.customer) v where v.ref = 'a-1'",
    "select id from SCHEMA.customer where metadata ->> 'ref' = (select max('a-1'))",
    "select id from SCHEMA.customer where metadata ->> 'ref' = any (select unnest(array['a-1', '5']))",
    f"select o.id from {ORGS}"
    " where exists (select from SCHEMA.customer c where c.metadata ->> 'ref' = o.ref)",
    f"select o.id, x.id from {ORGS}, lateral (select c.id from SCHEMA.customer c"
    " where c.metadata ->> 'ref' = o.ref || '') x",
    "select id from SCHEMA.customer where metadata ->> 'ref' = 'a-1' union all select id from SCHEMA.charge"
    " where metadata ->> 'none' = 'x'",
    "select a.id, b.id from SCHEMA.customer a"
    " join SCHEMA.customer b on a.metadata ->> 'ref' = b.metadata ->> 'ref'",
    "select a.id from SCHEMA.customer a join SCHEMA.customer b on a.name = b.metadata ->> 'ref'",
    "select id from SCHEMA.customer where metadata ->> 'ref' = name",
    "select id from SCHEMA.customer where metadata ->> 'ref' = 'a-1'::name",
    "select id from SCHEMA.customer where metadata ->> 'ref' = 'a-1 '::char(9)",
    "select id from SCHEMA.customer where (metadata ->> 'ref')::char(9) = 'a-1'",
    "select id from SCHEMA.customer where (metadata ->> 'ref')::varchar(2) = 'a-'",
    "select id from SCHEMA.customer where metadata ->> 'ref' = 'a-1' and metadata ->> 'ref' = 'x'",
    "select id from SCHEMA.customer where metadata -> 'ref' ->> 'deeper' = 'a-1'",
    "select id from SCHEMA.customer where metadata -> 0 = '\"a-1\"' or metadata ->> 0 = 'a-1'",
    "select id from SCHEMA.customer where metadata" + 10 * " -> 'a'" + " ->> 'b' = '1'",
    "select count(*) from SCHEMA.customer where (metadata ->> 'ref' = 'a-1') is not true",
    "select count(*) from SCHEMA.customer where case when metadata ->> 'ref' = 'a-1' then true end",
    "select name from SCHEMA.customer where metadata ->> 'all' = 'x' order by created desc, id limit 3",
    "select metadata ->> 'ref', count(*) from SCHEMA.customer where metadata ->> 'all' = 'x' group by 1",
]


@pytest.mark.parametrize("query", ELSEWHERE)
def test_wherever_the_condition_stands_rows_are_those_of_a_plain_table(live: Stripe, query: str) -> None:
    live.ask(query)
    live.db.execute("set enable_hashjoin = off; set enable_mergejoin = off; set enable_material = off")
    live.ask(query)


def test_operators_of_users_are_not_taken_for_those_of_postgres(live: Stripe) -> None:
    live.db.execute(
        "create schema theirs; create function theirs.get(jsonb, text) returns text language sql immutable"
        " return 'a-1'; create operator theirs.->> (leftarg = jsonb, rightarg = text, function = theirs.get);"
        " create function theirs.same(text, text) returns boolean language sql immutable return true;"
        " create operator theirs.=== (leftarg = text, rightarg = text, function = theirs.same)"
    )
    everyone = one(live.db, live.text("select count(*) from SCHEMA.customer"))
    live.requests()
    for condition in (
        "metadata operator(theirs.->>) 'ref' = 'a-1'",
        "metadata ->> 'ref' operator(theirs.===) 'a-1'",
        "metadata operator(theirs.->>) 'ref' in ('a-1', 'b')",
    ):
        assert one(live.db, live.text(f"select count(*) from SCHEMA.customer where {condition}")) == everyone
    assert not any("search" in request for request in live.requests())
    live.db.execute("drop schema theirs cascade")


def test_a_renamed_column_and_a_child_table_are_searched(live: Stripe) -> None:
    live.db.execute(
        f"create foreign table renamed (id text, name text, meta jsonb options (column_name 'metadata'))"
        f" server {live.schema} options (object 'customer');"
        " create table parent (id text, name text, meta jsonb); alter foreign table renamed inherit parent"
    )
    live.requests()
    for table in ("renamed", "parent"):
        assert one(live.db, f"select name from {table} where meta ->> 'ref' = 'a-1'") == "Ada Lovelace"
    made = live.requests()
    if live.host == "bundled":
        assert made == search('metadata["ref"]:"a-1"') * 2
    live.db.execute("drop table parent cascade")


def test_variables_of_functions_are_searched_for(live: Stripe) -> None:
    live.db.execute(
        live.text(
            "create function found(key text, ref text) returns bigint language plpgsql as $$ begin"
            " return (select count(*) from SCHEMA.customer where metadata ->> key = ref); end $$"
        )
    )
    for _ in range(7):  # from the sixth on, the plan is generic
        assert one(live.db, "select found('ref', 'a-1')") == 1
    assert one(live.db, "select found('ref', '...')") == 1
    assert one(live.db, "select found(null, 'a-1')") == 0
    live.requests()
    assert one(live.db, "select found('ref', 'a-1')") == 1
    if live.host == "bundled":
        assert live.requests() == search('metadata["ref"]:"a-1"')
    live.db.execute("drop function found")


def test_rows_that_are_changed_are_searched_for(writing: Stripe, stripe: SimulatorProcess) -> None:
    mark = f"change under {writing.host}"
    identifier = create(stripe, "customers", {"name": mark, "metadata[change]": mark})["id"]
    time.sleep(DELAY)
    writing.requests()
    where = f'where metadata @> \'{{"change": "{mark}"}}\''
    update = f"update SCHEMA.customer set description = 'changed' {where} returning id, description"
    assert rows(writing.db, writing.text(update)) == [(identifier, "changed")]
    [expected] = search(f'metadata["change"]:"{mark}"')
    assert writing.requests()[0].startswith(expected)
    writing.db.execute(writing.text(f"delete from SCHEMA.customer where id = '{identifier}'").encode())


def test_a_session_finds_what_it_wrote_itself(writing: Stripe) -> None:
    """Also what it deleted is gone, though a search goes on to find deleted customers."""
    mark = f"own {writing.host}"
    where = f'where metadata @> \'{{"own": "{mark}"}}\''
    query = writing.text(f"select name from SCHEMA.customer {where}")
    with writing.db.transaction():
        insert = f"insert into SCHEMA.customer (name, metadata) values ('new', '{{\"own\": \"{mark}\"}}')"
        identifier = one(writing.db, writing.text(f"{insert} returning id"))
        writing.requests()
        assert column(writing.db, query) == ["new"]
        assert f"/v1/customers/{identifier}" in [made.partition("?")[0] for made in writing.requests()]
        assert column(writing.db, f"{query} order by created desc limit 1") == ["new"]
    writing.db.execute(
        writing.text(f"update SCHEMA.customer set name = 'newer' where id = '{identifier}'").encode()
    )
    assert column(writing.db, query) == ["newer"]
    time.sleep(DELAY)
    assert column(writing.db, query) == ["newer"]  # found and retrieved: one row
    removed = writing.text(f"update SCHEMA.customer set metadata = '{{}}' where id = '{identifier}'")
    writing.db.execute(removed.encode())
    assert column(writing.db, query) == []
    restored = writing.text(
        f"update SCHEMA.customer set metadata = '{{\"own\": \"{mark}\"}}' where id = '{identifier}'"
    )
    writing.db.execute(restored.encode())
    time.sleep(DELAY)
    writing.db.execute(writing.text(f"delete from SCHEMA.customer where id = '{identifier}'").encode())
    assert column(writing.db, query) == []


def test_a_row_is_missing_until_the_index_has_it(writing: Stripe, stripe: SimulatorProcess) -> None:
    query = writing.text(
        'select count(*) from SCHEMA.customer where metadata @> \'{"late": "HOST"}\''
    ).replace("HOST", writing.host)
    assert one(writing.db, query) == 0  # the backend has started Python: no time passes below
    identifier = create(stripe, "customers", {"metadata[late]": writing.host})["id"]
    assert one(writing.db, query) == 0
    assert one(writing.db, query.replace("metadata @>", "metadata || '{}' @>")) == 1
    time.sleep(DELAY)
    assert one(writing.db, query) == 1
    writing.db.execute(writing.text(f"delete from SCHEMA.customer where id = '{identifier}'").encode())


def test_what_a_call_returns_is_checked_by_postgres(live: Stripe) -> None:
    call = "select count(*) from SCHEMA._call where method = 'GET' and path = '/v1/balance'"
    assert one(live.db, live.text(f"{call} and response ->> 'object' = 'balance'")) == 1
    assert one(live.db, live.text(f"{call} and response ->> 'object' = 'charge'")) == 0
