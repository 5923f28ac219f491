"""Two accounts in one database: a server, schemas and a key for each, and nothing of one in the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg
import pytest
import urllib3
from click.testing import Result
from typer.testing import CliRunner

from stripe_fdw.cli import _app as cli
from stripe_fdw.copies.accounts import OtherAccountError
from stripe_fdw.copies.install import install_copies
from stripe_fdw.copies.lost_writes import queue_lost_writes
from stripe_fdw.copies.runs import take_run
from stripe_fdw.database.errors import InstallError
from stripe_fdw.database.install import InstallPlan, install_into
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.database.servers import choose_names, find_server
from stripe_fdw.devstack.private_postgres import Cluster
from stripe_fdw.errors import OptionError, StripeFdwError
from stripe_fdw.settings import settings
from stripe_simulator.process import SimulatorProcess
from support.database import (
    KEY,
    SessionPool,
    column,
    count,
    create,
    failing,
    in_hints,
    one,
    rows,
    said,
)
from support.hosts import BUNDLED_ALONE
from support.simulators import Simulators

EU = Schemas("stripe_eu", "stripe_eu")
EU_KEY = KEY + "ofTheSecondAccount"
COPIED = ("customer", "product")
TABLES = (
    "stripe_sync.account",
    "stripe_sync.run",
    *(f"{schema}.{name}" for schema in ("stripe_copy", "stripe_eu_copy") for name in COPIED),
)
Command = Callable[..., Result]


@pytest.fixture(scope="module")
def home(simulators: Simulators, host: str) -> SimulatorProcess:
    """The Stripe of the first account."""
    return simulators(f"first account under {host}", customers=8, seed=11)


@pytest.fixture(scope="module")
def abroad(simulators: Simulators, host: str) -> SimulatorProcess:
    """The Stripe of the second account, whose objects have the same ids."""
    return simulators(f"second account under {host}", customers=8, seed=11)


@pytest.fixture(scope="module")
def command(host_cluster: Cluster, home: SimulatorProcess, host: str) -> Command:
    """Run ``stripe-fdw`` for a database of this module, with the key of the first account."""
    name = f"servers_{host}"
    with psycopg.connect(host_cluster.dsn(), autocommit=True) as connection:
        connection.execute(f"create database {name}".encode())
        connection.execute(f"alter database {name} set log_statement = 'none'".encode())

    def run(*arguments: str, **variables: str | None) -> Result:
        settings.cache_clear()
        env = {
            "DATABASE_URL": host_cluster.dsn(name), "STRIPE_API_KEY": KEY, "STRIPE_API_BASE": home.url,
            "STRIPE_FDW_MAX_REQUESTS_PER_SECOND": "10000", **variables,
        }  # fmt: skip
        result = CliRunner().invoke(cli, list(arguments), env=env)
        settings.cache_clear()
        assert KEY not in result.output
        if isinstance(result.exception, StripeFdwError):
            raise result.exception
        return result

    return run


@pytest.fixture(scope="module")
def dsn(host_cluster: Cluster, command: Command, abroad: SimulatorProcess, host: str) -> str:
    """A database with copies of both accounts, filled."""
    copies = [word for name in COPIED for word in ("--copies", name)]
    for arguments, variables in (
        (("init", "--host", host, *copies), {}),
        (
            ("init", "--host", host, "--server", "stripe_eu", "--schema", "stripe_eu", *copies),
            {"STRIPE_API_KEY_STRIPE_EU": EU_KEY, "STRIPE_API_BASE": abroad.url},
        ),
        (("refresh", *COPIED), {}),
        (("refresh", "--server", "stripe_eu", *COPIED), {}),  # its key is in the user mapping
    ):
        result = command(*arguments, **variables)
        assert result.exit_code == 0, result.output
    # The simulators tell the same id of the account.
    assert "which server stripe copies as well" in result.output
    with psycopg.connect(host_cluster.dsn(f"servers_{host}")) as connection:
        for table in TABLES:
            connection.execute(f"create table {saved(table)} as table {table}".encode())
    return host_cluster.dsn(f"servers_{host}")


def saved(table: str) -> str:
    """The table that has the rows of another one as they were when it was filled."""
    return f"public.{table.replace('.', '_')}"


@pytest.fixture(scope="module")
def servers_pool(dsn: str) -> Iterator[SessionPool]:
    """The sessions that the tests take over from each other."""
    pool = SessionPool(dsn)
    yield pool
    pool.close()


@pytest.fixture
def db(
    servers_pool: SessionPool, home: SimulatorProcess, abroad: SimulatorProcess
) -> Iterator[psycopg.Connection]:
    """A session of the database with both accounts, which are as they were when the copies were filled."""
    for simulator in (home, abroad):
        simulator.control("POST", "/reset")
    with servers_pool.session() as connection:
        queue_lost_writes(connection)  # of earlier tests
        with connection.transaction():
            connection.execute("truncate stripe_sync.refetch, stripe_sync.schedule, stripe_sync.met")
            for table in TABLES:
                connection.execute(f"delete from {table}".encode())
                connection.execute(f"insert into {table} table {saved(table)}".encode())
        yield connection


def sent(simulator: SimulatorProcess) -> list[str]:
    """The requests since the test has begun."""
    return [f"{item['method']} {item['path']}" for item in simulator.requests()]


# -- apart --------------------------------------------------------------------------------------------------


def test_each_account_has_a_server_schemas_and_a_key_of_its_own(db: psycopg.Connection) -> None:
    servers = "select name, schema, live, copies from stripe_sync.server order by name"
    assert rows(db, servers) == [
        ("stripe", "stripe", "stripe_live", "stripe_copy"),
        ("stripe_eu", "stripe_eu", "stripe_eu_live", "stripe_eu_copy"),
    ]
    keys = "select umoptions from pg_user_mappings order by srvname"
    assert column(db, keys) == [[f"api_key={KEY}"], [f"api_key={EU_KEY}"]]
    status = (
        "select server, schema, resource, state, outcome from stripe_sync.status order by schema, resource"
    )
    assert [(server, resource, state) for server, _, resource, state, _ in rows(db, status)] == [
        (server, resource, "finished") for server in ("stripe", "stripe_eu") for resource in COPIED
    ]
    same = "select count(*) from stripe.customer a join stripe_eu.customer b using (id)"
    assert count(db, same) > 0


def test_a_write_through_a_view_goes_to_the_account_of_the_view(
    db: psycopg.Connection, home: SimulatorProcess, abroad: SimulatorProcess
) -> None:
    customer = one(db, "select min(id) from stripe_eu.customer")
    before = one(db, "select name from stripe.customer where id = %s", customer)
    changed = "update stripe_eu.customer set name = 'Zoë' where id = %s returning name"
    assert one(db, changed, customer) == "Zoë"
    assert [item for item in sent(abroad) if item.startswith("POST")] == [f"POST /v1/customers/{customer}"]
    assert sent(home) == []
    for schema, name in (("stripe_eu", "Zoë"), ("stripe", before)):
        for suffix in ("", "_copy", "_live"):
            shown = f"select name from {schema}{suffix}.customer where id = %s"
            assert one(db, shown, customer) == name
    assert one(db, "select stripe_eu_live.call('GET', '/v1/customers/' || %s) ->> 'name'", customer) == "Zoë"
    assert one(db, "select stripe_live.call('GET', '/v1/customers/' || %s) ->> 'name'", customer) == before


def test_each_account_has_its_own_call_and_invalidate(
    db: psycopg.Connection, home: SimulatorProcess, abroad: SimulatorProcess
) -> None:
    customer = str(one(db, "select min(id) from stripe_eu.customer"))
    names = [
        f"select name from {schema}.customer where id = '{customer}'"
        for schema in ("stripe_live", "stripe_eu_live")
    ]
    with db.transaction(force_rollback=True):
        for server in ("stripe", "stripe_eu"):
            db.execute(f"alter server {server} options (add cache_ttl '300')".encode())
        ours, theirs = (one(db, name) for name in names)
        create(abroad, f"customers/{customer}", {"name": "changed elsewhere"})
        assert [one(db, name) for name in names] == [ours, theirs]  # cached
        home.control("DELETE", "/requests")
        db.execute("select stripe_sync.invalidate('customer', %s, server => 'stripe_eu')", (customer,))
        assert one(db, names[1]) == "changed elsewhere"
        assert sent(home) == []
        assert one(db, names[0]) == ours
        home.control("DELETE", "/requests")
        abroad.control("DELETE", "/requests")
        called = f"select stripe_eu_live.call('POST', '/v1/customers/{customer}', '{{\"name\": \"called\"}}')"
        assert isinstance(one(db, called), dict)
        assert [one(db, name) for name in names] == [ours, "called"]
    assert [item for item in sent(abroad) if item.startswith("POST")] == [f"POST /v1/customers/{customer}"]
    assert [item for item in sent(home) if item.startswith("POST")] == []


def test_a_statement_that_a_hint_has_goes_to_the_account_of_the_table(
    db: psycopg.Connection, home: SimulatorProcess, abroad: SimulatorProcess, host: str
) -> None:
    price, charge = (one(db, f"select min(id) from stripe_eu_live.{name}") for name in ("price", "charge"))
    product = one(db, f"select product from stripe_eu_live.price where id = '{price}'")
    active = "select active from %s_live.{} where id = '{}'"
    for schema in ("stripe_eu", "stripe"):
        live = in_hints(host, f"{schema}_live")
        refund = said(failing(db, f"delete from {schema}_live.charge where id = '{charge}'"))
        assert f"INSERT INTO {live}.refund (charge) VALUES ('{charge}');" in refund
        assert f"{live}.call reaches every" in said(
            failing(db, f"insert into {schema}_live.event (type) values ('customer.created')")
        )
        assert f"{live}.call('GET', '/v1/balance')" in said(failing(db, f"table {schema}_live._call"))
        wrong = said(failing(db, f"select stripe_sync.follow_account('x', '{schema}')"))
        assert f"{schema}_live.account lists" in wrong
    # The second refusal is Stripe's, of a DELETE through a view.
    for table, identifier in (("stripe_eu_live.price", price), ("stripe_eu.product", product)):
        refusal = said(failing(db, f"delete from {table} where id = '{identifier}'"))
        hint = refusal[refusal.index("UPDATE ") :].replace("<schema>", "stripe_eu_live")
        name = table.partition(".")[2]
        assert hint == f"UPDATE stripe_eu_live.{name} SET active = false WHERE id = '{identifier}';"
        home.control("DELETE", "/requests")
        db.execute(hint.encode())
        assert sent(home) == []
        shown = active.format(name, identifier)
        assert [one(db, shown % schema) for schema in ("stripe_eu", "stripe")] == [False, True]


def test_init_changes_nothing_of_any_server_where_it_is_run_again(
    db: psycopg.Connection, command: Command, home: SimulatorProcess, abroad: SimulatorProcess, host: str
) -> None:
    def catalogs() -> list[tuple[object, ...]]:
        return rows(
            db,
            "select c.oid::regclass::text, c.xmin::text from pg_class c join pg_namespace n"
            " on n.oid = relnamespace where nspname like 'stripe%' and relkind in ('f', 'r')"
            " union all select srvname, xmin::text from pg_foreign_server"
            " union all select umid::text, umoptions::text from pg_user_mappings order by 1",
        )

    before = catalogs()
    for arguments, url in (((), home.url), (("--server", "stripe_eu"), abroad.url)):
        result = command("init", "--host", host, *arguments, STRIPE_API_BASE=url)
        assert "nothing to do" in result.output
        assert "Stripe accepts the key" in result.output
        assert "no API key was given" not in result.output  # the second one's is in its mapping
    assert catalogs() == before


def test_a_statement_that_writes_to_two_accounts_is_copied_in_each(
    db: psycopg.Connection, home: SimulatorProcess, host: str, warnings: list[str]
) -> None:
    us, options = Schemas("stripe_us", "stripe_us"), {"api_base": home.url}
    with db.transaction(force_rollback=True):
        plan = InstallPlan(host, us.server, options, {"api_key": KEY}, schema=us.views)  # type: ignore[arg-type]
        install_into(db, plan)
        list(install_copies(db, us, ["customer"]))
        ours, theirs = rows(
            db,
            "with ours as (insert into stripe_live.customer (name) values ('here') returning id),"
            " theirs as (insert into stripe_us_live.customer (name) values ('there') returning id)"
            " select ours.id, theirs.id from ours, theirs",
        )[0]
        assert column(db, "select id from stripe_us.customer") == [theirs]
        assert count(db, "select count(*) from stripe.customer where id in (%s, %s)", ours, theirs) == 1
        assert one(db, "select name from stripe.customer where id = %s", ours) == "here"
        # A view of an account whose copies were never refreshed is written through as well.
        db.execute("update stripe_us.customer set name = 'far'")
        assert column(db, "select name from stripe_us.customer") == ["far"]
    assert [text for text in warnings if "not copied" in text] == []


@BUNDLED_ALONE
def test_a_refresh_touches_no_row_of_another_account(
    db: psycopg.Connection, command: Command, home: SimulatorProcess, abroad: SimulatorProcess
) -> None:
    # As ten seconds later.
    db.execute("update stripe_copy.customer set _as_of = _as_of - interval '10 s'")
    db.execute("update stripe_sync.run set confirmed_at = confirmed_at - interval '10 s'")
    theirs = "select id, _as_of, _deleted, ctid, xmin from stripe_eu_copy.customer order by id"
    before = rows(db, theirs)
    customer = create(home, "customers", {"name": "only here"})["id"]
    shared = one(db, "select max(id) from stripe_eu.customer")
    answer = urllib3.request(
        "DELETE", f"{home.url}/v1/customers/{shared}", headers={"Authorization": f"Bearer {KEY}"}, timeout=20
    )
    assert answer.status == 200
    abroad.control("DELETE", "/requests")
    result = command("refresh", "customer")
    assert "as well" not in result.output
    assert "1 deleted" in result.output
    assert sent(abroad) == []
    assert one(db, "select name from stripe.customer where id = %s", customer) == "only here"
    assert count(db, "select count(*) from stripe.customer where id = %s", shared) == 0
    assert rows(db, theirs) == before
    # The same inside Postgres, for the second account.
    home.control("DELETE", "/requests")
    assert rows(
        db, "select inserted, updated, deleted from stripe_sync.refresh_now('customer', 'stripe_eu')"
    ) == [(0, 0, 0)]
    assert sent(home) == []
    assert rows(db, theirs) == before
    compared = command("verify", "customer", "--server", "stripe_eu")
    assert (compared.exit_code, "all equal" in compared.output) == (0, True)


def test_what_a_rollback_has_lost_is_asked_for_in_its_own_account(
    db: psycopg.Connection, home: SimulatorProcess, abroad: SimulatorProcess
) -> None:
    customer = one(db, "select min(id) from stripe_eu.customer")
    with db.transaction(force_rollback=True):
        db.execute("update stripe.customer set name = 'lost' where id = %s", (customer,))
        db.execute("update stripe_eu.customer set name = 'lost, too' where id = %s", (customer,))
    with db.transaction(force_rollback=True):
        db.execute("update stripe_eu_live.customer set name = 'alone' where id = 'cus_none'")
        made = one(db, "insert into stripe_eu_live.customer (name) values ('alone') returning id")
    assert queue_lost_writes(db) == 2
    assert queue_lost_writes(db) == 0
    doubts = "select schema, id from stripe_sync.refetch where resource = 'customer' order by 1, 2"
    assert {*rows(db, doubts)} == {
        ("stripe_copy", customer), ("stripe_eu_copy", customer), ("stripe_eu_copy", made),
    }  # fmt: skip
    db.execute("truncate stripe_sync.refetch")


@BUNDLED_ALONE
def test_state_is_kept_for_each_account(db: psycopg.Connection, command: Command) -> None:
    with pytest.raises(psycopg.Error) as caught:
        db.execute("select stripe_sync.schedule_refresh('dispute', '0 3 * * *', 'stripe_eu')")
    assert str(caught.value.diag.message_hint).endswith(": stripe-fdw refresh --server stripe_eu dispute")
    db.execute("select stripe_sync.schedule_refresh('customer', '0 3 * * *', 'stripe_eu')")
    schedules = "select server, schedule from stripe_sync.status where resource = 'customer' order by 1"
    assert rows(db, schedules) == [("stripe", None), ("stripe_eu", "0 3 * * *")]
    assert one(db, "select stripe_sync.unschedule_refresh('customer')") is False
    assert one(db, "select stripe_sync.unschedule_refresh('customer', server => 'stripe_eu')") is True
    run = take_run(db, "stripe_copy", "customer", "")
    assert run is not None
    assert "customer: " in command("refresh", "customer", "--server", "stripe_eu").output
    run.release()
    shown = command("status").output
    assert "stripe_eu.customer" in shown
    assert "\ncustomer" in shown
    assert "\nstripe_eu  " in shown  # its events
    one_server = command("status", "--server", "stripe_eu").output
    assert "\ncustomer" not in one_server
    assert "\nstripe_eu  " in one_server
    assert "\nstripe  " not in one_server


@BUNDLED_ALONE
def test_requests_that_go_elsewhere_than_those_of_the_foreign_tables_are_told(
    command: Command, home: SimulatorProcess, abroad: SimulatorProcess
) -> None:
    told = f"requests go to {home.url}, where the key of STRIPE_API_KEY_STRIPE_EU is sent"
    for variables, is_told in (
        ({"STRIPE_API_KEY_STRIPE_EU": EU_KEY}, True),
        ({"STRIPE_API_KEY_STRIPE_EU": EU_KEY, "STRIPE_API_BASE": f"{abroad.url}/"}, False),
        ({}, False),  # the key and the address are those of the server
    ):
        shown = command("webhook", "list", "--server", "stripe_eu", **variables).output
        assert (told in shown, "requests go to" in shown) == (is_told, is_told)
        assert (f"foreign tables of server stripe_eu to {abroad.url}" in shown) is is_told


@BUNDLED_ALONE
def test_a_live_key_is_refused_for_copies_of_test_mode(db: psycopg.Connection, command: Command) -> None:
    live = "sk_live_" + KEY.removeprefix("sk_test_")
    for server in ("stripe", "stripe_eu"):
        variable = find_server(db, server).key_variable
        with pytest.raises(OtherAccountError, match="in test mode") as caught:
            command("refresh", "customer", "--server", server, **{variable: live})
        assert "in live mode" in str(caught.value.detail)


@BUNDLED_ALONE
def test_a_key_of_another_account_is_refused(db: psycopg.Connection, command: Command) -> None:
    own = db.execute("select account_id from stripe_sync.account where schema = 'stripe_eu_copy'").fetchone()
    db.execute(
        "update stripe_sync.account set account_id = 'acct_eu', keys = '{}' where schema = 'stripe_eu_copy'"
    )
    try:
        with pytest.raises(
            OtherAccountError, match="schema stripe_eu_copy are of account acct_eu in test mode"
        ):
            command("refresh", "customer", "--server", "stripe_eu")
        error = failing(db, "update stripe_eu.customer set name = 'Mia'")
        assert "view stripe_eu.customer shows another account than that of the key" in said(error)
        assert command("refresh", "customer").exit_code == 0
    finally:
        db.execute("update stripe_sync.account set account_id = %s where schema = 'stripe_eu_copy'", own)


@BUNDLED_ALONE
def test_a_server_of_a_connected_account_has_its_copies(
    db: psycopg.Connection, command: Command, home: SimulatorProcess, host: str, warnings: list[str]
) -> None:
    account = create(home, "accounts", {"type": "express", "country": "US"})["id"]
    inserted = command(
        "init", "--host", host, "--server", "seller", "--schema", "seller", "--copies", "customer",
        "--option", f"stripe_account={account}", STRIPE_API_KEY_SELLER=KEY,
    )  # fmt: skip
    assert "server stripe is brought up to date by its own: stripe-fdw init\n" in inserted.output
    assert "stripe-fdw init --server stripe_eu\n" in inserted.output
    try:
        made = one(db, "insert into seller_live.customer (name) values ('theirs') returning id")
        assert command("refresh", "customer", "--server", "seller").exit_code == 0
        assert column(db, "select id from seller.customer") == [made]
        assert one(db, "select account_id from stripe_sync.account where schema = 'seller_copy'") == account
        assert rows(db, "select unchanged, deleted from stripe_sync.refresh_now('customer', 'seller')") == [
            (1, 0)
        ]
        assert count(db, "select count(*) from stripe.customer where id = %s", made) == 0
        # What is written goes to the connected account, and is copied.
        home.control("DELETE", "/requests")
        db.execute("update seller.customer set name = 'through the view'")
        assert column(db, "select name from seller.customer") == ["through the view"]
        db.execute("update seller_live.customer set name = 'of the seller' where id = %s", (made,))
        assert column(db, "select name from seller.customer") == ["of the seller"]
        assert {item["account"] for item in home.requests()} == {account}
        assert [text for text in warnings if "not copied" in text] == []
        with db.transaction(force_rollback=True):
            db.execute("update seller.customer set name = 'lost'")
        queue_lost_writes(db)
        doubts = "select id from stripe_sync.refetch where schema = 'seller_copy'"
        assert column(db, doubts) == [made]
        # The server of another account is that of no copy.
        db.execute("alter server seller options (drop stripe_account)")
        error = failing(db, "update seller.customer set name = 'ours'")
        assert "view seller.customer shows another account than that of the key" in said(error)
    finally:
        kept = "select schema, resource, finished_at from stripe_sync.status where schema <> 'seller_copy'"
        others = rows(db, f"{kept} order by 1, 2")
        error = failing(db, "select stripe_sync.remove_server('seller')")
        assert "DROP SCHEMA seller, seller_copy, seller_live CASCADE" in said(error)
        db.execute("drop schema seller, seller_live, seller_copy cascade; drop server seller cascade")
        db.execute("select stripe_sync.remove_server('seller')")
        assert rows(db, f"{kept} order by 1, 2") == others
        assert count(db, "select count(*) from stripe_sync.status where schema = 'seller_copy'") == 0
        assert count(db, "select count(*) from stripe_sync.account where schema = 'seller_copy'") == 0
        assert count(db, "select count(*) from stripe_sync.server where name = 'seller'") == 0


# -- names --------------------------------------------------------------------------------------------------


@BUNDLED_ALONE
def test_a_server_without_a_key_is_said_with_what_to_set(db: psycopg.Connection, command: Command) -> None:
    with db.transaction(force_rollback=True):
        assert find_server(db) == Schemas()
    db.execute("drop user mapping for current_user server stripe_eu")
    try:
        with pytest.raises(OptionError, match="no API key for server stripe_eu") as caught:
            command("refresh", "customer", "--server", "stripe_eu")
        assert "Set STRIPE_API_KEY_STRIPE_EU" in str(caught.value.hint)
        db.execute(
            "create user mapping for current_user server stripe_eu options (api_key_file '/nowhere/key')"
        )
        with pytest.raises(OptionError) as caught:
            command("verify", "--server", "stripe_eu")
        assert "api_key_file" in str(caught.value.detail)
        db.execute("drop user mapping for current_user server stripe_eu")
    finally:
        db.execute(
            f"create user mapping for current_user server stripe_eu options (api_key '{EU_KEY}')".encode()
        )


@BUNDLED_ALONE
def test_schemas_belong_to_one_server(
    db: psycopg.Connection, command: Command, abroad: SimulatorProcess, host: str
) -> None:
    assert choose_names(db, "stripe_eu", None) == choose_names(db, "stripe_eu", "stripe_eu") == EU
    assert choose_names(db, "third", "third") == Schemas("third", "third")
    for server, schema, text in (
        ("stripe_eu", "other", "server stripe_eu is installed in schema stripe_eu, not other"),
        ("third", None, "schema stripe cannot be used: server stripe has the schemas stripe, stripe_live"),
        ("third", "stripe_eu", "server stripe_eu has the schemas"),
        ("third", "stripe_eu_copy", "server stripe_eu has the schemas"),
        ("stripe_copy", "third", "server stripe has the schemas"),
        ("stripe-eu", "third", "would take its key from STRIPE_API_KEY_STRIPE_EU, as server stripe_eu does"),
    ):
        with pytest.raises(InstallError, match=text) as caught:
            choose_names(db, server, schema)
        assert "DROP" not in str(caught.value.hint).upper()
    for server, hint in (
        ("third", "--server third --schema third. To bring server stripe up to date: --server stripe."),
        ("stripe_copy", "--server stripe_copy --schema NAME."),
    ):
        with pytest.raises(InstallError) as caught:
            choose_names(db, server, "stripe")
        assert hint in str(caught.value.hint)
    with pytest.raises(InstallError, match='server "third" is not installed') as caught:
        command("refresh", "--server", "third")
    assert "Installed: stripe, stripe_eu." in str(caught.value.hint)
    for call in ("invalidate('customer', null, 'third')", "refresh_now('customer', 'third')"):
        assert 'server "third" is not installed' in said(failing(db, f"select stripe_sync.{call}"))
    db.execute("select stripe_sync.invalidate('customer', server => 'stripe_eu')")
    result = command("init", "--host", host, "--server", "stripe_eu", STRIPE_API_BASE=abroad.url)
    assert "nothing to do" in result.output


@BUNDLED_ALONE
def test_no_hint_of_an_installation_would_drop_a_server(
    db: psycopg.Connection, home: SimulatorProcess
) -> None:
    """What was made by hand, or by another program, may be what is meant, and is not ours to drop."""
    with db.transaction(force_rollback=True):
        db.execute("create schema hand_live; create server made_by_hand foreign data wrapper stripe_fdw")
        db.execute("import foreign schema stripe limit to (customer) from server made_by_hand into hand_live")
        plan = InstallPlan("bundled", "third", {"api_base": home.url}, schema="hand")
        with pytest.raises(InstallError, match="belong to server made_by_hand, not third") as caught:
            install_into(db, plan)
        assert caught.value.hint == (
            "To bring that server up to date: --server made_by_hand --schema hand."
            " Or give server third schemas of its own: --schema NAME."
        )
    with db.transaction(force_rollback=True):
        db.execute(
            "create foreign data wrapper of_others; create server fourth foreign data wrapper of_others"
        )
        plan = InstallPlan("bundled", "fourth", {}, schema="fourth")
        with pytest.raises(InstallError, match="belongs to foreign data wrapper of_others") as caught:
            install_into(db, plan)
        assert caught.value.hint == "Install another server beside it: --server NAME --schema NAME."


# -- earlier versions ---------------------------------------------------------------------------------------


@BUNDLED_ALONE
def test_an_installation_of_an_earlier_version_is_taken_over(db: psycopg.Connection) -> None:
    with db.transaction(force_rollback=True):
        # As an earlier version has left it: one server, which its functions know by the schema of its copies.
        db.execute("select set_config('search_path', 'pg_catalog', true)")
        db.execute("drop view stripe_sync.status; drop table stripe_sync.server cascade")
        db.execute("drop function stripe_sync.refresh, stripe_sync.invalidate")
        db.execute(
            "drop schema stripe_eu, stripe_eu_copy, stripe_eu_live cascade; drop server stripe_eu cascade"
        )
        db.execute("delete from stripe_sync.resource where schema <> 'stripe_copy'")
        db.execute("delete from stripe_sync.run where schema <> 'stripe_copy'")
        db.execute("alter server stripe rename to acme")
        for old in (
            "refresh(resource text, schema text default 'stripe_copy')",
            "invalidate(resource text, id text)",
        ):
            db.execute(
                f"create function stripe_sync.{old} returns bigint language sql as 'select 1'".encode()
            )
        db.execute("alter foreign table stripe_live.customer options (set copied 'true')")
        db.execute("create schema stripe_jobs")
        db.execute("create table stripe_jobs.procrastinate_jobs (task_name text, args jsonb)")
        db.execute(
            "insert into stripe_jobs.procrastinate_jobs values"
            ' (\'refresh\', \'{"schema": "stripe_copy", "resource": "customer"}\')'
        )
        assert find_server(db) == find_server(db, "acme") == Schemas("acme")
        with pytest.raises(InstallError, match='server "stripe_eu" is not installed'):
            find_server(db, "stripe_eu")
        list(install_copies(db, find_server(db), COPIED))
        assert rows(db, "select name, schema from stripe_sync.server") == [("acme", "stripe")]
        assert column(db, "select distinct server from stripe_sync.status") == ["acme"]
        assert rows(db, "select args from stripe_jobs.procrastinate_jobs") == [
            ({"server": "acme", "resource": "customer"},)
        ]
        functions = (
            "select count(*) from pg_proc where pronamespace = 'stripe_sync'::regnamespace and proname = "
        )
        assert count(db, functions + "'refresh'") == 1
        assert one(db, "select (stripe_sync.require_server('stripe')).name") == "acme"
        customer = one(db, "select min(id) from stripe.customer")
        db.execute("update stripe_live.customer set name = 'taken over' where id = %s", (customer,))
        assert one(db, "select name from stripe.customer where id = %s", customer) == "taken over"
