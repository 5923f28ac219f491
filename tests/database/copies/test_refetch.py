"""Objects in doubt are asked for again until there is none, and locked rows hold up nothing else."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote, urlencode

import psycopg
import pytest
import urllib3

from stripe_fdw.api.client import Client
from stripe_fdw.catalog import load
from stripe_fdw.copies.apply import Applied, Evidence, apply
from stripe_fdw.copies.doubts import DoubtQueue
from stripe_fdw.copies.incomplete_lists import ListCompletion
from stripe_fdw.copies.new_columns import ColumnFiller, note_new_columns
from stripe_fdw.copies.refetch import Refetcher
from stripe_fdw.copies.refresh_run import LeftOut, ResourceRefresh
from stripe_fdw.copies.runs import Run, take_run
from stripe_fdw.copies.verify import Verifier
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.devstack.private_postgres import Cluster
from stripe_fdw.errors import Interrupted, StripeFdwError
from stripe_simulator.process import SimulatorProcess
from support.bare_stripe import BareStripe
from support.database import KEY
from support.simulators import Simulators
from support.waiting import wait_until

from .conftest import database_with_copies

CHOSEN = (
    *("account", "capability", "customer", "customer_tax_id"),
    *("invoice", "issuing_card", "line_item", "subscription_item"),
)


@pytest.fixture
def stripe(simulators: Simulators) -> SimulatorProcess:
    """A simulated Stripe as new."""
    return simulators("verified", customers=250, seed=7, not_activated=["issuing"])


@pytest.fixture(scope="module")
def doubtful(cluster: Cluster) -> str:
    return database_with_copies(cluster, "doubtful", CHOSEN)


@pytest.fixture
def db(doubtful: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(doubtful, autocommit=True) as connection:
        connection.execute(
            "truncate stripe_copy.account, stripe_copy.capability, stripe_copy.customer,"
            " stripe_copy.customer_tax_id, stripe_copy.invoice, stripe_copy.line_item, stripe_sync.run,"
            " stripe_sync.met, stripe_sync.refetch"
        )
        yield connection


def refresh(db: psycopg.Connection, client: Client, name: str = "customer", pages: int | None = None) -> Any:
    """Refresh a resource; after ``pages`` pages it is interrupted."""
    read = [0]

    def progress(_: Run) -> None:
        read[0] += 1

    def check() -> None:
        if pages is not None and read[0] >= pages:
            raise Interrupted("stop")

    return ResourceRefresh(client, db, Schemas(), check, progress).refresh(load().resource[name])


def refetcher(db: psycopg.Connection, client: Client) -> Refetcher:
    return Refetcher(client, db, Schemas(), load(), lambda: None)


def value(db: psycopg.Connection, query: str, *parameters: object) -> Any:
    row = db.execute(query.encode(), parameters).fetchone()
    return row and row[0]


def doubt(db: psycopg.Connection, resource: str, identifier: str, parent: str | None = None) -> None:
    """Note a doubt of ten seconds ago."""
    db.execute(
        "insert into stripe_sync.refetch (schema, resource, id, account, parent, doubted_at)"
        " values ('stripe_copy', %s, %s, '', %s, now() - interval '10 s')",
        (resource, identifier, parent),
    )


def test_an_object_of_a_connected_account_is_asked_for_there(
    db: psycopg.Connection, client: Client, stripe: SimulatorProcess
) -> None:
    def write_to(account: str, method: str, path: str, **fields: str) -> Any:
        headers = {
            "Authorization": f"Bearer {KEY}", "Stripe-Account": account,
            "Content-Type": "application/x-www-form-urlencoded",
        }  # fmt: skip
        answer = urllib3.request(method, f"{stripe.url}/v1/{path}", body=urlencode(fields), headers=headers)
        assert answer.status == 200, answer.data
        return answer.json()

    account = write(stripe, "POST", "accounts", type="express", country="US")["id"]
    kept = write_to(account, "POST", "customers", name="there")
    gone = write_to(account, "POST", "customers", name="gone")
    write_to(account, "DELETE", f"customers/{gone['id']}")
    held = write_to(account, "POST", f"customers/{kept['id']}/tax_ids", type="eu_vat", value="DE123456789")
    customer, early = load().resource["customer"], datetime.now(UTC) - timedelta(seconds=60)
    for body in (kept, gone):
        apply(db, Schemas(), customer, [{**body, "name": "earlier"}], Evidence(early, account))
        apply(db, Schemas(), customer, [{**body, "name": "of the platform"}], Evidence(early))
    for resource, identifier, parent in (
        ("customer", kept["id"], None),
        ("customer", gone["id"], None),
        ("customer_tax_id", held["id"], kept["id"]),
        ("customer", "cus_none", None),
    ):
        doubt(db, resource, identifier, parent)
    db.execute("update stripe_sync.refetch set account = %s", (account,))
    doubt(db, "customer", kept["id"])
    db.execute("update stripe_sync.refetch set account = 'acct_unknown' where id = 'cus_none'")
    stripe.control("DELETE", "/requests")
    assert refetcher(db, client).refetch_due() == 5
    rows = "select id, _account, name, _deleted from stripe_copy.customer order by _account, id"
    assert {*db.execute(rows)} == {
        (kept["id"], "", "of the platform", True),  # Stripe has none there
        (gone["id"], "", "of the platform", False),
        (kept["id"], account, "there", False),
        (gone["id"], account, "earlier", True),
    }
    assert value(db, "select id from stripe_copy.customer_tax_id where _account = %s", account) == held["id"]
    assert doubts(db) == []  # what the key cannot reach is no deletion
    asked = {(item["path"], item["account"]) for item in stripe.requests()}
    assert len({of for _, of in asked}) == 3
    assert (f"/v1/customers/{kept['id']}", account) in asked
    # What is no id of an account holds up nothing.
    doubt(db, "customer", "cus_none")
    db.execute("update stripe_sync.refetch set account = 'no account'")
    assert refetcher(db, client).refetch_due() == 0


def doubts(db: psycopg.Connection) -> list[str]:
    return [identifier for (identifier,) in db.execute("select id from stripe_sync.refetch order by id")]


def write(stripe: SimulatorProcess, method: str, path: str, **fields: str) -> Any:
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/x-www-form-urlencoded"}
    answer = urllib3.request(method, f"{stripe.url}/v1/{path}", body=urlencode(fields), headers=headers)
    assert answer.status == 200, answer.data
    return answer.json()


def damage(db: psycopg.Connection, table: str, identifier: str) -> None:
    """Have a row differ, as if it was known ten seconds ago."""
    db.execute(
        f"update stripe_copy.{table} set _raw = '{{}}', _as_of = now() - interval '10 s'"
        " where id = %s".encode(),
        (identifier,),
    )
    db.execute("update stripe_sync.run set confirmed_at = null")


# -- asking again -------------------------------------------------------------------------------------------


def test_refetch_terminates(db: psycopg.Connection, client: Client, stripe: SimulatorProcess) -> None:
    refresh(db, client)
    (identifier,) = db.execute("select id from stripe_copy.customer limit 1").fetchone() or ("",)
    damage(db, "customer", identifier)
    db.execute("update stripe_sync.run set confirmed_at = null")
    db.execute("update stripe_copy.customer set _as_of = now() - interval '1 s' where id = %s", (identifier,))
    refresh(db, client)  # two states within two seconds
    assert doubts(db) == [identifier]
    assert refetcher(db, client).refetch_due() == 0  # not yet
    db.execute("update stripe_sync.run set confirmed_at = null")
    db.execute(
        "update stripe_sync.refetch set doubted_at = doubted_at - interval '10 s';"
        "update stripe_copy.customer set _as_of = _as_of - interval '10 s'"
    )
    stripe.control("DELETE", "/requests")
    assert refetcher(db, client).refetch_due() == 1
    assert doubts(db) == []
    assert [item["path"] for item in stripe.requests()] == [f"/v1/customers/{identifier}"]
    assert value(db, "select _raw ->> 'id' from stripe_copy.customer where id = %s", identifier) == identifier


def test_refetch_reads_lagging_replica(
    db: psycopg.Connection, client: Client, stripe: SimulatorProcess
) -> None:
    customer = load().resource["customer"]
    identifier = write(stripe, "POST", "customers", name="old")["id"]
    stripe.control("POST", "/lag", {"path": "/v1/customers*"})
    try:
        written = write(stripe, "POST", f"customers/{identifier}", name="new")
        known_at = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=2)  # as that of a page
        apply(db, Schemas(), customer, [written], Evidence(known_at))
        refresh(db, client)  # sees the state before, by a later Date
        assert value(db, "select name from stripe_copy.customer where id = %s", identifier) == "old"
        assert doubts(db) == [identifier]
        stripe.control("DELETE", "/requests")
        assert refetcher(db, client).refetch_due() == 0  # it is not asked for while replicas may lag
        assert stripe.requests() == []
    finally:
        stripe.control("DELETE", "/lag")
    db.execute("update stripe_sync.run set confirmed_at = null")
    db.execute(
        "update stripe_sync.refetch set doubted_at = doubted_at - interval '10 s';"
        "update stripe_copy.customer set _as_of = _as_of - interval '10 s'"
    )
    assert refetcher(db, client).refetch_due() == 1
    assert value(db, "select name from stripe_copy.customer where id = %s", identifier) == "new"
    assert doubts(db) == []


def test_an_item_of_a_subscription_is_gone_though_stripe_gives_no_code(
    db: psycopg.Connection, client: Client
) -> None:
    doubt(db, "subscription_item", "si_none", "sub_1")
    db.execute(
        "insert into stripe_copy.subscription_item (id, _raw, _as_of) values ('si_none', '{}', 'epoch')"
    )
    refetcher(db, client).refetch_due()
    assert doubts(db) == []
    assert value(db, "select _deleted from stripe_copy.subscription_item where id = 'si_none'") is True
    db.execute("truncate stripe_copy.subscription_item")


def test_what_was_in_the_lists_of_deleted_objects_is_asked_for_without_being_confirmed(
    db: psycopg.Connection, client: Client, stripe: SimulatorProcess
) -> None:
    """And what is in no such list is left to events, as payment methods that no customer has."""
    refresh(db, client)
    refresh(db, client, "customer_tax_id")
    db.execute(
        "update stripe_sync.run set confirmed_at = null;"
        " insert into stripe_copy.customer (id, _raw, _deleted) values ('cus_gone', '{}', true);"
        " insert into stripe_copy.customer_tax_id (id, customer, _raw, _as_of)"
        " select 'txi_' || n, case when n <= 150 then 'cus_gone' end, '{}', now() - interval '1 hour'"
        "   from generate_series(1, 300) n"
    )
    stripe.control("DELETE", "/requests")
    assert refresh(db, client, "customer_tax_id").applied.deleted == 150
    asked = [request["path"] for request in stripe.requests() if "/tax_ids/" in request["path"]]
    assert len(asked) == 150
    assert {path.split("/")[3] for path in asked} == {"cus_gone"}
    assert (
        value(db, "select count(*) from stripe_copy.customer_tax_id where customer is null and not _deleted")
        == 150
    )


def test_a_list_deletes_no_entry_that_was_known_until_just_before(
    db: psycopg.Connection, client: Client
) -> None:
    """It may lag behind: such a list is read again."""
    refresh(db, client, "invoice")
    invoice = value(db, "select id from stripe_copy.invoice limit 1")
    db.execute("truncate stripe_sync.incomplete")
    db.execute(
        "insert into stripe_sync.incomplete (schema, resource, id, account, list)"
        " values ('stripe_copy', 'invoice', %s, '', 'lines')",
        (invoice,),
    )
    db.execute(
        "insert into stripe_copy.line_item (id, invoice, _raw, _as_of) values ('il_x', %s, '{}', now())",
        (invoice,),
    )
    lists = ListCompletion(client, db, Schemas(), load(), lambda: None)
    deleted = "select _deleted from stripe_copy.line_item where id = 'il_x'"
    assert lists.complete_some() == 1
    assert value(db, deleted) is False
    assert lists.complete_some() == 0  # some seconds later
    db.execute(
        "update stripe_sync.incomplete set next_attempt_at = now();"
        " update stripe_copy.line_item set _as_of = now() - interval '10 s' where id = 'il_x'"
    )
    assert lists.complete_some() == 1
    assert value(db, deleted) is True
    assert value(db, "select count(*) from stripe_sync.incomplete") == 0


def test_what_a_session_has_claimed_is_taken_over_when_it_is_gone(
    db: psycopg.Connection, doubtful: str, client: Client
) -> None:
    doubt(db, "customer", "cus_x")
    queue = DoubtQueue(db, Schemas(), load())
    with psycopg.connect(doubtful, autocommit=True) as other:
        claimed = DoubtQueue(other, Schemas(), load()).claim(None, 10, seconds=60)
        assert [item.id for item in claimed] == ["cus_x"]
        assert queue.claim(None, 10, seconds=60) == []
    wait_until(lambda: queue.claim(None, 10, seconds=60), "a claim of what the other session had")
    queue.put_off(claimed[0], None)
    with psycopg.connect(doubtful, autocommit=True) as other:  # it waits, whichever session asks
        assert DoubtQueue(other, Schemas(), load()).claim(None, 10, seconds=60) == []


def test_what_is_gone_is_deleted(db: psycopg.Connection, client: Client, stripe: SimulatorProcess) -> None:
    refresh(db, client)
    (gone,) = db.execute("select id from stripe_copy.customer limit 1").fetchone() or ("",)
    db.execute("update stripe_sync.run set confirmed_at = null")
    db.execute("update stripe_copy.customer set _as_of = now() - interval '1 hour'")
    db.execute("insert into stripe_copy.customer (id, _raw, _as_of) values ('cus_x', '{}', 'epoch')")
    write(stripe, "DELETE", f"customers/{gone}")
    doubt(db, "customer", gone)
    doubt(db, "customer", "cus_x")
    refetcher(db, client).refetch_due()
    assert doubts(db) == []
    deleted = db.execute("select id from stripe_copy.customer where _deleted").fetchall()
    assert sorted(deleted) == sorted([(gone,), ("cus_x",)])


def test_an_object_of_a_list_is_asked_for_with_its_list(db: psycopg.Connection, client: Client) -> None:
    refresh(db, client, "invoice")
    refresh(db, client, "line_item")
    line, invoice = db.execute("select id, invoice_id from stripe.line_item limit 1").fetchone() or ("", "")
    damage(db, "line_item", line)
    doubt(db, "line_item", line, invoice)
    refetcher(db, client).refetch_due()
    assert doubts(db) == []
    assert value(db, "select _raw ->> 'id' from stripe_copy.line_item where id = %s", line) == line
    doubt(db, "line_item", line)  # its list is not known
    refetcher(db, client).refetch_due()
    assert doubts(db) == []


def test_refetch_before_refresh(db: psycopg.Connection, client: Client, stripe: SimulatorProcess) -> None:
    refresh(db, client)
    first, second = (row[0] for row in db.execute("select id from stripe_copy.customer order by id limit 2"))
    doubt(db, "customer", first)
    doubt(db, "customer", second)
    db.execute("update stripe_sync.refetch set attempts = 8, error = 'x' where id = %s", (second,))
    stripe.control("DELETE", "/requests")
    refresh(db, client)
    requests = stripe.requests()
    assert [item["path"] for item in requests[:2]] == [f"/v1/customers/{first}", "/v1/customers"]
    assert "expand[0]" in str(requests[0])  # what the copy has and Stripe sends only so
    assert doubts(db) == []  # the list has settled the one that was given up


def test_a_list_settles_many_doubts(db: psycopg.Connection, client: Client, stripe: SimulatorProcess) -> None:
    refresh(db, client)
    for (identifier,) in db.execute("select id from stripe_copy.customer order by id limit 20").fetchall():
        doubt(db, "customer", identifier)
    stripe.control("DELETE", "/requests")
    refresh(db, client)
    assert {item["path"] for item in stripe.requests()} == {"/v1/customers"}
    assert doubts(db) == []


def test_a_list_settles_no_later_doubt(db: psycopg.Connection, client: Client) -> None:
    refresh(db, client)
    (identifier,) = db.execute("select id from stripe_copy.customer limit 1").fetchone() or ("",)
    doubt(db, "customer", identifier)
    db.execute("update stripe_sync.refetch set doubted_at = now()")
    refresh(db, client)
    assert doubts(db) == [identifier]
    assert value(db, "select in_doubt from stripe_sync.status where resource = 'customer'") == 1


def test_midnight_renewals_requests_bounded(
    db: psycopg.Connection, client: Client, stripe: SimulatorProcess
) -> None:
    refresh(db, client)
    ids = [row[0] for row in db.execute("select id from stripe_copy.customer order by created desc, id")]
    gone, far = ids[5], ids[-1]
    write(stripe, "DELETE", f"customers/{gone}")
    doubtful = [*ids[:40], far]
    for identifier in doubtful:
        damage(db, "customer", identifier)
        doubt(db, "customer", identifier)
    stripe.control("DELETE", "/requests")
    assert refetcher(db, client).refetch_due() == 41
    requests = stripe.requests()
    assert sorted(item["path"] for item in requests) == sorted(
        ["/v1/customers", f"/v1/customers/{gone}", f"/v1/customers/{far}"]
    )
    assert "created[gte]" in unquote(str(requests))
    assert doubts(db) == []
    repaired = "select count(*) from stripe_copy.customer where id = any (%s) and _raw <> '{}'"
    assert value(db, repaired, doubtful) == 40
    assert value(db, "select id from stripe_copy.customer where _deleted") == gone


def test_a_list_is_not_read_for_doubts_that_are_far_apart_or_have_no_row(
    db: psycopg.Connection, client: Client, stripe: SimulatorProcess
) -> None:
    refresh(db, client)
    ids = [row[0] for row in db.execute("select id from stripe_copy.customer order by created desc, id")]
    apart = [ids[0], ids[-1]]
    unknown = ids[10:35]
    db.execute("delete from stripe_copy.customer where id = any (%s)", (unknown,))
    db.execute("update stripe_sync.run set confirmed_at = null")
    for identifier in (*apart, *unknown):
        doubt(db, "customer", identifier)
    stripe.control("DELETE", "/requests")
    refetcher(db, client).refetch_due()
    paths = {item["path"] for item in stripe.requests()}
    assert paths == {f"/v1/customers/{identifier}" for identifier in (*apart, *unknown)}
    assert doubts(db) == []
    assert value(db, "select count(*) from stripe_copy.customer where id = any (%s)", unknown) == 25


def test_a_list_that_stripe_refuses_leaves_the_objects_to_be_asked_for(
    db: psycopg.Connection, client: Client, stripe: SimulatorProcess
) -> None:
    refresh(db, client)
    ids = [row[0] for row in db.execute("select id from stripe_copy.customer order by created desc limit 30")]
    for identifier in ids:
        doubt(db, "customer", identifier)
    stripe.control("POST", "/faults", {"kind": "status", "status": 400, "path": "/v1/customers"})
    refetcher(db, client).refetch_due()
    assert doubts(db) == []
    for identifier in ids:
        doubt(db, "customer", identifier)
    fault = {"kind": "status", "status": 500, "path": "/v1/customers", "count": None}
    stripe.control("POST", "/faults", fault)
    with pytest.raises(StripeFdwError):
        refetcher(db, client).refetch_due()
    wait = "select max(claimed_until) < now() + interval '2 minutes' from stripe_sync.refetch"
    assert value(db, wait) is True  # and not for as long as a storm may take
    stripe.control("DELETE", "/faults")

    def stop() -> None:
        raise Interrupted("stop")

    db.execute("update stripe_sync.refetch set claimed_until = null")
    with pytest.raises(Interrupted):
        Refetcher(client, db, Schemas(), load(), stop).refetch_due()
    assert refetcher(db, client).refetch_due() == 30  # another process goes on at once


def test_doubts_in_one_list_are_settled_by_one_request(
    db: psycopg.Connection, client: Client, stripe: SimulatorProcess
) -> None:
    refresh(db, client, "invoice")
    refresh(db, client, "line_item")
    invoice = value(
        db, "select invoice_id from stripe.line_item group by 1 having count(*) > 1 order by 1 limit 1"
    )
    lines = [row[0] for row in db.execute("select id from stripe.line_item where invoice = %s", (invoice,))]
    for line in lines:
        doubt(db, "line_item", line)  # whose row says in which list it is
    stripe.control("DELETE", "/requests")
    refetcher(db, client).refetch_due()
    assert [item["path"] for item in stripe.requests()] == [f"/v1/invoices/{invoice}/lines"]
    assert doubts(db) == []


def test_an_object_with_two_ids_is_asked_for_by_both(
    db: psycopg.Connection, client: Client, stripe: SimulatorProcess
) -> None:
    refresh(db, client)
    customer = value(db, "select id from stripe_copy.customer order by id limit 1")
    tax_id = write(stripe, "POST", f"customers/{customer}/tax_ids", type="eu_vat", value="DE123456789")["id"]
    refresh(db, client, "customer_tax_id")
    damage(db, "customer_tax_id", tax_id)
    doubt(db, "customer_tax_id", tax_id)
    stripe.control("DELETE", "/requests")
    refetcher(db, client).refetch_due()
    own = f"/v1/customers/{customer}/tax_ids/{tax_id}"
    assert [item["path"] for item in stripe.requests()] == [own]
    assert value(db, "select _raw ->> 'id' from stripe_copy.customer_tax_id where id = %s", tax_id) == tax_id
    # A list that lacks it is not believed; the object is asked for.
    db.execute("update stripe_sync.run set confirmed_at = null; update stripe_sync.refetch set attempts = 0")
    db.execute("update stripe_copy.customer_tax_id set _as_of = now() - interval '10 s'")
    damage(db, "customer_tax_id", tax_id)
    verifier = Verifier(client, db, Schemas(), lambda: None, lambda _, __: None, repair=True)
    stripe.control("DELETE", "/requests")
    assert verifier.verify(load().resource["customer_tax_id"]).repaired == 1
    assert own in [item["path"] for item in stripe.requests()]
    write(stripe, "DELETE", f"customers/{customer}/tax_ids/{tax_id}")
    db.execute("update stripe_copy.customer_tax_id set _as_of = now() - interval '10 s'")
    stripe.control("DELETE", "/requests")
    refresh(db, client, "customer_tax_id")
    assert own in [item["path"] for item in stripe.requests()]
    assert value(db, "select _deleted from stripe_copy.customer_tax_id where id = %s", tax_id) is True


def test_an_id_that_no_path_holds_holds_up_no_other(
    db: psycopg.Connection, client: Client, stripe: SimulatorProcess
) -> None:
    """As an id that was chosen, or forged in an event."""
    customer = BareStripe(stripe.url, KEY).post("customers", name="Ada")["id"]
    for identifier in ("..", "x" * 9000):
        doubt(db, "customer", identifier)
    db.execute("update stripe_sync.refetch set doubted_at = doubted_at - interval '1 s'")
    doubt(db, "customer", customer)
    refetcher(db, client).refetch_due()
    assert value(db, "select name from stripe_copy.customer where id = %s", customer) == "Ada"
    left = db.execute("select left(id, 2), attempts, error from stripe_sync.refetch order by 1").fetchall()
    assert [(identifier, attempts) for identifier, attempts, _ in left] == [("..", 1), ("xx", 1)]
    assert all("is not a path of the API" in error for *_, error in left)


def test_a_refused_request_holds_up_no_other(
    db: psycopg.Connection, client: Client, stripe: SimulatorProcess
) -> None:
    refresh(db, client)
    first, second = (row[0] for row in db.execute("select id from stripe_copy.customer order by id limit 2"))
    doubt(db, "customer", first)
    db.execute("update stripe_sync.refetch set doubted_at = doubted_at - interval '1 s'")
    doubt(db, "customer", second)
    fault = {"kind": "status", "status": 400, "path": f"/v1/customers/{first}", "count": None}
    stripe.control("POST", "/faults", fault)
    for _ in range(9):
        refetcher(db, client).refetch_due()
        db.execute("update stripe_sync.refetch set claimed_until = null")
    attempts = db.execute("select id, attempts, error is not null from stripe_sync.refetch").fetchall()
    assert attempts == [(first, 8, True)]  # given up, and there to be seen
    assert value(db, "select _deleted from stripe_copy.customer where id = %s", first) is False
    refetcher(db, client).finish(["customer"], seconds=20)  # waits for none that is given up


def test_what_was_read_too_early_decides_nothing(
    db: psycopg.Connection, client: Client, stripe: SimulatorProcess
) -> None:
    refresh(db, client)
    (identifier,) = db.execute("select id from stripe_copy.customer limit 1").fetchone() or ("",)
    damage(db, "customer", identifier)
    doubt(db, "customer", identifier)
    stripe.control("POST", "/clock", {"date_skew_seconds": -8})  # two seconds after the doubt
    refetcher(db, client).refetch_due()
    assert value(db, "select attempts from stripe_sync.refetch") == 1
    assert value(db, "select _raw from stripe_copy.customer where id = %s", identifier) == {}
    assert refetcher(db, client).refetch_due() == 0  # a second later at the earliest


def test_what_is_gone_is_gone_since_the_answer(db: psycopg.Connection, client: Client) -> None:
    """A list that lags behind may have shown it since the doubt."""
    db.execute(
        "insert into stripe_copy.customer (id, _raw, _as_of) values ('cus_x', '{}', now() - interval '3 s')"
    )
    doubt(db, "customer", "cus_x")
    refetcher(db, client).refetch_due()
    assert value(db, "select _deleted from stripe_copy.customer") is True


def test_ids_that_are_words_are_found_in_their_parent(db: psycopg.Connection, client: Client) -> None:
    refresh(db, client, "account")
    refresh(db, client, "capability")
    objects = "select count(*), count(distinct id), count(distinct account) from stripe_copy.capability"
    (capabilities, words, accounts) = db.execute(
        "select count(*), count(distinct id), count(distinct account_id) from stripe.capability"
    ).fetchone() or (0, 0, 0)
    assert capabilities == words * accounts > words
    assert db.execute(objects).fetchone() == (capabilities, capabilities, accounts)
    assert refresh(db, client, "capability").applied == Applied(unchanged=capabilities)
    key, word, account = db.execute(
        "select id, split_part(id, '/', 2), account from stripe_copy.capability limit 1"
    ).fetchone() or ("", "", "")
    damage(db, "capability", key)
    doubt(db, "capability", key)
    doubt(db, "capability", word, account)
    refetcher(db, client).refetch_due()
    assert doubts(db) == []
    assert value(db, "select _raw ->> 'id' from stripe_copy.capability where id = %s", key) == word
    assert db.execute(objects).fetchone() == (capabilities, capabilities, accounts)
    assert value(db, "select count(*) from stripe_copy.capability where _deleted") == 0
    verifier = Verifier(client, db, Schemas(), lambda: None, lambda _, __: None)
    assert verifier.verify(load().resource["capability"]).differences == []


def test_several_processes_ask_once(db: psycopg.Connection, client: Client, stripe: SimulatorProcess) -> None:
    refresh(db, client)
    for (identifier,) in db.execute("select id from stripe_copy.customer order by id limit 15").fetchall():
        doubt(db, "customer", identifier)
    stripe.control("DELETE", "/requests")
    with psycopg.connect(db.info.dsn, autocommit=True) as other:
        thread = threading.Thread(target=lambda: refetcher(other, client).refetch_due())
        thread.start()
        refetcher(db, client).refetch_due()
        thread.join(20)
    assert len(stripe.requests()) == 15
    assert doubts(db) == []


def test_a_locked_object_is_put_off_and_a_new_doubt_stays(
    db: psycopg.Connection, doubtful: str, client: Client
) -> None:
    refresh(db, client)
    (identifier,) = db.execute("select id from stripe_copy.customer limit 1").fetchone() or ("",)
    damage(db, "customer", identifier)
    doubt(db, "customer", identifier)
    with psycopg.connect(doubtful) as user:
        user.execute("select from stripe_copy.customer for update")
        refetcher(db, client).refetch_due()
        assert doubts(db) == [identifier]
        assert refetcher(db, client).refetch_due() == 0  # within the next second
    db.execute("update stripe_sync.refetch set claimed_until = null")
    refetcher(db, client).refetch_due()
    assert doubts(db) == []


# -- what a refresh does not delete -------------------------------------------------------------------------


def test_platform_refresh_keeps_connected_rows(db: psycopg.Connection, client: Client) -> None:
    refresh(db, client)
    theirs = (
        "insert into stripe_copy.customer (id, _raw, _account, _as_of)"
        " values ('cus_theirs', '{}', 'acct_1', now() - interval '1 hour'),"
        " (%s, '{}', 'acct_1', now() - interval '1 hour')"
    )
    ours = value(db, "select id from stripe_copy.customer order by id limit 1")
    db.execute(theirs.encode(), (ours,))
    db.execute("update stripe_sync.run set confirmed_at = null")
    assert refresh(db, client).applied.deleted == 0
    connected = "select count(*), bool_or(_deleted) from stripe_copy.customer where _account = 'acct_1'"
    assert db.execute(connected.encode()).fetchone() == (2, False)


def test_deactivated_product_deletes_nothing(db: psycopg.Connection, client: Client) -> None:
    db.execute(
        "insert into stripe_copy.issuing_card (id, _raw, _as_of)"
        " values ('ic_1', '{}', now() - interval '1 hour') on conflict do nothing"
    )
    outcome = refresh(db, client, "issuing_card")
    assert isinstance(outcome, LeftOut)
    assert "not set up" in outcome.reason
    assert value(db, "select _deleted from stripe_copy.issuing_card") is False


# -- locked rows --------------------------------------------------------------------------------------------


def test_uncommitted_insert_does_not_stall_batch(
    db: psycopg.Connection, doubtful: str, client: Client
) -> None:
    refresh(db, client)
    identifiers = [row[0] for row in db.execute("select id from stripe_copy.customer order by id")]
    db.execute("truncate stripe_copy.customer")
    with psycopg.connect(doubtful) as user:
        db.execute("update stripe_sync.run set confirmed_at = null")
        user.execute(
            "insert into stripe_copy.customer (id, _raw, _as_of)"
            " values (%s, '{}', now() - interval '1 hour')",
            (identifiers[7],),
        )
        refresh(db, client)  # and is not held up
        assert value(db, "select count(*) from stripe_copy.customer") == len(identifiers) - 1
        assert doubts(db) == [identifiers[7]]
        user.commit()
    db.execute("update stripe_sync.run set confirmed_at = null")
    db.execute("update stripe_sync.refetch set doubted_at = doubted_at - interval '10 s'")
    refetcher(db, client).refetch_due()
    assert value(db, "select count(*) from stripe_copy.customer where _raw <> '{}'") == len(identifiers)


def test_worker_always_loses_deadlock(db: psycopg.Connection, doubtful: str, client: Client) -> None:
    refresh(db, client)
    identifiers = [row[0] for row in db.execute("select id from stripe_copy.customer order by id desc")]
    db.execute("update stripe_sync.run set confirmed_at = null")
    db.execute("update stripe_copy.customer set _raw = '{}', _as_of = now() - interval '1 hour'")
    with psycopg.connect(doubtful) as user:
        thread = threading.Thread(target=lambda: refresh(db, client))
        thread.start()
        # In the order in which a refresh does not lock them. One of both has to give way.
        for identifier in identifiers:
            user.execute("select from stripe_copy.customer where id = %s for update", (identifier,))
        user.commit()
    thread.join(60)
    assert not thread.is_alive()
    refreshed = "select count(*) from stripe_copy.customer where _raw <> '{}'"
    assert value(db, refreshed) + len(doubts(db)) == len(identifiers)


def test_a_locked_row_puts_off_the_filling_of_new_columns(
    db: psycopg.Connection, doubtful: str, client: Client
) -> None:
    customer = load().resource["customer"]
    refresh(db, client)
    before = db.execute("select id, name, _as_of from stripe_copy.customer order by id").fetchall()
    db.execute("update stripe_copy.customer set name = null")
    note_new_columns(db, Schemas(), customer, ["name"])
    filler = ColumnFiller(db, Schemas(), load(), lambda: None)
    with psycopg.connect(doubtful) as user:
        user.execute("select from stripe_copy.customer where id = %s for update", (before[200][0],))
        filler.fill(customer)
        assert 0 < value(db, "select count(name) from stripe_copy.customer") <= 200
    refresh(db, client)  # fills them before it reads the list
    assert db.execute("select id, name, _as_of from stripe_copy.customer order by id").fetchall() == before
    assert value(db, "select count(*) from stripe_sync.new_columns") == 0


def test_older_evidence_that_waits_for_a_page_sees_what_the_page_confirms(
    db: psycopg.Connection, doubtful: str
) -> None:
    customer, began = load().resource["customer"], datetime(2026, 11, 28, 12, tzinfo=UTC)
    body = {"id": "cus_1", "object": "customer", "name": "read"}
    apply(db, Schemas(), customer, [body], Evidence(began))
    outcomes: list[Applied] = []

    def arrive_late() -> None:
        with psycopg.connect(doubtful, autocommit=True) as other:
            late = Evidence(began + timedelta(seconds=5))
            outcomes.append(apply(other, Schemas(), customer, [{**body, "name": "late"}], late))

    with psycopg.connect(doubtful) as page:
        run = take_run(page, "stripe_copy", "customer", "")
        page.commit()
        assert run is not None
        read_at = began + timedelta(seconds=10)
        assert apply(page, Schemas(), customer, [body], Evidence(read_at)) == Applied(unchanged=1)
        thread = threading.Thread(target=arrive_late)
        thread.start()
        waiting = "select exists (select from pg_locks where not granted)"
        wait_until(lambda: value(db, waiting) is True, "the older evidence waits for the row")
        run.commit_pages(1, [], Applied(unchanged=1), ["cus_1"], read_at)
    thread.join(20)
    assert outcomes == [Applied(stale=1)]
    assert value(db, "select name from stripe_copy.customer") == "read"


# -- cursors ------------------------------------------------------------------------------------------------


def test_resume_with_deleted_cursor(db: psycopg.Connection, client: Client, stripe: SimulatorProcess) -> None:
    with pytest.raises(Interrupted):
        refresh(db, client, pages=1)
    cursors = [part["after"] for part in value(db, "select position from stripe_sync.run") if part["after"]]
    assert cursors
    for cursor in cursors:
        write(stripe, "DELETE", f"customers/{cursor}")
    run = refresh(db, client)
    assert run.objects > 200
    listed = urllib3.request(
        "GET", f"{stripe.url}/v1/customers?limit=100", headers={"Authorization": f"Bearer {KEY}"}
    ).json()["data"]
    copied = {row[0] for row in db.execute("select id from stripe.customer")}
    assert {item["id"] for item in listed} <= copied
