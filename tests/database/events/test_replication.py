"""A publication over the copies: a second Postgres follows them by logical replication."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from stripe_fdw.catalog import load
from stripe_fdw.copies.install import install_copies
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.devstack.private_postgres import Cluster, PrivateInstallation, unprivileged
from stripe_fdw.events.applier import Applier
from stripe_fdw.events.event import Event
from stripe_fdw.events.inbox import store
from support.database import failing, rows, said
from support.doc_pages import ROOT, blocks
from support.waiting import wait_until

from .conftest import COPIED


@pytest.fixture(scope="module")
def second_cluster(tree: PrivateInstallation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A second Postgres."""
    cluster = Cluster(tmp_path_factory.mktemp("second"), tree)
    cluster.initialize()
    cluster.start()
    yield cluster
    cluster.stop()


@pytest.fixture
def follower(second_cluster: Cluster) -> Iterator[psycopg.Connection]:
    """A session of it, with the tables of the copies."""
    with psycopg.connect(second_cluster.dsn(), autocommit=True) as connection:
        with connection.transaction():
            list(install_copies(connection, Schemas(), (*COPIED, "refund")))
        yield connection


def documented(word: str) -> str:
    """The statement of the documentation that begins with these words."""
    (found,) = (
        statement.strip()
        for block in blocks(ROOT / "docs" / "how-to" / "streams.md")
        for statement in block.text.split(";")
        if word in statement
    )
    return found[found.index(word) :]


def test_a_second_postgres_follows(
    db: psycopg.Connection, database: str, follower: psycopg.Connection
) -> None:
    if db.info.server_version < 150_000:
        pytest.skip("before PostgreSQL 15, a publication names its tables")
    applier = Applier(db, Schemas(), load(), lambda: None)

    def take(number: int, type_: str, item: dict[str, Any]) -> None:
        body = {
            "id": f"evt_{number}", "object": "event", "type": type_, "created": 1_700_000_000 + 9 * number,
            "livemode": False, "api_version": load().api_version, "data": {"object": item},
        }  # fmt: skip
        store(db, Schemas(), [Event.parse(body)], "webhook")
        assert applier.apply_some() == 1

    def there(query: str, expected: list[Any]) -> None:
        wait_until(lambda: rows(follower, query) == expected, query)

    product = {"id": "prod_1", "object": "product", "name": "Ada", "description": "long " * 2000}
    db.execute("insert into stripe_sync.account values ('stripe_copy', 'acct_1', false)")
    db.execute(documented("create publication").encode())
    take(1, "product.created", product)
    subscription = documented("create subscription").replace("host=… dbname=app user=follower", database)
    follower.execute(subscription.encode())
    try:
        state = "select name, description = repeat('long ', 2000), _deleted, _event from stripe_copy.product"
        there(state, [("Ada", True, False, "evt_1")])
        take(2, "product.updated", {**product, "name": "Eve"})
        there(state, [("Eve", True, False, "evt_2")])
        take(3, "product.deleted", {**product, "name": "Eve"})
        there(state, [("Eve", True, True, "evt_3")])
        # A copy that is made later, and one of a connected account.
        with db.transaction():
            list(install_copies(db, Schemas(), ["refund"]))
        follower.execute(documented("alter subscription").encode())
        take(4, "refund.created", {"id": "re_1", "object": "refund", "amount": 500})
        there("select id, amount from stripe_copy.refund", [("re_1", 500)])
    finally:
        follower.execute("drop subscription stripe_copies")
        db.execute("drop publication stripe_copies; delete from stripe_sync.account")
        db.execute("drop view stripe.refund; drop table stripe_copy.refund")
        db.execute("delete from stripe_sync.resource where name = 'refund'")


def test_a_wait_is_refused_on_a_standby(
    follower: psycopg.Connection, second_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> None:
    standby = Cluster(tmp_path_factory.mktemp("standby"), second_cluster.tree)
    standby.initialize()
    shutil.rmtree(standby.data)
    copy = [str(standby.tree.system.bindir / "pg_basebackup"), "--dbname", second_cluster.dsn()]
    subprocess.run(
        [*unprivileged(), *copy, "--pgdata", str(standby.data), "-R", "--checkpoint=fast", "--no-sync"],
        check=True,
        cwd=standby.directory,
    )
    with (standby.data / "postgresql.auto.conf").open("a") as conf:
        conf.write(f"unix_socket_directories = '{standby.socket}'\n")
    standby.start()
    try:
        with psycopg.connect(standby.dsn(), autocommit=True) as connection:
            for call in ("wait()", "wait('customer', 'cus_1')"):
                error = failing(connection, f"select stripe_sync.{call}")
                assert "cannot be used on a standby server" in said(error)
                assert "Call it on the primary server" in said(error)
    finally:
        standby.stop()
