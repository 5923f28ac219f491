"""Webhooks over HTTP: what is answered, and what is stored before it is answered."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from stripe_fdw.copies.install import install_copies
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.devstack.private_postgres import Cluster, PrivateInstallation
from support.database import column, count, create, one, rows
from support.simulators import Simulators
from support.waiting import hang_guard, wait_until
from support.webhooks import SECRET, ServeProcess, event, serving, signature

OTHER_SECRET = "whsec_testsOfTheReceiver2"
STORED_SECRET = "whsec_testsOfTheReceiver3"
LARGEST = 1 << 20
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def receiver(database: str) -> Iterator[ServeProcess]:
    """A receiver with two secrets of the server `stripe`."""
    with serving(database, STRIPE_WEBHOOK_SECRET=f"{OTHER_SECRET}, {SECRET}") as receiver:
        yield receiver


def stored(db: psycopg.Connection) -> list[object]:
    return column(db, "select id from stripe_sync.inbox order by position")


def padded(size: int) -> bytes:
    """An event of this size in bytes."""
    body = event(padding="")
    return json.dumps({**body, "padding": "x" * (size - len(json.dumps(body)))}).encode()


# -- taken --------------------------------------------------------------------------------------------------


def test_an_event_is_in_the_inbox_when_it_is_answered(receiver: ServeProcess, db: psycopg.Connection) -> None:
    sent = event()
    assert receiver.post(sent).status == 200
    assert rows(db, "select schema, id, type, account, livemode, source, body from stripe_sync.inbox") == [
        ("stripe_copy", sent["id"], "customer.updated", "", False, "webhook", sent)
    ]


def test_an_event_that_comes_twice_is_stored_once_and_answered_200(
    receiver: ServeProcess, db: psycopg.Connection
) -> None:
    sent = event()
    assert [receiver.post(sent).status for _ in range(2)] == [200, 200], receiver.printed
    assert stored(db) == [sent["id"]]


def test_events_of_connected_accounts_and_of_the_other_mode_are_kept_as_such(
    receiver: ServeProcess, db: psycopg.Connection
) -> None:
    for sent in (event(account="acct_1"), event(livemode=True), event(type="never.heard_of")):
        assert receiver.post(sent).status == 200
    kinds = "select account, livemode, type from stripe_sync.inbox order by position"
    assert rows(db, kinds) == [
        ("acct_1", False, "customer.updated"),
        ("", True, "customer.updated"),
        ("", False, "never.heard_of"),
    ]


def test_concurrent_posts_share_transactions(receiver: ServeProcess, db: psycopg.Connection) -> None:
    sent = [event() for _ in range(200)]
    with ThreadPoolExecutor(50) as threads:
        statuses = {answer.status for answer in threads.map(receiver.post, sent)}
    assert statuses == {200}, receiver.printed
    assert set(stored(db)) == {item["id"] for item in sent}
    assert count(db, "select count(distinct xmin::text) from stripe_sync.inbox") < 150


# -- refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(lambda: "", id="none"),
        pytest.param(lambda: "t=1,v1=", id="empty"),
        pytest.param(lambda: "t=soon,v1=00", id="without a time"),
        pytest.param(lambda: "v1", id="without values"),
        pytest.param(lambda: "\xfc", id="not ASCII"),
        pytest.param(lambda: signature(b"{}", "whsec_ofAnotherEndpoint"), id="of another secret"),
        pytest.param(lambda: signature(b"{}", age=330), id="too old"),
        pytest.param(lambda: signature(b"{}", scheme="v0"), id="of another scheme"),
        pytest.param(lambda: signature(b"{ }"), id="of another body"),
    ],
)
def test_a_body_without_a_valid_signature_is_refused(
    receiver: ServeProcess, db: psycopg.Connection, header: Callable[[], str]
) -> None:
    answer = receiver.post(b"{}", header())
    assert answer.status == 400
    assert b"sign" in answer.data.lower()
    assert b"whsec" not in answer.data
    assert stored(db) == []


def test_a_signature_that_is_too_old_is_told_from_one_by_another_secret(database: str) -> None:
    with serving(database, STRIPE_WEBHOOK_SECRET=SECRET) as receiver:
        assert b"more than 5 minutes old" in receiver.post(b"{}", signature(b"{}", age=330)).data
        wrong = signature(b"{}", "whsec_ofAnotherEndpoint", age=330)
        assert b"by no secret that is known" in receiver.post(b"{}", wrong).data
        told = "server stripe: refused 1 post: the signature is more than 5 minutes old by the clock here\n"
        wait_until(lambda: told in receiver.printed)


def test_one_valid_signature_among_others_is_enough(receiver: ServeProcess, db: psycopg.Connection) -> None:
    body = json.dumps(event()).encode()
    valid = signature(body)
    header = f"{valid.partition(',')[0]},v0=00,v1={'0' * 64},{valid.partition(',')[2]}"
    assert receiver.post(body, header).status == 200


@pytest.mark.parametrize("secret", [SECRET, OTHER_SECRET])
def test_each_of_several_secrets_signs(receiver: ServeProcess, db: psycopg.Connection, secret: str) -> None:
    assert receiver.post(event(), secret=secret).status == 200
    assert len(stored(db)) == 1


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"null", b"\xff", b'{"object": "customer"}', b'{"object": "v2.core.event"}',
        json.dumps(event(created="now")).encode(), json.dumps(event(account=7)).encode(),
    ],
)  # fmt: skip
def test_what_is_no_event_is_refused(receiver: ServeProcess, db: psycopg.Connection, body: bytes) -> None:
    assert receiver.post(body).status == 400
    assert stored(db) == []


def test_a_value_that_the_database_refuses_keeps_no_other_event_out(
    receiver: ServeProcess, db: psycopg.Connection
) -> None:
    sent = [event() for _ in range(40)] + [event(id=f"evt_\0{number}") for number in range(3)]
    with ThreadPoolExecutor(43) as threads:
        statuses = [answer.status for answer in threads.map(receiver.post, sent)]
    assert statuses == [200] * 40 + [400] * 3
    assert len(stored(db)) == 40


def test_a_body_of_the_largest_size_is_taken_and_a_larger_one_is_not(
    receiver: ServeProcess, db: psycopg.Connection
) -> None:
    assert receiver.post(padded(LARGEST)).status == 200
    assert receiver.post(padded(LARGEST + 1)).status == 413
    assert len(stored(db)) == 1


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n%b\r\n", id="body"),
        pytest.param(b"X: ", b"%b", id="head"),
    ],
)
def test_what_has_no_end_is_cut_off_while_it_is_read(
    receiver: ServeProcess, head: bytes, piece: bytes
) -> None:
    address = urlsplit(receiver.url)
    with hang_guard(), socket.create_connection((address.hostname, address.port), 10) as connection:
        connection.sendall(b"POST /webhooks/stripe HTTP/1.1\r\nHost: x\r\n" + head)
        gigabytes = piece % (b"x" * 0x10000) * 1000
        with pytest.raises(ConnectionError):
            connection.sendall(gigabytes)


def test_other_servers_paths_and_methods_are_refused(receiver: ServeProcess) -> None:
    assert receiver.post(event(), path="/webhooks/stripe_eu").status == 404
    assert receiver.post(event(), path="/webhooks").status == 404
    assert receiver.post(event(), path="/").status == 404
    answer = receiver.get("/webhooks/stripe")
    assert (answer.status, answer.headers["Allow"]) == (405, "POST")


# -- servers and secrets ------------------------------------------------------------------------------------


def test_a_server_has_a_path_and_secrets_of_its_own(database: str, db: psycopg.Connection) -> None:
    with db.transaction():
        list(install_copies(db, Schemas("stripe_eu", "stripe_eu"), ["customer"]))
    secrets = {"STRIPE_WEBHOOK_SECRET": SECRET, "STRIPE_WEBHOOK_SECRET_STRIPE_EU": OTHER_SECRET}
    try:
        with serving(database, **secrets) as receiver:
            assert receiver.post(event(), secret=OTHER_SECRET, path="/webhooks/stripe_eu").status == 200
            assert receiver.post(event(), secret=SECRET, path="/webhooks/stripe_eu").status == 400
            assert receiver.post(event(), secret=OTHER_SECRET).status == 400
            assert "POST /webhooks/stripe_eu: events of server stripe_eu, 1 signing" in receiver.printed
        assert column(db, "select schema from stripe_sync.inbox") == ["stripe_eu_copy"]
    finally:
        db.execute("delete from stripe_sync.server where name = 'stripe_eu'")


def test_what_does_not_look_like_a_secret_is_said(database: str) -> None:
    with serving(database, STRIPE_WEBHOOK_SECRET=f"{SECRET},we_1NotASecret") as receiver:
        said = "events of server stripe, 2 signing secrets (1 without the prefix of Stripe's)\n"
        wait_until(lambda: said in receiver.printed)
        assert "we_1NotASecret" not in receiver.printed


def test_secrets_in_the_database_need_no_restart_and_end(database: str, db: psycopg.Connection) -> None:
    with serving(database) as receiver:
        answer = receiver.post(event(), secret=STORED_SECRET)
        assert (answer.status, answer.data) == (503, b"no signing secret of this server is known\n")
        db.execute(
            "insert into stripe_sync.webhook_secret (endpoint, server, url, secret, valid_until) values"
            " ('we_1', 'stripe', '', %s, null), ('we_2', 'stripe', '', %s, now() - interval '1 s')",
            (STORED_SECRET, OTHER_SECRET),
        )
        # At once: Stripe would send a refused event again only after minutes.
        assert receiver.post(event(), secret=STORED_SECRET).status == 200
        assert receiver.post(event(), secret=OTHER_SECRET).status == 400
        db.execute(
            "update stripe_sync.webhook_secret set secret = %s where endpoint = 'we_1'", (OTHER_SECRET,)
        )
        assert receiver.post(event(), secret=OTHER_SECRET).status == 200
        db.execute("truncate stripe_sync.webhook_secret")
        assert STORED_SECRET not in receiver.printed


def test_a_view_in_the_place_of_the_secrets_is_not_read(database: str, db: psycopg.Connection) -> None:
    db.execute("alter table stripe_sync.webhook_secret rename to kept_secret")
    db.execute(
        "create view stripe_sync.webhook_secret as select 'stripe' as server,"
        f" '{STORED_SECRET}' as secret, now() as created_at, null::timestamptz as valid_until".encode()
    )
    try:
        with serving(database) as receiver:
            assert receiver.post(event(), secret=STORED_SECRET).status == 503
    finally:
        db.execute("drop view stripe_sync.webhook_secret")
        db.execute("alter table stripe_sync.kept_secret rename to webhook_secret")
    assert stored(db) == []


def test_only_the_installing_role_reads_secrets(db: psycopg.Connection) -> None:
    db.execute("drop table stripe_sync.webhook_secret")
    db.execute("alter default privileges in schema stripe_sync grant select on tables to public")
    try:
        with db.transaction():
            list(install_copies(db, Schemas(), ["customer"]))
    finally:
        db.execute("alter default privileges in schema stripe_sync revoke select on tables from public")
    granted = "select count(*) from information_schema.table_privileges where grantee <> current_user"
    assert count(db, f"{granted} and table_name = 'webhook_secret'") == 0


# -- the simulator's own deliveries -------------------------------------------------------------------------


def test_the_simulators_deliveries_arrive(
    simulators: Simulators, receiver: ServeProcess, db: psycopg.Connection
) -> None:
    stripe = simulators("webhooks", customers=5, seed=3)
    endpoint = {"url": f"{receiver.url}/webhooks/stripe", "secret": SECRET, "enabled_events": ["*"]}
    stripe.control("POST", "/webhook_endpoints", endpoint)
    stripe.control("POST", "/webhooks", {"duplicate": 1.0})
    made = create(stripe, "customers", {"email": "ada@example.com"})
    wait_until(lambda: stripe.control("GET", "/webhooks")["pending"] == 0)
    found = "select type, body->'data'->'object'->>'id' from stripe_sync.inbox"
    wait_until(lambda: rows(db, found) == [("customer.created", made["id"])])


# -- health, and a database that is gone --------------------------------------------------------------------


@pytest.fixture
def other_cluster(tree: PrivateInstallation, tmp_path: Path) -> Iterator[Cluster]:
    """A server of the test's own, with an inbox."""
    cluster = Cluster(tmp_path, tree)
    cluster.initialize()
    cluster.start()
    with psycopg.connect(cluster.dsn()) as connection:
        list(install_copies(connection, Schemas(), ["customer"]))
    yield cluster
    cluster.stop()


def test_posts_are_answered_503_while_the_database_is_gone(other_cluster: Cluster) -> None:
    with serving(other_cluster.dsn(), STRIPE_WEBHOOK_SECRET=SECRET) as receiver:
        sent = [event() for _ in range(4)]
        assert receiver.post(sent[0]).status == 200
        assert receiver.get("/readyz").status == 200
        other_cluster.stop()
        with ThreadPoolExecutor(20) as threads:
            assert {item.status for item in threads.map(receiver.post, [sent[1]] * 20)} == {503}
        wait_until(lambda: receiver.get("/readyz").status == 503)
        assert b"No such file" in receiver.get("/readyz").data
        # Where the database is does not concern those who post.
        assert receiver.post(sent[1]).data == b"the database is not available\n"
        assert receiver.get("/healthz").status == 200
        assert receiver.post(sent[1], secret=OTHER_SECRET).status == 400
        other_cluster.start()
        wait_until(lambda: receiver.post(sent[1]).status == 200)
        wait_until(lambda: receiver.get("/readyz").status == 200)
        assert receiver.printed.count("the database is not available") == 1
        assert receiver.printed.count("the database is available again") == 1
        other_cluster.stop()
        other_cluster.start()
        assert receiver.post(sent[2]).status == 200  # by a new connection, at once
        with psycopg.connect(other_cluster.dsn()) as connection:
            assert stored(connection) == [item["id"] for item in sent[:3]]


KILL_RECEIVERS = """
    select pg_terminate_backend(pid) from pg_stat_activity
     where datname = current_database() and pid <> pg_backend_pid()
"""


def test_what_was_answered_200_is_stored_though_its_sessions_are_killed(
    receiver: ServeProcess, db: psycopg.Connection
) -> None:
    taken: list[str] = []
    refused: list[int] = []

    def post(sent: dict[str, Any]) -> None:
        while (answer := receiver.post(sent)).status != 200:  # as Stripe does
            refused.append(answer.status)
        taken.append(sent["id"])

    sent = [event() for _ in range(150)]
    with ThreadPoolExecutor(10) as threads:
        posts = [threads.submit(post, item) for item in sent]
        for number in range(1, 4):
            wait_until(lambda number=number: len(taken) >= 30 * number)  # type: ignore[misc]
            db.execute(KILL_RECEIVERS)
    assert [item.exception() for item in posts] == [None] * len(sent)
    assert set(refused) <= {503}
    assert sorted(map(str, stored(db))) == sorted(taken) == sorted(item["id"] for item in sent)


def test_a_receiver_may_start_before_the_database(other_cluster: Cluster) -> None:
    other_cluster.stop()
    with serving(other_cluster.dsn(), STRIPE_WEBHOOK_SECRET=SECRET) as receiver:
        assert receiver.post(event()).status == 503
        other_cluster.start()
        wait_until(lambda: receiver.post(event()).status == 200)


def test_a_database_without_an_inbox_is_not_ready(cluster: Cluster) -> None:
    with serving(cluster.dsn("template1"), STRIPE_WEBHOOK_SECRET=SECRET) as receiver:
        answer = receiver.get("/readyz")
        assert (answer.status, b"after stripe-fdw init, stripe-fdw worker" in answer.data) == (503, True)
        assert "run stripe-fdw init" in receiver.printed
        assert receiver.post(event()).status == 404


WAITING = "select pid from pg_locks where not granted and relation = 'stripe_sync.inbox'::regclass"


def accepts(receiver: ServeProcess) -> bool:
    """Return True if the receiver accepts another connection."""
    address = urlsplit(receiver.url)
    try:
        socket.create_connection((address.hostname, address.port), 5).close()
    except ConnectionError:
        return False
    return True


def test_posts_under_way_are_answered_when_it_is_told_to_stop(database: str, db: psycopg.Connection) -> None:
    sent = event()
    with (
        serving(database, STRIPE_WEBHOOK_SECRET=SECRET) as receiver,
        psycopg.connect(database) as locking,
        ThreadPoolExecutor(1) as threads,
    ):
        locking.execute("lock table stripe_sync.inbox in share mode")
        answer = threads.submit(receiver.post, sent)
        wait_until(lambda: column(db, WAITING))
        os.kill(receiver.command.pid, signal.SIGTERM)
        wait_until(lambda: not accepts(receiver))
        assert "stopping after the requests under way" in receiver.printed
        locking.rollback()
        assert answer.result(20).status == 200
        assert receiver.command.wait(20) == 0
    assert one(db, "select id from stripe_sync.inbox") == sent["id"]


def test_stripe_sends_again_what_could_not_be_stored_in_time(
    receiver: ServeProcess, database: str, db: psycopg.Connection
) -> None:
    with psycopg.connect(database) as locking, ThreadPoolExecutor(1) as threads:
        locking.execute("lock table stripe_sync.inbox in share mode")
        answer = threads.submit(receiver.post, event())
        wait_until(lambda: column(db, WAITING))
        # As at the timeout of the statement, which would take its time.
        db.execute(
            "select pg_cancel_backend(pid) from pg_stat_activity where pid = any (%s)", (column(db, WAITING),)
        )
        assert answer.result(20).status == 503
    wait_until(lambda: receiver.post(event()).status == 200)  # after a pause


def test_a_role_with_the_documented_privileges_receives(database: str, db: psycopg.Connection) -> None:
    page = (ROOT / "docs" / "how-to" / "events.md").read_text()
    (script,) = re.findall(r"```sql\n(create role stripe_receiver .*?)```", page, flags=re.DOTALL)
    db.execute("select stripe_sync.make_inbox_partition(now())")
    db.execute(script.encode())
    try:
        url = database.replace("postgres@", "stripe_receiver@")
        with serving(url, STRIPE_WEBHOOK_SECRET=SECRET) as receiver:
            assert receiver.get("/readyz").status == 200
            assert receiver.post(event()).status == 200
    finally:
        db.execute("drop owned by stripe_receiver; drop role stripe_receiver")
