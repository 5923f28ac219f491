"""What applications do with local copies, filled by the command line; Stripe may be down meanwhile."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from stripe_fdw.devstack.private_postgres import Cluster
from stripe_fdw.host.postgres_installation import PostgresInstallation
from stripe_simulator.process import SimulatorProcess
from support.database import KEY, create, rows
from support.installed_host import installed_tree
from support.simulators import Simulators

from .conftest import Run

RESOURCES = ("product", "price", "customer", "subscription", "subscription_item", "invoice", "line_item")
MOVIES = 2000


@pytest.fixture(scope="module")
def stripe(simulators: Simulators) -> SimulatorProcess:
    """A simulated Stripe whose products belong to groups, with a trial of an organization."""
    simulator = simulators("acceptance of copies", customers=12, seed=3)
    for product, group in (("prod_classics", "classics"), ("prod_news", "news")):
        create(simulator, "products", {"id": product, "name": group, "metadata[group]": group})
        price = create(
            simulator,
            "prices",
            {"product": product, "currency": "usd", "unit_amount": 900, "recurring[interval]": "month"},
        )
        customer = create(simulator, "customers", {"email": f"{group}@example.com"})
        subscribed = {"customer": customer["id"], "items[0][price]": price["id"], "trial_period_days": 9}
        if group == "classics":
            del subscribed["trial_period_days"]
            subscribed |= {"collection_method": "send_invoice", "days_until_due": 30}
        create(simulator, "subscriptions", {**subscribed, "metadata[platform]": "web"})
    return simulator


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A server without foreign tables: copies need none."""
    cluster = Cluster(tmp_path_factory.mktemp("postgres"), installed_tree("tests"))
    cluster.initialize()
    cluster.start()
    yield cluster
    cluster.stop()


@pytest.fixture(scope="module")
def variables(postgres: Cluster, stripe: SimulatorProcess) -> dict[str, str]:
    """The settings of the command line for a database of the application's."""
    with psycopg.connect(postgres.dsn(), autocommit=True) as connection:
        connection.execute("create database app")
    dsn = postgres.dsn("app")
    unlimited = {"STRIPE_FDW_MAX_REQUESTS_PER_SECOND": "10000", "STRIPE_FDW_BACKGROUND_SHARE": "1"}
    return {"DATABASE_URL": dsn, "STRIPE_API_KEY": KEY, "STRIPE_API_BASE": stripe.url, **unlimited}


@pytest.fixture(scope="module")
def app(module_stripe_fdw: Run, variables: dict[str, str]) -> Iterator[psycopg.Connection]:
    """A session of an application whose database has copies and tables of its own."""
    done = module_stripe_fdw("refresh", *RESOURCES, **variables)
    assert done.returncode == 0, done.stderr
    with psycopg.connect(variables["DATABASE_URL"], autocommit=True) as connection:
        yield connection


@pytest.fixture
def down(stripe: SimulatorProcess) -> Iterator[None]:
    """Stripe is down, and nothing asks for it."""
    stripe.control("DELETE", "/requests")
    stripe.control("POST", "/faults", {"kind": "status", "status": 503, "path": "/v1/**", "count": None})
    yield
    stripe.control("DELETE", "/faults")
    assert stripe.requests() == []


@pytest.mark.usefixtures("down")
def test_a_search_shows_what_a_customer_has_subscribed_to(app: psycopg.Connection) -> None:
    app.execute("create table movie_search (id int primary key, info text, subscription_groups text[])")
    app.execute(
        "insert into movie_search"
        " select n, case when mod(n, 50) = 0 then 'Harrison and Ford, ' || n else 'x' end,"
        "        array[case when mod(n, 100) = 0 then 'classics' else 'news' end]"
        "   from generate_series(1, %s) n",
        (MOVIES,),
    )
    app.execute("create index on movie_search using gin (to_tsvector('english', info))")
    app.execute("analyze movie_search")
    search = sql.SQL(
        "select m.id, exists(select 1 from stripe.subscription s"
        " join stripe.subscription_item si on s.id = si.subscription_id"
        " join stripe.product p on si.product_id = p.id"
        " where s.customer_id = {} and s.status = 'active'"
        " and p.metadata ->> 'group' = any(m.subscription_groups)) as is_included"
        " from movie_search m"
        " where to_tsvector('english', m.info) @@ to_tsquery('english', 'harrison & ford') order by m.id"
    ).format(rows(app, "select id from stripe.customer where email = 'classics@example.com'")[0][0])
    found = rows(app, search.as_string())
    assert len(found) == MOVIES // 50
    assert all(is_included is (movie % 100 == 0) for movie, is_included in found)
    # Without the setting these small tables would be read as a whole; what no index can do is read so still.
    app.execute("set enable_seqscan = off")
    plan = "\n".join(line for (line,) in rows(app, f"explain {search.as_string()}"))
    app.execute("reset enable_seqscan")
    assert "Seq Scan" not in plan
    assert "Foreign Scan" not in plan
    assert plan.count("Index") >= 4


@pytest.mark.usefixtures("down")
def test_a_banner_counts_the_days_of_a_trial(app: psycopg.Connection) -> None:
    app.execute("create table orgs (id int primary key, stripe_customer text)")
    app.execute(
        "insert into orgs select row_number() over (order by email desc), id from stripe.customer"
        " where email in ('news@example.com', 'classics@example.com')"
    )
    app.execute("insert into orgs values (3, null)")
    banner = (
        "select o.id, s.status, ceil(extract(epoch from s.trial_end - now()) / 86400)::int from orgs o"
        " left join stripe.subscription s"
        " on s.customer_id = o.stripe_customer and s.metadata ->> 'platform' = 'web' order by o.id"
    )
    news, classics, none = rows(app, banner)
    assert news == (1, "trialing", 9)
    assert classics == (2, "active", None)
    assert none == (3, None, None)


@pytest.mark.usefixtures("down")
def test_a_purchase_can_be_ordered_again_while_it_is_in_stock(app: psycopg.Connection) -> None:
    app.execute("create table stock (product_id text primary key, units int)")
    app.execute(
        "insert into stock select id, case when id = 'prod_news' then 0 else 7 end from stripe.product"
    )
    bought = (
        "select distinct i.customer_id, l.product_id, s.units > 0 as can_be_ordered"
        " from stripe.invoice i join stripe.line_item l on l.invoice_id = i.id"
        " join stock s on s.product_id = l.product_id"
    )
    found = rows(app, bought)
    assert len(found) > 3
    assert all(can_be_ordered is (product != "prod_news") for _, product, can_be_ordered in found)


def test_a_full_refresh_repairs_damaged_copies(
    app: psycopg.Connection, module_stripe_fdw: Run, variables: dict[str, str]
) -> None:
    whole = "select * from stripe_copy.customer order by id"
    columns = (
        "select id, email, name, metadata, created, _raw, _deleted from stripe_copy.customer order by id"
    )
    before = rows(app, columns)
    app.execute("delete from stripe_copy.customer where id in (select id from stripe_copy.customer limit 3)")
    app.execute("update stripe_copy.customer set _raw = '{\"id\": \"none\"}', email = 'damaged@example.com'")
    assert rows(app, whole) != before
    done = module_stripe_fdw("refresh", "customer", **variables)
    assert done.returncode == 0, done.stderr
    assert rows(app, columns) == before


def test_a_restored_dump_has_the_copies_and_the_next_refresh_writes_nothing(
    app: psycopg.Connection, module_stripe_fdw: Run, variables: dict[str, str], tmp_path: Path
) -> None:
    dsn = variables["DATABASE_URL"]
    restored = psycopg.conninfo.make_conninfo(dsn, dbname="restored")
    programs = PostgresInstallation.find().bindir
    dump = tmp_path / "app.sql"
    subprocess.run([programs / "pg_dump", "--file", dump, dsn], check=True, capture_output=True)
    app.execute("create database restored")
    load = [programs / "psql", "--quiet", "--set", "ON_ERROR_STOP=1", "--file", dump, restored]
    subprocess.run(load, check=True, capture_output=True)
    state = "select resource, state, inserted from stripe_sync.status order by resource"
    with psycopg.connect(restored, autocommit=True) as connection:
        assert rows(connection, state) == rows(app, state)
        assert rows(connection, "select * from stripe.customer order by id") == rows(
            app, "select * from stripe.customer order by id"
        )
        done = module_stripe_fdw("refresh", *RESOURCES, **{**variables, "DATABASE_URL": restored})
        assert done.returncode == 0, done.stderr
        written = "select sum(inserted), sum(updated), sum(deleted) from stripe_sync.status"
        assert rows(connection, written) == [(0, 0, 0)]
