"""Comparison of copies with Stripe, and the state of copies: what differs is found, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlencode

import psycopg
import pytest
import urllib3

from stripe_fdw.api.client import Client
from stripe_fdw.catalog import load
from stripe_fdw.copies.apply import Evidence, apply
from stripe_fdw.copies.compare import Difference, compare
from stripe_fdw.copies.refresh_run import ResourceRefresh
from stripe_fdw.copies.runs import Run
from stripe_fdw.copies.verify import Verification, Verifier
from stripe_fdw.database.errors import InstallError
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.devstack.private_postgres import Cluster
from stripe_simulator.process import SimulatorProcess
from support.commands import Command, run_command
from support.database import KEY, one
from support.simulators import Simulators

from .conftest import database_with_copies

CHOSEN = ("customer", "invoice", "line_item", "issuing_card", "charge")
SUMMARY = "select outcome, rows, deleted_rows from stripe_sync.status where resource = 'customer'"


@pytest.fixture(scope="module")
def shared(simulators: Simulators) -> SimulatorProcess:
    return simulators("verified", customers=250, seed=7, not_activated=["issuing"])


@pytest.fixture
def stripe(shared: SimulatorProcess) -> SimulatorProcess:
    """A simulated Stripe as new."""
    shared.control("POST", "/reset")
    return shared


@pytest.fixture(scope="module")
def verified(cluster: Cluster) -> str:
    return database_with_copies(cluster, "verified", CHOSEN)


@pytest.fixture
def db(verified: str, client: Client) -> Iterator[psycopg.Connection]:
    """A session; the customers are copied, an hour ago."""
    with psycopg.connect(verified, autocommit=True) as connection:
        connection.execute(
            "truncate stripe_copy.customer, stripe_copy.invoice, stripe_copy.line_item, stripe_copy.charge,"
            " stripe_sync.run, stripe_sync.account, stripe_sync.refetch, stripe_sync.met"
        )
        refresh(connection, client, "customer")
        connection.execute("update stripe_sync.run set confirmed_at = null")
        connection.execute("update stripe_copy.customer set _as_of = _as_of - interval '1 hour'")
        yield connection


def refresh(db: psycopg.Connection, client: Client, name: str) -> Any:
    refresher = ResourceRefresh(client, db, Schemas(), lambda: None, lambda _: None)
    return refresher.refresh(load().resource[name])


def verify(
    db: psycopg.Connection, client: Client, *, repair: bool = False, sample: int | None = None
) -> Verification:
    verifier = Verifier(client, db, Schemas(), lambda: None, lambda *_: None, repair)
    customer = load().resource["customer"]
    return verifier.verify(customer) if sample is None else verifier.sample(customer, sample)


def ids(db: psycopg.Connection, count: int) -> list[str]:
    rows = db.execute("select id from stripe_copy.customer order by id limit %s", (count,))
    return [identifier for (identifier,) in rows]


def content(db: psycopg.Connection) -> list[tuple[Any, ...]]:
    return db.execute("select id, name, _raw, _deleted from stripe_copy.customer order by id").fetchall()


def write(stripe: SimulatorProcess, method: str, path: str, **fields: str) -> Any:
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/x-www-form-urlencoded"}
    answer = urllib3.request(method, f"{stripe.url}/v1/{path}", body=urlencode(fields), headers=headers)
    assert answer.status == 200, answer.data
    return answer.json()


def damage(db: psycopg.Connection, stripe: SimulatorProcess) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Make a difference of every kind. Return them by id."""
    changed, gone, lost, damaged, revived = ids(db, 5)
    write(stripe, "POST", f"customers/{changed}", name="Changed", email="new@example.com")
    write(stripe, "DELETE", f"customers/{gone}")
    db.execute("delete from stripe_copy.customer where id = %s", (lost,))
    db.execute("update stripe_copy.customer set name = 'x', balance = null where id = %s", (damaged,))
    db.execute("update stripe_copy.customer set _deleted = true where id = %s", (revived,))
    return {
        changed: ("differs", ("email", "name")),
        gone: ("gone", ()),
        lost: ("missing", ()),
        damaged: ("damaged", ("balance", "name")),
        revived: ("deleted", ()),
    }


def found(result: Verification) -> dict[str, tuple[str, tuple[str, ...]]]:
    return {item.id: (item.kind, tuple(sorted(item.columns))) for item in result.differences}


def test_what_is_equal_has_no_difference_and_nothing_is_written(
    db: psycopg.Connection, client: Client
) -> None:
    state = "select id, ctid, xmin, xmax from stripe_copy.customer order by id"
    before = db.execute(state.encode()).fetchall()
    result = verify(db, client)
    assert (result.objects, result.differences) == (len(before), [])
    assert db.execute(state.encode()).fetchall() == before


def test_every_kind_of_difference_is_found_and_left(
    db: psycopg.Connection, client: Client, stripe: SimulatorProcess
) -> None:
    expected = damage(db, stripe)
    before = content(db)
    result = verify(db, client)
    assert found(result) == expected
    assert result.repaired == 0
    assert content(db) == before


def test_repair_makes_the_copy_equal(
    db: psycopg.Connection, client: Client, stripe: SimulatorProcess
) -> None:
    expected = damage(db, stripe)
    assert verify(db, client, repair=True).repaired == len(expected)
    assert verify(db, client).differences == []
    assert db.execute("select count(*) from stripe.customer where name in ('x')").fetchone() == (0,)


def test_verify_races_with_event(db: psycopg.Connection, client: Client, stripe: SimulatorProcess) -> None:
    """A row that became newer than the page while that was on its way does not differ."""
    customer = load().resource["customer"]
    (changed,) = ids(db, 1)
    verifier = Verifier(client, db, Schemas(), lambda: None, lambda *_: None, repair=True)
    answered = client.fetch

    def answer_late(request: Any, **arguments: Any) -> Any:
        # After the page has differed, what an event says arrives before the object is asked for again.
        response = answered(request, **arguments)
        newer = {**response.body, "name": "Newer"}
        apply(db, Schemas(), customer, [newer], Evidence(response.date))
        return response

    db.execute("update stripe_copy.customer set _raw = '{}', name = 'x' where id = %s", (changed,))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client, "fetch", answer_late)
        assert verifier.verify(customer).differences == []
    assert db.execute("select name from stripe.customer where id = %s", (changed,)).fetchone() == ("Newer",)


def test_volatile_urls_are_equal(db: psycopg.Connection, client: Client) -> None:
    refresh(db, client, "charge")
    charge = load().resource["charge"]
    (body,) = db.execute("select _raw from stripe_copy.charge limit 1").fetchone() or ({},)
    assert compare(db, Schemas(), charge, [{**body, "receipt_url": "https://pay.stripe.com/other"}]) == []
    differs = [Difference(body["id"], "differs", ("amount",))]
    assert compare(db, Schemas(), charge, [{**body, "amount": body["amount"] + 1}]) == differs


def test_an_object_that_does_not_fit_its_column_is_compared(db: psycopg.Connection) -> None:
    customer = load().resource["customer"]
    objects = [
        {"id": "cus_big", "object": "customer", "balance": 10**30},
        {"id": "cus_a", "object": "customer"},
    ]
    applied = apply(db, Schemas(), customer, objects, Evidence(db.execute("select now()").fetchone()[0]))  # type: ignore[index]
    assert applied.inserted == 2
    assert compare(db, Schemas(), customer, objects) == []
    objects[0]["balance"] = 10**31
    assert [item.id for item in compare(db, Schemas(), customer, objects)] == ["cus_big"]


def test_a_sample_costs_a_request_for_a_hundred_objects(
    db: psycopg.Connection, client: Client, stripe: SimulatorProcess
) -> None:
    stripe.control("DELETE", "/requests")
    result = verify(db, client, sample=200)
    assert 100 <= result.objects <= 200  # the second page begins at any row, perhaps at the oldest
    assert result.differences == []
    assert len(stripe.requests()) == 2
    # The newest objects are in every sample.
    newest = write(stripe, "POST", "customers", name="New")["id"]
    sixth = "select id from stripe_copy.customer order by created desc offset 5 limit 1"
    (second,) = db.execute(sixth.encode()).fetchone() or ("",)
    write(stripe, "DELETE", f"customers/{second}")
    assert found(verify(db, client, sample=100)) == {newest: ("missing", ()), second: ("gone", ())}


# -- the state ----------------------------------------------------------------------------------------------


def test_nothing_to_do_is_told_apart_from_nothing_done(
    db: psycopg.Connection, client: Client, stripe: SimulatorProcess
) -> None:
    def status(query: str = SUMMARY) -> Any:
        return db.execute(query.encode()).fetchone()

    count = len(content(db))
    assert status() == ("changes made", count, 0)
    changed_at = "select changed_at, finished_full_at from stripe_sync.status where resource = 'customer'"
    (changed, full) = status(changed_at)
    refresh(db, client, "customer")
    assert status() == ("nothing to do", count, 0)
    assert status(changed_at)[0] == changed
    assert status(changed_at)[1] > full
    assert status(SUMMARY.replace("customer", "invoice")) == ("nothing done", 0, 0)
    never = "select state, requests from stripe_sync.status where resource = 'invoice'"
    assert status(never) == ("never refreshed", None)
    refresh(db, client, "issuing_card")
    assert status(SUMMARY.replace("customer", "issuing_card")) == ("nothing done", 0, 0)
    write(stripe, "DELETE", f"customers/{ids(db, 1)[0]}")
    db.execute("update stripe_sync.run set confirmed_at = null")
    db.execute("update stripe_copy.customer set _as_of = _as_of - interval '1 hour'")
    refresh(db, client, "customer")
    assert status() == ("changes made", count - 1, 1)
    # An object in doubt is asked for before the list, which then has nothing new.
    second = one(db, "select id from stripe.customer order by id limit 1")
    write(stripe, "DELETE", f"customers/{second}")
    db.execute("update stripe_sync.run set confirmed_at = null")
    db.execute("update stripe_copy.customer set _as_of = _as_of - interval '1 hour'")
    db.execute(
        "insert into stripe_sync.refetch (schema, resource, id, account, doubted_at)"
        " values ('stripe_copy', 'customer', %s, '', now() - interval '10 s')",
        (second,),
    )
    refresh(db, client, "customer")
    assert status() == ("changes made", count - 2, 2)


def test_a_running_refresh_shows_how_far_it_is(db: psycopg.Connection, client: Client) -> None:
    query = "select state, percent_done, parts_left from stripe_sync.status where resource = 'customer'"
    seen: list[Any] = []

    def progress(_: Run) -> None:
        seen.append(db.execute(query.encode()).fetchone())

    ResourceRefresh(client, db, Schemas(), lambda: None, progress).refresh(load().resource["customer"])
    assert {state for state, _, _ in seen} == {"running"}
    percents = [percent for _, percent, _ in seen]
    assert percents == sorted(percents)
    assert 0 < percents[0] < percents[-1] == 100
    assert seen[0][2] >= 1
    assert db.execute(query.encode()).fetchone() == ("finished", None, None)


# -- the commands -------------------------------------------------------------------------------------------


@pytest.fixture
def command(verified: str, stripe: SimulatorProcess) -> Callable[..., Command]:
    def run(*arguments: str, **variables: str) -> Command:
        environment = {
            "DATABASE_URL": verified, "STRIPE_API_KEY": KEY, "STRIPE_API_BASE": stripe.url,
            "STRIPE_FDW_MAX_REQUESTS_PER_SECOND": "10000", "PATH": "/usr/bin", **variables,
        }  # fmt: skip
        done = run_command(*arguments, environment=environment)
        assert KEY not in done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    return run


def test_verify_prints_what_differs_and_repairs_it(
    db: psycopg.Connection, command: Any, stripe: SimulatorProcess
) -> None:
    expected = damage(db, stripe)
    done = command("verify", "customer")
    assert done.returncode == 1
    assert "5 differ\n" in done.stdout
    for identifier in expected:
        assert identifier in done.stdout
    assert "differs: email, name" in done.stdout
    done = command("verify", "customer", "issuing_card", "--json")
    customer, left_out = json.loads(done.stdout)
    assert (done.returncode, customer["resource"], customer["error"]) == (1, "customer", None)
    assert {item["id"] for item in customer["differences"]} == set(expected)
    assert ["email", "name"] in [item["columns"] for item in customer["differences"]]
    assert left_out["resource"] == "issuing_card"
    assert left_out["left_out"]
    done = command("verify", "customer", "--repair")
    assert (done.returncode, "5 repaired" in done.stdout) == (0, True)
    done = command("verify", "customer", "issuing_card", "--sample", "100")
    assert done.returncode == 0
    assert "customer: 100 objects compared, all equal" in done.stdout
    assert "issuing_card: is left out" in done.stdout


def test_verify_says_what_lists_inside_objects_cost(db: psycopg.Connection, command: Any) -> None:
    db.execute("insert into stripe_copy.invoice (id, _raw) values ('in_gone', '{}')")
    cost = "line_item: a request for each invoice, of which there are 1\n"
    done = command("verify", "customer", "line_item")
    assert done.returncode == 0
    assert cost in done.stderr
    assert "customer: a request" not in done.stderr
    assert "line_item: 0 objects compared, all equal" in done.stdout
    # A sample does not read them.
    done = command("verify", "line_item", "--sample", "1")
    assert "line_item: is left out" in done.stdout
    assert cost not in done.stderr


def test_lists_inside_objects_without_a_copy_of_these_are_an_error(
    db: psycopg.Connection, command: Any, client: Client
) -> None:
    db.execute("alter table stripe_copy.invoice rename to hidden")
    try:
        with pytest.raises(InstallError, match="there is no copy of invoice, in whose") as caught:
            refresh(db, client, "line_item")
        done = command("verify", "line_item", "customer")
    finally:
        db.execute("alter table stripe_copy.hidden rename to invoice")
    assert caught.value.hint == "Make it: stripe-fdw refresh invoice."
    assert done.returncode == 1
    assert caught.value.message in done.stderr
    assert "a request for each" not in done.stderr
    assert "objects compared, all equal" in done.stdout  # customers


def test_verify_says_what_has_no_copy(db: psycopg.Connection, command: Any) -> None:
    assert "there is no copy of product" in command("verify", "product").stderr
    assert "Closest: customer" in command("verify", "custmer").stderr
    assert "stripe-fdw catalog lists the tables" in command("verify", "nosuch").stderr


def test_status_shows_every_copy(db: psycopg.Connection, command: Any, cluster: Cluster) -> None:
    db.execute(
        "insert into stripe_sync.refetch (schema, resource, id, account, doubted_at)"
        " select 'stripe_copy', 'customer', 'cus_' || n, '', now() from generate_series(1, 37) n"
    )
    lines = command("status").stdout.splitlines()
    db.execute("truncate stripe_sync.refetch")
    lines, events = lines[: lines.index("")], lines[lines.index("") + 1 :]
    assert events[0].split()[:3] == ["events", "of", "waiting"]
    assert events[1].split()[:2] == ["stripe", "0"]
    header, *rows = [line.split() for line in lines]
    assert header[:4] == ["resource", "state", "rows", "deleted"]
    assert {row[0] for row in rows} == set(CHOSEN)
    customer = next(line for line in lines if line.startswith("customer"))
    assert customer[: lines[0].index("in doubt") + len("in doubt")].split()[-1] == "37"
    assert "changes made" in customer
    assert str(len(content(db))) in customer
    for name in ("status", "verify"):
        assert "no local copies" in command(name, DATABASE_URL=cluster.dsn()).stderr
