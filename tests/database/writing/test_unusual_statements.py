"""Unusual statements that Postgres allows: each row is written once, and messages name what stays."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator

import psycopg
import pytest

from stripe_simulator.process import SimulatorProcess
from support.bare_stripe import HUNT, BareStripe, chance
from support.database import KEY, Server, Servers, column, count, outcome, said
from support.simulators import Simulators

TABLES = ("customer", "product", "subscription", "invoice", "invoiceitem", "customer_balance_transaction")
MANY = 150  # more than a page
REFUSED = '{"bogus": 1}'  # as further parameters


@pytest.fixture(scope="module")
def stripe(simulators: Simulators) -> SimulatorProcess:
    return simulators(customers=3, seed=31)


@pytest.fixture(scope="module")
def bare(stripe: SimulatorProcess) -> BareStripe:
    return BareStripe(stripe.url, KEY)


@pytest.fixture
def live(servers: Servers, stripe: SimulatorProcess) -> Iterator[Server]:
    """A server that sends one request at a time."""
    yield servers(*TABLES, mapping={"api_key": KEY}, api_base=stripe.url, max_requests_per_second=10_000)
    stripe.control("DELETE", "/faults")
    stripe.control("POST", "/latency", {"ms": 0})


@pytest.fixture
def eight(servers: Servers, stripe: SimulatorProcess, live: Server) -> Server:
    """A server that sends eight requests at a time."""
    options = {"max_requests_per_second": 10_000, "write_concurrency": 8}
    return servers(*TABLES, mapping={"api_key": KEY}, api_base=stripe.url, **options)


@pytest.fixture
def wrote(stripe: SimulatorProcess) -> Callable[[], Counter[str]]:
    """The writing requests since the last call, and how often each was sent."""

    def since() -> Counter[str]:
        log = stripe.requests()
        stripe.control("DELETE", "/requests")
        return Counter(f"{item['method']} {item['path']}" for item in log if item["method"] != "GET")

    since()
    return since


@pytest.fixture
def warnings(db: psycopg.Connection) -> list[str]:
    texts: list[str] = []

    def hear(diag: psycopg.errors.Diagnostic) -> None:
        if diag.severity_nonlocalized == "WARNING":
            texts.append(" ".join(filter(None, (diag.message_primary, diag.message_detail))))

    db.add_notice_handler(hear)
    return texts


_numbers = iter(range(1_000_000))


@pytest.fixture
def run() -> str:
    """The email of the customers of one test."""
    return f"unusual-{next(_numbers)}@example.com"


def people(bare: BareStripe, run: str, number: int = MANY) -> list[str]:
    """Customers of this run; their ids."""
    return [bare.post("customers", email=run, name=f"p{n}")["id"] for n in range(1, number + 1)]


def ids(text: str) -> set[str]:
    """The customers that a message names."""
    return set(re.findall(r"cus_\w+", text))


# -- statements --------------------------------------------------------------------------------------------


def test_ctes_that_write_from_one_another(
    db: psycopg.Connection, live: Server, bare: BareStripe, wrote: Callable[[], Counter[str]], run: str
) -> None:
    counts = db.execute(
        f"""with made as (
                insert into {live.table("customer")} (email, name)
                select '{run}', 'p' || n from generate_series(1, 5) n returning id
            ), credited as (
                insert into {live.table("customer_balance_transaction")} (customer, amount, currency)
                select id, -100, 'eur' from made returning customer, amount
            ), renamed as (
                update {live.table("customer")} c set name = 'was p1' where email = '{run}' returning c.id
            )
            select (select count(*) from made), (select sum(amount) from credited), count(*)
            from renamed""".encode()
    ).fetchone()
    assert counts == (5, -500, 0)  # all parts of a statement see the state before it
    assert sum(wrote().values()) == 10
    assert [item["balance"] for item in bare.list("customers", email=run)] == [-100] * 5


def test_an_update_of_what_it_selects_by_meets_each_row_once(
    db: psycopg.Connection, live: Server, bare: BareStripe, wrote: Callable[[], Counter[str]], run: str
) -> None:
    customers = people(bare, run)
    wrote()
    row_count = db.execute(
        f"update {live.table('customer')} set email = 'x' || '{run}' where email = '{run}'".encode()
    ).rowcount
    assert row_count == MANY
    assert wrote() == Counter(f"POST /v1/customers/{customer}" for customer in customers)
    assert len(list(bare.list("customers", email=f"x{run}"))) == MANY


def test_a_delete_of_what_it_selects_by_meets_each_row_once(
    db: psycopg.Connection, live: Server, bare: BareStripe, wrote: Callable[[], Counter[str]], run: str
) -> None:
    customers = people(bare, run)
    wrote()
    deleted = column(db, f"delete from {live.table('customer')} where email = '{run}' returning id")
    assert sorted(deleted) == sorted(customers)  # type: ignore[type-var]
    assert wrote() == Counter(f"DELETE /v1/customers/{customer}" for customer in customers)
    assert list(bare.list("customers", email=run)) == []


def test_an_insert_from_the_same_table_does_not_feed_itself(
    db: psycopg.Connection, live: Server, bare: BareStripe, wrote: Callable[[], Counter[str]], run: str
) -> None:
    people(bare, run)
    wrote()
    table = live.table("customer")
    db.execute(
        f"insert into {table} (email, name) select email, 'copy' from {table} where email = '{run}'".encode()
    )
    assert wrote() == {"POST /v1/customers": MANY}
    assert len(list(bare.list("customers", email=run))) == 2 * MANY


def test_a_loop_that_changes_what_it_reads_meets_each_row_once(
    db: psycopg.Connection, live: Server, bare: BareStripe, wrote: Callable[[], Counter[str]], run: str
) -> None:
    customers = people(bare, run)
    wrote()
    table = live.table("customer")
    db.execute(
        f"""do $$
            declare one record;
            begin
                for one in select id from {table} where email = '{run}' loop
                    update {table} set email = 'x{run}', name = 'again' where id = one.id;
                    insert into {table} (email) values ('y{run}');
                end loop;
            end $$""".encode()
    )
    requests = wrote()
    assert requests.pop("POST /v1/customers") == MANY
    assert requests == Counter(f"POST /v1/customers/{customer}" for customer in customers)


JOINED = {
    "update": (
        "update {0} c set name = 'n' || n from (values (1), (2)) v (n) where email = '{1}'",
        "POST /v1/customers/{}",
    ),
    "update with keys": (
        "update {0} c set name = 'n' || n, _idempotency_key = id from (values (1), (2)) v (n)"
        " where email = '{1}' returning id",
        "POST /v1/customers/{}",
    ),
    "delete": (
        "delete from {0} c using (values (1), (2)) v (n) where email = '{1}'",
        "DELETE /v1/customers/{}",
    ),
}


@pytest.mark.parametrize("case", JOINED)
def test_a_row_that_a_join_finds_twice_is_written_once(
    db: psycopg.Connection,
    live: Server,
    bare: BareStripe,
    wrote: Callable[[], Counter[str]],
    run: str,
    case: str,
) -> None:
    customers = people(bare, run, 3)
    wrote()
    statement, request = JOINED[case]
    db.execute(statement.format(live.table("customer"), run).encode())
    assert wrote() == Counter(request.format(customer) for customer in customers)


def test_a_prepared_statement_writes_its_parameters_each_time(
    db: psycopg.Connection, live: Server, bare: BareStripe, wrote: Callable[[], Counter[str]], run: str
) -> None:
    table = live.table("customer")
    db.execute(
        f"prepare made (text, text) as insert into {table} (email, name) values ($1, $2)"
        " returning id".encode()
    )
    db.execute(
        f"prepare renamed (text, text) as update {table} set name = $2 where id = $1 returning name".encode()
    )
    db.execute(f"prepare gone (text) as delete from {table} where id = $1 returning id".encode())
    for number in range(10):
        customer = column(db, f"execute made ('{run}', 'p{number}')")[0]
        assert column(db, f"execute renamed ('{customer}', 'q{number}')") == [f"q{number}"]
        if number % 2:
            assert column(db, f"execute gone ('{customer}')") == [customer]
    assert sum(wrote().values()) == 25
    assert {item["name"] for item in bare.list("customers", email=run)} == {f"q{n}" for n in range(0, 10, 2)}


def test_a_procedure_that_commits_between_its_rows(
    db: psycopg.Connection, live: Server, bare: BareStripe, warnings: list[str], run: str
) -> None:
    db.execute(
        f"""create procedure {live.name}.fill() language plpgsql as $$
            begin
                for n in 1 .. 6 loop
                    insert into {live.table("customer")} (email, name) values ('{run}', 'p' || n);
                    if n % 3 = 0 then rollback; else commit; end if;
                end loop;
            end $$""".encode()
    )
    db.execute(f"call {live.name}.fill()".encode())
    customers = {item["name"]: item["id"] for item in bare.list("customers", email=run)}
    assert set(customers) == {f"p{n}" for n in range(1, 7)}
    assert [ids(warning) for warning in warnings] == [{customers["p3"]}, {customers["p6"]}]


def test_triggers_that_write_to_other_tables(
    db: psycopg.Connection, live: Server, bare: BareStripe, wrote: Callable[[], Counter[str]], run: str
) -> None:
    table = live.table("customer")
    db.execute(
        f"""create function {live.name}.greet() returns trigger language plpgsql as $$
            begin
                insert into {live.table("customer_balance_transaction")} (customer, amount, currency)
                values (new.id, -7, 'eur');
                insert into {live.table("invoiceitem")} (customer, amount, currency)
                values (new.id, 9, 'eur');
                return null;
            end $$""".encode()
    )
    db.execute(
        f"create trigger greet after insert on {table} for each row"
        f" execute function {live.name}.greet()".encode()
    )
    db.execute(f"insert into {table} (email) select '{run}' from generate_series(1, 12)".encode())
    assert wrote().total() == 36
    for customer in bare.list("customers", email=run):
        assert customer["balance"] == -7
        assert [item["amount"] for item in bare.list("invoiceitems", customer=customer["id"])] == [9]


# -- transactions ------------------------------------------------------------------------------------------


def test_a_rollback_warns_of_the_objects_on_both_servers(
    db: psycopg.Connection, live: Server, eight: Server, bare: BareStripe, warnings: list[str], run: str
) -> None:
    db.execute("begin")
    for server in (live, eight):
        db.execute(
            f"insert into {server.table('customer')} (email)"
            f" select '{run}' from generate_series(1, 4)".encode()
        )
    db.execute("rollback")
    customers = {item["id"] for item in bare.list("customers", email=run)}
    assert len(customers) == 8
    assert set().union(*map(ids, warnings)) == customers
    assert "8 objects" in " ".join(warnings)


def test_nested_savepoints_warn_of_each_object_once(
    db: psycopg.Connection, live: Server, bare: BareStripe, warnings: list[str], run: str
) -> None:
    customers: list[str] = []
    db.execute("begin")
    for level in range(25):
        db.execute(f"savepoint s{level}".encode())
        query = f"insert into {live.table('customer')} (email) values ('{run}') returning id"
        customers.append(str(column(db, query)[0]))
        if level % 5 == 4:
            db.execute(f"release s{level}".encode())
    for command, rolled_back in (
        ("rollback to s20", customers[20:]),
        ("release s15; rollback to s3", customers[3:20]),
    ):
        db.execute(command.encode())
        assert sorted(customer for warning in warnings for customer in ids(warning)) == sorted(rolled_back)
        warnings.clear()
    db.execute("rollback")
    assert sorted(customer for warning in warnings for customer in ids(warning)) == sorted(customers[:3])
    assert {item["id"] for item in bare.list("customers", email=run)} == set(customers)


@pytest.mark.parametrize("bad", [1, 4, 9, 16])
def test_an_error_with_eight_rows_at_a_time_names_all_that_is_done(
    db: psycopg.Connection,
    eight: Server,
    bare: BareStripe,
    stripe: SimulatorProcess,
    warnings: list[str],
    run: str,
    bad: int,
) -> None:
    stripe.control("POST", "/latency", {"ms": 10, "jitter_ms": 20})
    error = outcome(
        db,
        f"insert into {eight.table('customer')} (email, name, _params) select '{run}', 'p' || n,"
        f" case n when {bad} then '{REFUSED}'::jsonb end from generate_series(1, 16) n",
    )
    assert error is not None
    assert "bogus" in said(error)
    customers = {item["id"]: item["name"] for item in bare.list("customers", email=run)}
    assert f"p{bad}" not in customers.values()
    assert set(customers.values()) >= {f"p{n}" for n in range(1, bad)}
    assert ids(said(error)) == set(customers)
    if customers:
        assert f"{len(customers)} row" in said(error)
    assert warnings == []
    assert count(db, "select 1") == 1


def test_an_error_of_a_late_row_is_caught_in_its_block(
    db: psycopg.Connection,
    eight: Server,
    bare: BareStripe,
    stripe: SimulatorProcess,
    warnings: list[str],
    run: str,
) -> None:
    stripe.control("POST", "/latency", {"ms": 10})
    table = eight.table("customer")
    db.execute("create temp table caught (what text)")
    db.execute(
        f"""do $$
        declare detail text;
        begin
            for n in 1 .. 3 loop
                begin
                    insert into {table} (email, name, _params) select '{run}', 'b' || n || '-' || m,
                        case m when 5 then '{REFUSED}'::jsonb end from generate_series(1, 5) m;
                exception when others then
                    get stacked diagnostics detail = pg_exception_detail;
                    insert into caught values (sqlerrm || detail);
                end;
                insert into {table} (email, name) values ('{run}', 'after ' || n);
            end loop;
        end $$""".encode()
    )
    assert count(db, "select count(*) from caught where what like '%bogus%'") == 3
    db.execute("drop table caught")
    customers = {item["name"]: item["id"] for item in bare.list("customers", email=run)}
    assert set(customers) == {f"b{n}-{m}" for n in (1, 2, 3) for m in range(1, 5)} | {
        f"after {n}" for n in (1, 2, 3)
    }
    hidden = [{customers[f"b{n}-{m}"] for m in range(1, 5)} for n in (1, 2, 3)]
    assert [ids(warning) for warning in warnings] == hidden


@pytest.mark.parametrize("concurrency", [1, 8])
def test_a_cancel_while_rows_are_under_way_reports_every_row(
    db: psycopg.Connection,
    live: Server,
    eight: Server,
    bare: BareStripe,
    stripe: SimulatorProcess,
    warnings: list[str],
    host: str,
    concurrency: int,
) -> None:
    table = (live if concurrency == 1 else eight).table("customer")
    dice = chance(f"{host} {concurrency}")
    db.execute(f"insert into {table} (name) values ('the session has begun')".encode())
    for number in range(10 * (HUNT or 1)):
        run = f"cancelled-{number}-{concurrency}@{host}.example"
        warnings.clear()
        stripe.control("POST", "/latency", {"ms": 10})
        db.execute(f"set statement_timeout = {dice.randrange(30, 120)}".encode())
        error = outcome(
            db,
            f"insert into {table} (email, name) select '{run}', 'p' || n from generate_series(1, 400) n",
        )
        db.execute("reset statement_timeout")
        stripe.control("POST", "/latency", {"ms": 0})
        assert error is not None
        text = " ".join([said(error), *warnings])
        remaining = sum(
            int(digits) for digits in re.findall(r"(\d+) (?:row|object)s? remains? changed", text)
        )
        unknown_rows = re.findall(r"row (\d+), POST /v1/customers with _idempotency_key = '([^']+)'", text)
        for row, key in unknown_rows:
            db.execute(
                f"insert into {table} (email, name, _idempotency_key)"
                f" values ('{run}', 'p{row}', '{key}')".encode()
            )
        names = Counter(item["name"] for item in bare.list("customers", email=run))
        # Of several rows in flight, one may be canceled before it is sent, and a later one after it was sent.
        skipped = re.findall(r"Not carried out: row (\d+(?:, row \d+)*)\.", text)
        gaps = {int(number) for listed in skipped for number in listed.split(", row ")}
        assert concurrency > 1 or not gaps
        last = names.total() + len(gaps)
        assert names == Counter(f"p{n}" for n in range(1, last + 1) if n not in gaps)
        assert remaining + len(unknown_rows) == names.total(), text


@pytest.mark.parametrize("bad", [None, 150])
def test_copy_of_many_rows(
    db: psycopg.Connection,
    eight: Server,
    bare: BareStripe,
    warnings: list[str],
    host: str,
    run: str,
    bad: int | None,
) -> None:
    if host != "bundled":
        pytest.skip("Multicorn takes no COPY")
    error: psycopg.Error | None = None
    try:
        with db.cursor().copy(
            f"copy {eight.table('customer')} (email, name, _params) from stdin".encode()
        ) as copy:
            for number in range(1, 301):
                copy.write_row((run, f"p{number}", REFUSED if number == bad else None))
    except psycopg.Error as caught:
        error = caught
    names = Counter(item["name"] for item in bare.list("customers", email=run))
    if bad is None:
        assert error is None
        assert names == Counter(f"p{n}" for n in range(1, 301))
        return
    assert error is not None
    assert max(names.values()) == 1
    assert f"row {bad} failed" in said(error)
    assert f"{names.total()} rows remain changed" in " ".join([said(error), *warnings])
    assert bad - 1 <= names.total() < 300


def test_an_update_skips_a_row_that_another_client_deletes_meanwhile(
    db: psycopg.Connection, live: Server, bare: BareStripe, warnings: list[str], run: str
) -> None:
    customers = people(bare, run, 3)
    table = live.table("customer")
    db.execute("begin")
    db.execute(f"declare c cursor for select id from {table} where email = '{run}' for update".encode())
    assert len(db.execute(b"fetch all from c").fetchall()) == 3
    bare.delete(f"customers/{customers[1]}")
    error = outcome(db, f"update {table} set name = 'x' where id = any(array{customers!r})")
    assert error is None  # it is no row any more
    db.execute("commit")
    assert {item["name"] for item in bare.list("customers", email=run)} == {"x"}
    assert warnings == []
