"""Writes that go through copies to Stripe: visible at once, for who may write the view alone."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner

from stripe_fdw.api.client import Client, ClientOptions
from stripe_fdw.catalog import load
from stripe_fdw.cli import _app as cli
from stripe_fdw.copies.accounts import check_account
from stripe_fdw.copies.install import install_copies, installed_resources
from stripe_fdw.copies.refresh import Refresher
from stripe_fdw.copies.runs import take_run
from stripe_fdw.database.errors import InstallError
from stripe_fdw.database.install import InstallPlan, install_into
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.devstack.private_postgres import Cluster
from stripe_fdw.jobs.tasks import Work
from stripe_fdw.jobs.view_refreshes import refresh_views
from stripe_fdw.redaction import Secret
from stripe_fdw.settings import settings
from stripe_simulator.process import SimulatorProcess
from support.database import (
    KEY,
    Servers,
    SessionPool,
    column,
    count,
    create,
    failing,
    not_under_multicorn2,
    one,
    said,
)
from support.simulators import Simulators
from support.waiting import hang_guard, wait_until

COPIED = (
    "account",
    "capability",
    "customer",
    "price",
    "product",
    "subscription",
    "subscription_item",
    "invoice",
    "invoiceitem",
)


@pytest.fixture(scope="module")
def stripe(simulators: Simulators, host: str) -> SimulatorProcess:
    """A simulated Stripe whose objects these tests change, for each host one."""
    return simulators(f"written through under {host}", customers=10, seed=11)


@pytest.fixture(scope="module")
def through_dsn(host_cluster: Cluster, stripe: SimulatorProcess, host: str) -> str:
    """A database with foreign tables, and with copies that were refreshed."""
    name = f"through_{host}"
    with psycopg.connect(host_cluster.dsn(), autocommit=True) as connection:
        connection.execute(f"create database {name}".encode())
        connection.execute(f"alter database {name} set log_statement = 'none'".encode())
    options = {"api_base": stripe.url, "max_requests_per_second": "10000"}
    client = Client(
        ClientOptions(Secret(KEY), load().api_version, stripe.url, max_requests_per_second=10_000)
    )
    with psycopg.connect(host_cluster.dsn(name), autocommit=True) as connection:
        install_into(connection, InstallPlan(host=host, server_options=options, mapping={"api_key": KEY}))
        with connection.transaction():
            list(install_copies(connection, Schemas(), COPIED))
        check_account(client, connection, Schemas(), lambda: None)
        for resource in ("account", "capability", "customer", "subscription", "product"):
            run = take_run(connection, "stripe_copy", resource, "")
            assert run is not None
            refresher = Refresher(client, connection, Schemas(), load(), lambda: None, lambda _: None)
            refresher.refresh(load().resource[resource], run)
            run.finish()
    client.close()
    return host_cluster.dsn(name)


@pytest.fixture(scope="module")
def through_pool(through_dsn: str) -> Iterator[SessionPool]:
    """The sessions that the tests take over from each other."""
    pool = SessionPool(through_dsn)
    yield pool
    pool.close()


@pytest.fixture
def db(through_pool: SessionPool, stripe: SimulatorProcess) -> Iterator[psycopg.Connection]:
    """A session of a database whose copies can be written through."""
    stripe.control("DELETE", "/faults")
    stripe.control("DELETE", "/requests")
    with through_pool.session() as connection:
        yield connection


@pytest.fixture
def sent(stripe: SimulatorProcess) -> Callable[[], list[str]]:
    """Return the requests since the last call."""

    def since() -> list[str]:
        log = stripe.requests()
        stripe.control("DELETE", "/requests")
        return [f"{item['method']} {item['path']}" for item in log]

    return since


@pytest.fixture
def warnings(db: psycopg.Connection) -> list[str]:
    """The warnings that came so far."""
    received: list[str] = []

    def note(diag: psycopg.errors.Diagnostic) -> None:
        if diag.severity == "WARNING":
            parts = (diag.message_primary, diag.message_detail, diag.message_hint)
            received.append(" ".join(filter(None, parts)))

    db.add_notice_handler(note)
    return received


@contextmanager
def servers_of(db: psycopg.Connection, host: str) -> Iterator[Servers]:
    """Servers of a test's own in the database with the copies."""
    servers = Servers(db, host)
    try:
        yield servers
    finally:
        servers.drop()


def rows(db: psycopg.Connection, query: str, *parameters: object) -> list[tuple[Any, ...]]:
    return db.execute(query.encode(), parameters or None).fetchall()


def new_customer(db: psycopg.Connection, **columns: object) -> str:
    names = ", ".join(columns)
    values = ", ".join(["%s"] * len(columns))
    return str(
        one(db, f"insert into stripe.customer ({names}) values ({values}) returning id", *columns.values())
    )


# -- views --------------------------------------------------------------------------------------------------


def test_a_row_is_inserted_updated_and_deleted_through_the_view(
    db: psycopg.Connection, sent: Callable[[], list[str]], warnings: list[str]
) -> None:
    with db.transaction():
        [(customer, name, balance)] = rows(
            db, "insert into stripe.customer (name) values ('Ada') returning id, name, balance"
        )
        assert (name, balance) == ("Ada", 0)
        assert rows(db, "select name from stripe_copy.customer where id = %s", customer) == [("Ada",)]
        assert rows(
            db, "update stripe.customer set balance = 5 where id = %s returning name, balance", customer
        ) == [("Ada", 5)]
        assert rows(db, "delete from stripe.customer where id = %s returning name", customer) == [("Ada",)]
        assert rows(db, "select id from stripe.customer where id = %s", customer) == []
        assert rows(db, "select name, _deleted from stripe_copy.customer where id = %s", customer) == [
            ("Ada", True)
        ]
    assert sent() == [
        "POST /v1/customers",
        f"POST /v1/customers/{customer}",
        f"DELETE /v1/customers/{customer}",
    ]
    assert warnings == []


def test_the_seeds_update_works_as_it_stands(db: psycopg.Connection, sent: Callable[[], list[str]]) -> None:
    [(customer, number)] = rows(
        db, "select customer_id, count(*) from stripe.subscription group by 1 order by 2 desc, 1 limit 1"
    )
    update = """update stripe.subscription set metadata = '{"order_id": "6735"}' where customer_id = """
    assert db.execute(f"{update}'{customer}'".encode()).rowcount == number
    assert rows(db, "select distinct metadata from stripe.subscription where customer_id = %s", customer) == [
        ({"order_id": "6735"},)
    ]
    requests = sent()
    assert len(requests) == number
    assert {request.rpartition("/")[0] for request in requests} == {"POST /v1/subscriptions"}


def test_nothing_is_sent_where_nothing_changes(db: psycopg.Connection, sent: Callable[[], list[str]]) -> None:
    assert db.execute("update stripe.customer set name = name, phone = phone").rowcount > 0
    assert sent() == []


def test_a_canceled_subscription_is_copied_as_canceled(db: psycopg.Connection) -> None:
    [(subscription,)] = rows(db, "select id from stripe.subscription where status = 'active' limit 1")
    db.execute("delete from stripe.subscription where id = %s", (subscription,))
    assert rows(
        db, "select status, canceled_at is not null from stripe.subscription where id = %s", subscription
    ) == [("canceled", True)]


def test_the_lists_inside_an_answer_are_copied_with_it(db: psycopg.Connection) -> None:
    customer = new_customer(db, name="Ada")
    price = one(db, "select price from stripe.subscription_item limit 1") or one(
        db, "select items -> 'data' -> 0 -> 'price' ->> 'id' from stripe.subscription limit 1"
    )
    subscription = one(
        db,
        "insert into stripe.subscription (customer_id, items, collection_method, days_until_due)"
        " values (%s, jsonb_build_array(jsonb_build_object('price', %s::text)), 'send_invoice', 7)"
        " returning id",
        customer,
        price,
    )
    items = "select price_id from stripe.subscription_item where subscription_id = %s"
    assert rows(db, items, subscription) == [(price,)]


def test_a_reference_is_written_by_either_name(db: psycopg.Connection) -> None:
    customer = new_customer(db, name="Ada")
    item = "insert into stripe.invoiceitem ({}) values ({}) returning customer, customer_id"
    for names, values in (
        ("customer_id, amount, currency", f"'{customer}', 5, 'usd'"),
        ("customer, customer_id, amount, currency", f"'{customer}', '{customer}', 5, 'usd'"),
    ):
        assert rows(db, item.format(names, values)) == [(customer, customer)]
    error = failing(
        db, item.format("customer, customer_id, amount, currency", f"'{customer}', 'cus_other', 5, 'usd'")
    )
    assert '"customer" and "customer_id"' in said(error)


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("update stripe.customer set _raw = '{}'", 'column "_raw"'),
        ("insert into stripe.customer (name, _account) values ('Ada', 'acct_1')", 'column "_account"'),
        ("update stripe.customer set created = now()", '"created"'),
        ("insert into stripe.invoiceitem (amount) values (5)", "customer"),
        ("insert into stripe.subscription (customer_id) values ('cus_1')", "foreign table of subscription"),
    ],
)
def test_what_cannot_be_written_is_refused_before_any_request(
    db: psycopg.Connection, sent: Callable[[], list[str]], statement: str, reason: str
) -> None:
    assert reason in said(failing(db, statement))
    assert sent() == []


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (
            "(select jsonb_object_agg('k' || n, 'a value of some length') from generate_series(1, 150000) n)",
            "50000",
        ),
        ("(repeat('[', 3000) || repeat(']', 3000))::jsonb", "254 deep"),
    ],
    ids=["large", "deep"],
)
@pytest.mark.parametrize("schema", ["stripe", "stripe_live"])
def test_a_huge_value_is_refused_at_once(
    db: psycopg.Connection, sent: Callable[[], list[str]], schema: str, value: str, reason: str
) -> None:
    with hang_guard(8):
        error = failing(db, f"insert into {schema}.customer (metadata) values ({value})")
    assert reason in said(error)
    assert len(said(error)) < 2000
    assert sent() == []


def test_an_idempotency_key_through_the_view_creates_one_object(
    db: psycopg.Connection, sent: Callable[[], list[str]]
) -> None:
    columns = {"name": "Ada", "_idempotency_key": "order-6735"}
    with db.transaction(force_rollback=True):
        first = new_customer(db, **columns)
    assert rows(db, "select id from stripe.customer where id = %s", first) == []
    again = new_customer(db, **columns)
    assert again == first
    assert rows(db, "select name from stripe.customer where id = %s", first) == [("Ada",)]


def test_own_write_is_visible_in_the_second_in_which_a_refresh_has_confirmed_the_row(
    db: psycopg.Connection, warnings: list[str]
) -> None:
    with db.transaction(force_rollback=True):
        customer = one(db, "select id from stripe.customer limit 1")
        confirm = "update stripe_sync.run set confirmed_at = now() where resource = 'customer'"
        db.execute(f"{confirm}; update stripe_copy.customer set _as_of = 'epoch'".encode())
        db.execute("update stripe.customer set name = 'own' where id = %s", (customer,))
        assert one(db, "select name from stripe_copy.customer where id = %s", customer) == "own"
        assert warnings == []


def test_an_object_whose_id_is_a_word_is_updated_in_its_parent(
    db: psycopg.Connection, sent: Callable[[], list[str]], warnings: list[str]
) -> None:
    with db.transaction(force_rollback=True):
        [(first,), (second,)] = rows(db, "select id from stripe.account order by id limit 2")
        total = one(db, "select count(*) from stripe_copy.capability")
        db.execute("update stripe_copy.capability set _as_of = _as_of - interval '1 hour'")
        capability = "where account_id = %s and id = 'card_payments'"
        update = (
            f"update stripe.capability set requested = not requested {capability} returning account_id, id"
        )
        assert rows(db, update, second) == [(second, "card_payments")]
        assert sent() == [f"POST /v1/accounts/{second}/capabilities/card_payments"]
        requested = f"select requested = (_raw -> 'requested')::boolean from stripe.capability {capability}"
        assert rows(db, requested, second) == rows(db, requested, first) == [(True,)]
        assert one(db, "select count(*) from stripe_copy.capability") == total
        changed = "select id from stripe_copy.capability where _as_of > now() - interval '30 min'"
        assert rows(db, changed) == [(f"{second}/card_payments",)]
        assert warnings == []


def test_a_dry_run_through_the_view_sends_nothing_and_copies_nothing(
    db: psycopg.Connection, sent: Callable[[], list[str]], warnings: list[str]
) -> None:
    customer = new_customer(db, name="Ada")
    sent()
    notices: list[str] = []
    db.add_notice_handler(
        lambda diag: notices.append(f"{diag.severity} {diag.message_primary} {diag.message_detail or ''}")
    )
    with db.transaction():
        db.execute("set local stripe_fdw.dry_run = on")
        assert rows(db, "insert into stripe.customer (name) values ('Bo') returning id, name") == [
            (None, "Bo")
        ]
        assert rows(
            db, "update stripe.customer set name = 'Eve' where id = %s returning id, name", customer
        ) == [(customer, "Eve")]
        assert rows(db, "delete from stripe.customer where id = %s returning id", customer) == [(customer,)]
    assert sent() == []
    assert warnings == []
    assert notices == [
        "NOTICE dry run, row 1: would send POST /v1/customers Parameters: name = 'Bo'.",
        f"NOTICE dry run, row 1: would send POST /v1/customers/{customer} Parameters: name = 'Eve'.",
        f"NOTICE dry run, row 1: would send DELETE /v1/customers/{customer} ",
    ]
    assert rows(db, "select name from stripe.customer where id = %s", customer) == [("Ada",)]
    assert count(db, "select count(*) from stripe_copy.customer where name = 'Bo'") == 0


# -- sessions beside each other -----------------------------------------------------------------------------


def test_concurrent_increment_through_view(
    db: psycopg.Connection, through_dsn: str, sent: Callable[[], list[str]]
) -> None:
    customer = new_customer(db, name="Ada", balance=0)
    add = f"update stripe.customer set balance = balance + 100 where id = '{customer}'".encode()
    outcomes: list[object] = []
    sent()
    with psycopg.connect(through_dsn) as first, psycopg.connect(through_dsn, autocommit=True) as second:
        first.execute(add)

        def write() -> None:
            try:
                outcomes.append(second.execute(add).rowcount)
            except psycopg.Error as error:
                outcomes.append(error.sqlstate)

        thread = threading.Thread(target=write)
        thread.start()
        waiting = "select wait_event_type = 'Lock' from pg_stat_activity where pid = %s"
        wait_until(lambda: one(db, waiting, second.info.backend_pid), "the second session waits")
        first.commit()
        thread.join(30)
    assert outcomes == ["40001"]
    assert sent() == [f"POST /v1/customers/{customer}"]
    assert one(db, "select balance from stripe.customer where id = %s", customer) == 100
    db.execute(add)
    assert one(db, "select balance from stripe_live.customer where id = %s", customer) == 200


def test_a_change_after_the_snapshot_fails_before_any_request(
    db: psycopg.Connection, through_dsn: str, sent: Callable[[], list[str]]
) -> None:
    customer = new_customer(db, name="Ada")
    with psycopg.connect(through_dsn) as other:
        other.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        assert rows(other, "select name from stripe.customer where id = %s", customer) == [("Ada",)]
        db.execute("update stripe.customer set name = 'Eve' where id = %s", (customer,))
        sent()
        with pytest.raises(psycopg.errors.SerializationFailure):
            other.execute("update stripe.customer set phone = '1' where id = %s", (customer,))
    assert sent() == []


def test_a_change_after_the_snapshot_is_a_warning_where_the_foreign_table_is_written(
    db: psycopg.Connection, through_dsn: str
) -> None:
    customer = new_customer(db, name="Ada")
    warnings: list[str | None] = []
    with psycopg.connect(through_dsn) as other:
        other.add_notice_handler(lambda diag: warnings.append(diag.message_primary))
        other.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        rows(other, "select 1 from stripe.customer limit 1")
        db.execute("update stripe.customer set name = 'Eve' where id = %s", (customer,))
        other.execute("update stripe_live.customer set phone = '1' where id = %s", (customer,))
    assert warnings == [f"{customer} changed in Stripe, but not copied"]
    assert rows(db, "select name, phone from stripe.customer where id = %s", customer) == [("Eve", None)]


def test_a_row_twice_in_a_statement_is_sent_once(
    db: psycopg.Connection, sent: Callable[[], list[str]]
) -> None:
    customer = new_customer(db, name="Ada")
    sent()
    error = failing(
        db,
        f"update stripe.customer set name = x from (values ('a'), ('b')) v (x) where id = '{customer}'",
    )
    assert error.sqlstate == "40001"
    assert sent() == [f"POST /v1/customers/{customer}"]


# -- foreign tables -----------------------------------------------------------------------------------------


def test_own_write_visible_in_same_second(db: psycopg.Connection, warnings: list[str]) -> None:
    customer = one(db, "insert into stripe_live.customer (name) values ('0') returning id")
    for number in range(1, 5):
        db.execute("update stripe_live.customer set name = %s where id = %s", (str(number), customer))
        assert one(db, "select name from stripe.customer where id = %s", customer) == str(number)
    db.execute("delete from stripe_live.customer where id = %s", (customer,))
    assert one(db, "select _deleted from stripe_copy.customer where id = %s", customer) is True
    assert count(db, "select count(*) from stripe_sync.refetch where id = %s", customer) == 1
    assert warnings == []


def test_calls_are_copied(db: psycopg.Connection) -> None:
    customer = one(db, "select stripe_live.call('POST', '/v1/customers', '{\"name\": \"Ada\"}') ->> 'id'")
    assert one(db, "select name from stripe.customer where id = %s", customer) == "Ada"
    db.execute("select stripe_live.call('DELETE', %s)", (f"/v1/customers/{customer}",))
    assert one(db, "select _deleted from stripe_copy.customer where id = %s", customer) is True


@pytest.fixture
def wide(db: psycopg.Connection, stripe: SimulatorProcess) -> Iterator[None]:
    """Have several requests of a statement under way at a time."""
    db.execute("alter server stripe options (add write_concurrency '8')")
    yield
    db.execute("alter server stripe options (drop write_concurrency)")


@pytest.mark.usefixtures("wide")
def test_copies_keep_write_concurrency(
    db: psycopg.Connection, host: str, stripe: SimulatorProcess, warnings: list[str]
) -> None:
    stripe.control("POST", "/latency", {"ms": 30})
    try:
        db.execute(
            "insert into stripe_live.customer (name) select 'wide ' || n from generate_series(1, 20) n"
        )
    finally:
        stripe.control("POST", "/latency", {})
    assert count(db, "select count(distinct name) from stripe.customer where name like 'wide %'") == 20
    assert warnings == []
    assert overlap(stripe) is (host == "bundled")  # Multicorn2 waits for each row


def overlap(stripe: SimulatorProcess) -> bool:
    """Whether a POST was sent before the one before it was answered."""
    requests = [item for item in stripe.requests() if item["method"] == "POST"]
    return any(one["at"] + one["took"] > other["at"] for one, other in itertools.pairwise(requests))


@pytest.mark.usefixtures("wide")
def test_the_copying_trigger_is_known_by_its_function(
    db: psycopg.Connection, host: str, stripe: SimulatorProcess
) -> None:
    not_under_multicorn2(host, "each row is waited for")
    insert = "insert into stripe_live.customer (name) select 'named ' || n from generate_series(1, 12) n"
    stripe.control("POST", "/latency", {"ms": 20})
    try:
        with db.transaction(force_rollback=True):
            db.execute("alter trigger copy_written on stripe_live.customer rename to renamed")
            db.execute(insert.encode())
            assert overlap(stripe)
            assert count(db, "select count(*) from stripe.customer where name like 'named %'") == 12
            db.execute(
                "create schema other; create function other.copy_written() returns trigger language plpgsql"
                " as 'begin return null; end';"
                " create trigger copy_written after insert on stripe_live.customer"
                " for each statement execute function other.copy_written()"
            )
            stripe.control("DELETE", "/requests")
            db.execute(insert.encode())
            assert not overlap(stripe)
    finally:
        stripe.control("POST", "/latency", {})


@pytest.mark.usefixtures("wide")
def test_a_row_that_fails_under_way_fails_the_statement(
    db: psycopg.Connection, stripe: SimulatorProcess
) -> None:
    stripe.control("POST", "/faults", {"kind": "status", "path": "/v1/customers", "status": 402})
    error = failing(db, "insert into stripe_live.customer (name) select 'failing' from generate_series(1, 6)")
    assert "402" in said(error)
    assert one(db, "select count(*) from stripe.customer where name = 'failing'") == 0


def test_replayed_write_is_not_evidence(
    db: psycopg.Connection, stripe: SimulatorProcess, warnings: list[str]
) -> None:
    insert = (
        "insert into stripe_live.customer (name, _idempotency_key) values ('Ada', 'order-1') returning id"
    )
    customer = one(db, insert)
    create(stripe, f"customers/{customer}", {"name": "Eve"})
    db.execute("delete from stripe_copy.customer where id = %s", (customer,))
    assert one(db, insert) == customer
    assert one(db, "select name from stripe.customer where id = %s", customer) == "Eve"
    assert warnings == []


def test_a_rollback_leaves_the_copy_as_it_was(db: psycopg.Connection, warnings: list[str]) -> None:
    customer = new_customer(db, name="Ada")
    with db.transaction(force_rollback=True):
        db.execute("update stripe.customer set name = 'Eve' where id = %s", (customer,))
    assert one(db, "select name from stripe.customer where id = %s", customer) == "Ada"
    assert "the transaction was rolled back, but 1 object remains changed in Stripe" in warnings[0]
    assert "The copies are as before: a worker brings the changes soon, or the next refresh." in warnings[0]


def test_a_savepoint_that_is_rolled_back_takes_its_copies_with_it(db: psycopg.Connection) -> None:
    with db.transaction():
        kept = new_customer(db, name="Ada")
        with db.transaction(force_rollback=True):
            gone = new_customer(db, name="Eve")
            db.execute("update stripe_live.customer set name = 'Mary' where id = %s", (kept,))
    assert rows(db, "select name from stripe.customer where id in (%s, %s)", kept, gone) == [("Ada",)]


def test_copied_rows_are_in_the_copies(db: psycopg.Connection, host: str) -> None:
    not_under_multicorn2(host, "COPY is refused")
    with db.cursor() as cursor, cursor.copy("copy stripe_live.customer (name) from stdin") as data:
        data.write("copied 1\ncopied 2\n")
    assert count(db, "select count(*) from stripe.customer where name like 'copied %'") == 2


def test_a_view_takes_copy(db: psycopg.Connection) -> None:
    with db.cursor() as cursor, cursor.copy("copy stripe.customer (name) from stdin") as data:
        data.write("viewed 1\nviewed 2\n")
    assert count(db, "select count(*) from stripe.customer where name like 'viewed %'") == 2


def test_a_state_later_than_a_slow_write_is_kept_and_read_again(db: psycopg.Connection) -> None:
    customer = new_customer(db, name="Ada")
    db.execute(
        "update stripe_copy.customer set _as_of = _as_of + interval '1 minute', name = 'later' where id = %s",
        (customer,),
    )
    db.execute("truncate stripe_sync.refetch")
    db.execute("update stripe_live.customer set name = 'slow' where id = %s", (customer,))
    assert one(db, "select name from stripe.customer where id = %s", customer) == "later"
    assert rows(db, "select id from stripe_sync.refetch") == [(customer,)]


def test_no_view_of_another_account_is_written_through_a_connected_account(
    db: psycopg.Connection, stripe: SimulatorProcess, sent: Callable[[], list[str]], warnings: list[str]
) -> None:
    account = create(stripe, "accounts", {"type": "express", "country": "US"})["id"]
    db.execute(f"alter server stripe options (add stripe_account '{account}')".encode())
    sent()
    try:
        error = failing(db, "insert into stripe.customer (name) values ('theirs')")
        assert {item.partition(" ")[0] for item in sent()} == {"GET"}
        db.execute("insert into stripe_live.customer (name) values ('theirs')")
    finally:
        db.execute("alter server stripe options (drop stripe_account)")
    assert "view stripe.customer shows another account than that of the key that writes" in said(error)
    assert "not copied: the copies belong to another account" in warnings[0]
    assert count(db, "select count(*) from stripe.customer where name = 'theirs'") == 0


@pytest.mark.parametrize("schema", ["stripe", "stripe_live"])
def test_what_only_expand_brings_is_copied_when_it_is_written(
    db: psycopg.Connection, sent: Callable[[], list[str]], schema: str
) -> None:
    options = "select currency_options -> 'eur' ->> 'unit_amount' from stripe.price where id = %s"
    product = one(db, f"insert into {schema}.product (name) values ('seat') returning id")
    price = one(
        db,
        f"insert into {schema}.price (product, currency, unit_amount, currency_options)"
        " values (%s, 'usd', 500, '{\"eur\": {\"unit_amount\": 400}}') returning id",
        product,
    )
    assert one(db, options, price) == "400"
    sent()
    change = '{"eur": {"unit_amount": 450}}'
    db.execute(f"update {schema}.price set currency_options = %s where id = %s".encode(), (change, price))
    assert one(db, options, price) == "450"
    assert sent().count(f"POST /v1/prices/{price}") == 1
    db.execute(f"update {schema}.price set nickname = 'x' where id = %s".encode(), (price,))
    assert one(db, options, price) == "450"


# -- what goes wrong ----------------------------------------------------------------------------------------


def test_what_cannot_be_copied_is_a_warning_and_fails_nothing(
    db: psycopg.Connection, warnings: list[str]
) -> None:
    db.execute("alter table stripe_copy.customer add constraint no_mallory check (name <> 'Mallory')")
    try:
        customer = new_customer(db, name="Mallory")
    finally:
        db.execute("alter table stripe_copy.customer drop constraint no_mallory")
    [warning] = warnings
    assert warning.startswith(f"{customer} changed in Stripe, but not copied")
    assert "no_mallory" in warning
    assert count(db, "select count(*) from stripe_sync.refetch where id = %s", customer) == 1
    assert one(db, "select name from stripe_live.customer where id = %s", customer) == "Mallory"


def test_one_of_many_that_cannot_be_copied_keeps_no_other_from_it(
    db: psycopg.Connection, warnings: list[str]
) -> None:
    db.execute("alter table stripe_copy.customer add constraint no_mallory check (name <> 'many 7')")
    try:
        names = "select 'many ' || n from generate_series(1, 11) n"
        db.execute(f"insert into stripe_live.customer (name) {names}".encode())
    finally:
        db.execute("alter table stripe_copy.customer drop constraint no_mallory")
    assert count(db, "select count(*) from stripe.customer where name like 'many %'") == 10
    assert len(warnings) == 1
    assert "no_mallory" in warnings[0]


def test_what_another_accounts_key_writes_is_not_copied(
    db: psycopg.Connection, warnings: list[str], sent: Callable[[], list[str]]
) -> None:
    db.execute("update stripe_sync.account set account_id = 'acct_other', keys = '{}'")
    before = one(db, "select count(*) from stripe_copy.customer")
    try:
        customer = one(db, "insert into stripe_live.customer (name) values ('theirs') returning id")
        sent()
        error = failing(db, "insert into stripe.customer (name) values ('ours')")
    finally:
        db.execute("truncate stripe_sync.account")
    assert "another account" in said(error)
    assert sent() == []
    assert one(db, "select count(*) from stripe_copy.customer") == before
    assert len(warnings) == 1
    assert warnings[0].startswith(f"{customer} not copied: the copies belong to another account")
    new_customer(db, name="ours")
    assert sent() == ["POST /v1/customers"]  # Stripe was asked for the account before
    assert count(db, "select count(*) from stripe_sync.account where not livemode") == 1


def test_what_another_endpoint_answers_is_not_copied(
    db: psycopg.Connection, simulators: Simulators, host: str
) -> None:
    """A server of one's own, with the same key, leads to a program that answers as it likes."""
    forging = simulators("forging", customers=1)
    with servers_of(db, host) as servers:
        own = servers("customer", mapping={"api_key": KEY}, api_base=forging.url).table("customer")
        db.execute(f"alter foreign table {own} options (add copied 'true')".encode())
        ours, forged = rows(
            db,
            f"with forged as (insert into {own} (name) values ('forged') returning id),"
            " ours as (insert into stripe_live.customer (name) values ('ours') returning id)"
            " select ours.id, forged.id from ours, forged",
        )[0]
    assert column(db, "select id from stripe.customer where id in (%s, %s)", ours, forged) == [ours]


def test_a_row_that_fails_leaves_all_copies_as_they_were_and_a_warning(
    db: psycopg.Connection, stripe: SimulatorProcess, warnings: list[str], sent: Callable[[], list[str]]
) -> None:
    new_customer(db, name="pair")
    new_customer(db, name="pair")
    sent()
    stripe.control("POST", "/faults", {"kind": "status", "path": "/v1/customers/*", "status": 402, "skip": 1})
    error = failing(db, "update stripe.customer set phone = '1' where name = 'pair'")
    assert "402" in said(error)
    first, last = (request.rpartition("/")[2] for request in sent())
    assert [first in warning and last not in warning for warning in warnings] == [True]
    assert column(db, "select phone from stripe.customer where name = 'pair'") == [None, None]


def test_stripe_is_asked_once_whose_a_new_key_is(
    db: psycopg.Connection, through_dsn: str, sent: Callable[[], list[str]]
) -> None:
    db.execute("update stripe_sync.account set keys = '{}'")
    requests = []
    for _ in range(2):
        with psycopg.connect(through_dsn, autocommit=True) as other:
            new_customer(other, name="Ada")
        requests.append(sent())
    assert requests == [["GET /v1/account", "POST /v1/customers"], ["POST /v1/customers"]]


# -- privileges and installation ----------------------------------------------------------------------------


def test_rights_on_the_view_are_enough_to_write_and_give_nothing_else(db: psycopg.Connection) -> None:
    db.execute("create role app; grant usage on schema stripe, stripe_sync, stripe_live, stripe_copy to app")
    db.execute("grant select, insert, update, delete on stripe.customer to app")
    db.execute("grant select on stripe.product to app; set role app")
    try:
        customer = new_customer(db, name="Ada")
        assert db.execute(
            f"update stripe.customer set name = 'Eve' where id = '{customer}'".encode()
        ).rowcount
        for statement in (
            "update stripe.product set name = 'x'",
            "select * from stripe_copy.customer",
            "select * from stripe_live._account",
            "insert into stripe_live.customer (name) values ('x')",
            "insert into stripe_live._view_write (resource) values ('customer')",
            "select stripe_sync.is_key_of_copies('stripe_copy', '')",
        ):
            assert failing(db, statement).sqlstate == "42501", statement
        db.execute("create temporary table mine (id text)")
        for function in ("write_view('stripe_copy', 'customer')", "copy_written('stripe_copy')"):
            trigger = "create trigger t before insert on mine for each row execute function stripe_sync."
            assert failing(db, trigger + function).sqlstate == "42501"
        assert db.execute("delete from stripe.customer where id = %s", (customer,)).rowcount == 1
    finally:
        db.execute("reset role; drop owned by app; drop role app")


def test_what_was_written_is_in_a_materialized_view(
    db: psycopg.Connection, through_dsn: str, warnings: list[str]
) -> None:
    """A role that writes, to the view or to the foreign table, needs no further privilege for it."""
    db.execute(
        "create materialized view public.eves as"
        " select id, name from stripe.customer where name like 'Eve of%';"
        " create role app; grant usage on schema stripe to app;"
        " grant select, insert on stripe.customer to app"
    )
    try:
        db.execute("select stripe_sync.refresh_view('public.eves', at_most_every => '0')")
        refresh_views(Work(through_dsn, [], lambda _: None), once=True)
        db.execute("set role app")
        first = new_customer(db, name="Eve of the view")
        db.execute("reset role")
        second = one(db, "insert into stripe_live.customer (name) values ('Eve of the table') returning id")
        refresh_views(Work(through_dsn, [], lambda _: None), once=True)
        assert rows(db, "select id, name from public.eves order by 2 desc") == [
            (first, "Eve of the view"),
            (second, "Eve of the table"),
        ]
        assert warnings == []
    finally:
        db.execute(
            "reset role; drop owned by app; drop role app; drop materialized view public.eves;"
            " truncate stripe_sync.view_refresh cascade"
        )


@pytest.mark.parametrize("table", ["stripe_copy.customer", "stripe_sync.refetch", "stripe_live._view_write"])
def test_a_trigger_of_others_does_not_run_as_the_owner(
    db: psycopg.Connection, sent: Callable[[], list[str]], warnings: list[str], table: str
) -> None:
    db.execute("create role mallory; create schema lair authorization mallory; set role mallory")
    db.execute(
        "create function lair.pwn() returns trigger language plpgsql as"
        " $$ begin raise 'runs as %', current_user; end $$"
    )
    db.execute(
        f"reset role; grant usage on schema stripe_copy, stripe_sync, stripe_live to mallory;"
        f" grant all on {table} to mallory; set role mallory".encode()
    )
    trigger = f"create trigger pwn before insert on {table} for each row execute function lair.pwn()"
    db.execute(f"{trigger}; reset role".encode())
    try:
        error = failing(db, "insert into stripe.customer (name) values ('Ada')")
        assert f'trigger "pwn" on {table} runs a function of role "mallory"' in said(error)
        waited = failing(db, "select stripe_sync.wait('customer', 'cus_1')")
        assert f'trigger "pwn" on {table} runs a function of role "mallory"' in said(waited)
        assert sent() == []
        db.execute("insert into stripe_live.customer (name) values ('Ada')")
        assert 'not copied: trigger "pwn"' in warnings[0]
        assert "runs as" not in "".join(warnings)
        with (
            db.transaction(),
            pytest.raises(InstallError, match=r"pwn on (foreign )?table .* belongs to role mallory"),
        ):
            list(install_copies(db, Schemas(), COPIED))
    finally:
        db.execute("drop owned by mallory cascade; drop role mallory")
    assert new_customer(db, name="Ada")


def test_only_trigger_functions_and_wait_run_as_their_owner(db: psycopg.Connection) -> None:
    functions = (
        "select proname, prorettype::regtype::text, has_function_privilege('public', oid, 'execute'),"
        " proconfig from pg_proc where pronamespace = 'stripe_sync'::regnamespace and prosecdef order by 1"
    )
    path = ["search_path=pg_catalog, pg_temp"]
    assert rows(db, functions) == [
        ("copy_written", "trigger", False, path),
        ("wait", "void", False, path),
        ("wait", "void", False, path),
        ("write_view", "trigger", False, path),
    ]
    unsafe = (
        "select oid::regprocedure::text from pg_proc where pronamespace = any"
        " ('{stripe,stripe_copy,stripe_live,stripe_sync}'::regnamespace[]) and proname not like 'multicorn%'"
        " and (proconfig[1] is distinct from 'search_path=pg_catalog, pg_temp'"
        " or has_function_privilege('public', oid, 'execute'))"
    )
    assert rows(db, unsafe) == []
    with db.transaction(force_rollback=True):
        db.execute("alter function stripe_sync.trigger_of_others reset search_path")
        db.execute("grant execute on function stripe_sync.is_key_of_copies to public")
        assert len(rows(db, unsafe)) == 2


def test_init_lets_writes_through_where_views_refused_them(db: psycopg.Connection) -> None:
    with db.transaction(force_rollback=True):
        assert list(install_copies(db, Schemas(), COPIED)) == []
        for table in ("customer", "_view_write"):
            db.execute(f"drop trigger copy_written on stripe_live.{table}".encode())
        db.execute("alter foreign table stripe_live.customer options (drop copied)")
        db.execute("drop trigger write_view on stripe.customer")
        db.execute(
            "create trigger refuse_write instead of insert on stripe.customer"
            " for each row execute function stripe_sync.refuse_write()"
        )
        assert sorted(installed_resources(db, Schemas())) == sorted(COPIED)
        assert list(install_copies(db, Schemas(), COPIED)) == [
            "writes to the views in schema stripe go to Stripe"
        ]
        customer = new_customer(db, name="Ada")
        db.execute("update stripe_live.customer set name = 'Eve' where id = %s", (customer,))
        assert one(db, "select name from stripe.customer where id = %s", customer) == "Eve"


def test_the_command_init_brings_copies_up_to_date(
    db: psycopg.Connection, through_dsn: str, stripe: SimulatorProcess, host: str
) -> None:
    db.execute("drop trigger copy_written on stripe_live._view_write")
    settings.cache_clear()
    env = {"DATABASE_URL": through_dsn, "STRIPE_API_KEY": KEY, "STRIPE_API_BASE": stripe.url}
    result = CliRunner().invoke(cli, ["init", "--host", host], env=env, catch_exceptions=False)
    assert "writes to the views in schema stripe go to Stripe" in result.output
    result = CliRunner().invoke(cli, ["init", "--host", host], env=env, catch_exceptions=False)
    assert "nothing to do" in result.output
    db.execute("drop view stripe.product; drop table stripe_copy.product")
    result = CliRunner().invoke(cli, ["init", "--host", host, "--copies", "product"], env=env)
    assert "created 1 table in schema stripe_copy" in result.output
    for command in (
        ["init", "--host", host, "--copies", "mandate"],
        ["refresh", "mandate"],
        ["verify", "mandate"],
    ):
        result = CliRunner().invoke(cli, command, env=env)
        assert "no copy of mandate: Stripe has no list of these objects" in str(result.exception), command
        of_version_2 = ["v2_core_account" if word == "mandate" else word for word in command]
        result = CliRunner().invoke(cli, of_version_2, env=env)
        assert (
            "no copy of v2_core_account: Stripe reports changes of objects under /v2 by thin events"
            in str(result.exception)
        ), of_version_2
    result = CliRunner().invoke(cli, ["init", "--host", host, "--copies", "prodct"], env=env)
    settings.cache_clear()
    assert 'no resource "prodct"' in str(result.exception)
