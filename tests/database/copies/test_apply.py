"""Which of two states of an object a copy keeps, and what becomes of the fields."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from stripe_fdw.api.responses import Response
from stripe_fdw.catalog import load
from stripe_fdw.copies.apply import Applied, Evidence, apply, carrying
from stripe_fdw.copies.compare import compare
from stripe_fdw.copies.copied_columns import has_word_ids
from stripe_fdw.copies.runs import take_run
from stripe_fdw.database.schemas import Schemas
from stripe_simulator.world.traits import FIXED_IDS
from support.database import rows
from support.waiting import wait_until

from .conftest import NOON

Apply = Callable[..., Applied]


def customer(identifier: str = "cus_1", **fields: Any) -> dict[str, Any]:
    return {"id": identifier, "object": "customer", "created": 1_700_000_000, "name": "Ada", **fields}


def test_objects_become_rows(copies: psycopg.Connection, put: Apply) -> None:
    assert put("customer", customer("cus_1"), customer("cus_2", name=None)) == Applied(inserted=2)
    assert rows(
        copies, "select id, name, created, _account, _event, _deleted from stripe_copy.customer order by 1"
    ) == [
        ("cus_1", "Ada", NOON.fromtimestamp(1_700_000_000, NOON.tzinfo), "", None, False),
        ("cus_2", None, NOON.fromtimestamp(1_700_000_000, NOON.tzinfo), "", None, False),
    ]
    assert rows(copies, "select distinct _as_of from stripe_copy.customer") == [(NOON,)]


def test_nothing_is_written_where_nothing_changed(copies: psycopg.Connection, put: Apply) -> None:
    put("customer", customer())
    before = rows(copies, "select ctid, xmin from stripe_copy.customer")
    assert put("customer", customer(), seconds=60) == Applied(unchanged=1)
    assert rows(copies, "select ctid, xmin from stripe_copy.customer") == before


@pytest.mark.parametrize("is_open", [True, False], ids=["during the run", "after it"])
def test_a_refresh_confirms_rows_without_writing_them(
    copies: psycopg.Connection, put: Apply, is_open: bool
) -> None:
    put("customer", customer(), customer("cus_2"), customer("cus_3"))
    put("customer", {"id": "cus_3", "object": "customer", "deleted": True}, seconds=3)
    run = take_run(copies, "stripe_copy", "customer", "")
    assert run is not None
    run.began_at = NOON + timedelta(seconds=10)
    applied = put("customer", customer(), seconds=10)
    run.commit_pages(1, [], applied, ["cus_1"], run.began_at)
    if not is_open:
        run.finish()
    # What was known before arrives after it: the refresh has seen the object as it was later.
    assert put("customer", customer(name="late"), seconds=5) == Applied(stale=1)
    assert put("customer", {"id": "cus_1", "deleted": True}, seconds=5) == Applied(stale=1)
    assert rows(copies, "select id from stripe_sync.refetch") == []
    assert put("customer", customer(name="nearly"), seconds=9) == Applied(stale=1)
    assert put("customer", customer(name="new"), seconds=15) == Applied(updated=1)
    # Of what the list did not show nothing is confirmed, and after a complete list it is asked for again.
    assert put("customer", customer("cus_3"), customer("cus_4"), seconds=6) == Applied(inserted=1, updated=1)
    doubted = ["cus_1"] if is_open else ["cus_1", "cus_3", "cus_4"]
    assert [row[0] for row in rows(copies, "select id from stripe_sync.refetch order by 1")] == doubted


STATES = [(0, "first"), (10, "second"), (20, "third"), (30, "fourth")]


@pytest.mark.parametrize(
    "order", list(itertools.permutations(STATES)), ids=lambda order: "".join(s[1][1] for s in order)
)
def test_states_that_arrive_in_any_order_end_with_the_latest(
    copies: psycopg.Connection, put: Apply, order: tuple[tuple[int, str], ...]
) -> None:
    for seconds, name in order:
        put("customer", customer(name=name), seconds=seconds)
    assert rows(copies, "select name, _as_of from stripe_copy.customer") == [
        ("fourth", NOON + timedelta(seconds=30))
    ]
    assert rows(copies, "select * from stripe_sync.refetch") == []


@pytest.mark.parametrize("order", [(0.0, 1.5), (1.5, 0.0), (1.0, 1.0)])
def test_states_of_nearly_the_same_time_are_fetched_again(
    copies: psycopg.Connection, put: Apply, order: tuple[float, float]
) -> None:
    for seconds in order:
        put("customer", customer(name=f"at {seconds}", phone=str(order.index(seconds))), seconds=seconds)
    doubted = rows(copies, "select resource, id, account, doubted_at from stripe_sync.refetch")
    if order[0] == order[1]:
        put("customer", customer(name="another"), seconds=order[1])
        doubted = rows(copies, "select resource, id, account, doubted_at from stripe_sync.refetch")
    assert doubted == [("customer", "cus_1", "", NOON + timedelta(seconds=order[1]))]


def test_slow_page_does_not_outdate_event(copies: psycopg.Connection, put: Apply) -> None:
    """Its Date is when it left Stripe, seconds after the state was read."""
    page = Response(
        200, {}, NOON + timedelta(seconds=8), "req_1", size=10, waited=0.0, attempts=1, seconds=6.5
    )
    put("customer", customer(name="changed"), seconds=4, event="evt_1")
    put("customer", customer(name="as it was"), seconds=(page.known_at - NOON).total_seconds())
    assert rows(copies, "select name, _event, _as_of from stripe_copy.customer") == [
        ("changed", "evt_1", NOON + timedelta(seconds=4))
    ]
    put("customer", customer(name="as it is"), seconds=12)
    assert rows(copies, "select name, _event from stripe_copy.customer") == [("as it is", None)]


def test_coupon_recreated_same_id_same_second(copies: psycopg.Connection, put: Apply) -> None:
    coupon = {"id": "SPRING", "object": "coupon"}
    put("coupon", coupon | {"percent_off": 10})
    put("coupon", coupon | {"deleted": True}, seconds=20)
    put("coupon", coupon | {"percent_off": 20}, seconds=20)
    assert rows(copies, "select id from stripe_sync.refetch") == [("SPRING",)]  # which one is later?
    put("coupon", coupon | {"percent_off": 20}, seconds=24)  # what the refetch reads
    assert rows(copies, "select percent_off, _deleted from stripe_copy.coupon") == [(20, False)]
    put("coupon", coupon | {"deleted": True}, seconds=21)
    assert rows(copies, "select percent_off from stripe.coupon") == [(20,)]


def told(seconds: float, event: str, before: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """A customer as an event tells of it."""
    return carrying(customer(**fields), NOON + timedelta(seconds=seconds), event, before)


def test_objects_carry_the_evidence_of_their_events(copies: psycopg.Connection, put: Apply) -> None:
    put("customer", told(1, "evt_1"), told(5, "evt_2", identifier="cus_2"))
    query = "select id, _event, _as_of, _raw from stripe_copy.customer order by id"
    assert rows(copies, query) == [
        ("cus_1", "evt_1", NOON + timedelta(seconds=1), customer()),
        ("cus_2", "evt_2", NOON + timedelta(seconds=5), customer("cus_2")),
    ]
    stub = {"id": "cus_1", "object": "customer", "deleted": True}
    put("customer", carrying(stub, NOON + timedelta(seconds=9), "evt_3", None))
    assert rows(copies, query)[0] == ("cus_1", "evt_3", NOON + timedelta(seconds=9), customer())


@pytest.mark.parametrize(
    ("seconds", "before", "kept", "doubts"),
    [
        (0, customer(name="Ada"), "Eve", 1),  # in the same second: applied, and asked for again
        (1, customer(name="Ada"), "Eve", 0),  # the order is proved
        (1, customer(name="Bob"), "Eve", 1),  # later, but something lies between
        (0, customer(name="Bob"), "Ada", 1),
        (0, None, "Ada", 1),
        (-1, customer(name="Ada"), "Ada", 1),  # back to the earlier state, it seems
        (9, customer(name="Bob"), "Eve", 0),
    ],
)
def test_an_event_follows_upon_the_state_that_it_names(
    copies: psycopg.Connection,
    put: Apply,
    seconds: int,
    before: dict[str, Any] | None,
    kept: str,
    doubts: int,
) -> None:
    put("customer", told(0, "evt_1"))
    put("customer", told(seconds, "evt_2", before, name="Eve"))
    assert rows(copies, "select name from stripe_copy.customer") == [(kept,)]
    assert len(rows(copies, "select id from stripe_sync.refetch")) == doubts


def test_a_state_before_proves_nothing_of_what_was_read(copies: psycopg.Connection, put: Apply) -> None:
    put("customer", customer())
    put("customer", told(0, "evt_1", customer(), name="Eve"))
    assert rows(copies, "select name from stripe_copy.customer") == [("Ada",)]


def test_a_field_that_only_expand_brings_is_kept(copies: psycopg.Connection, put: Apply) -> None:
    query = (
        "select tax, cash_balance, name, _raw - array['id', 'object', 'created'] from stripe_copy.customer"
    )
    tax = {"automatic_tax": "supported"}
    put("customer", customer(tax=tax, cash_balance=None))
    assert put("customer", customer(), seconds=10) == Applied(unchanged=1)
    put("customer", customer(name="Bob"), seconds=20)
    assert rows(copies, query) == [(tax, None, "Bob", {"name": "Bob", "tax": tax, "cash_balance": None})]
    put("customer", customer(tax=None), seconds=30)  # NULL is a value
    assert rows(copies, query) == [(None, None, "Ada", {"name": "Ada", "tax": None, "cash_balance": None})]


def test_a_field_that_only_expand_brings_is_kept_inside_an_object(
    copies: psycopg.Connection, put: Apply
) -> None:
    def rate(**amount: Any) -> dict[str, Any]:
        return {"id": "shr_1", "object": "shipping_rate", "fixed_amount": {"amount": 5, **amount}}

    put("shipping_rate", rate(currency_options={"eur": {"amount": 4}}))
    put("shipping_rate", rate(amount=6), seconds=10)
    kept = {"amount": 6, "currency_options": {"eur": {"amount": 4}}}
    assert rows(copies, "select fixed_amount, _raw -> 'fixed_amount' from stripe_copy.shipping_rate") == [
        (kept, kept)
    ]
    put("shipping_rate", {**rate(), "fixed_amount": None}, seconds=20)
    assert rows(copies, "select fixed_amount from stripe_copy.shipping_rate") == [(None,)]


def test_an_older_state_is_stale(copies: psycopg.Connection, put: Apply) -> None:
    put("customer", customer(name="new"), seconds=60)
    assert put("customer", customer(name="old"), seconds=0) == Applied(stale=1)
    assert rows(copies, "select name from stripe_copy.customer") == [("new",)]


def test_a_deleted_object_keeps_its_values_and_leaves_the_view(
    copies: psycopg.Connection, put: Apply
) -> None:
    put("customer", customer())
    stub = {"id": "cus_1", "object": "customer", "deleted": True}
    assert put("customer", stub, seconds=10) == Applied(deleted=1)
    assert rows(copies, "select name, _deleted, _raw ->> 'name' from stripe_copy.customer") == [
        ("Ada", True, "Ada")
    ]
    assert rows(copies, "select id from stripe.customer") == []
    assert put("customer", stub, seconds=20) == Applied(unchanged=1)
    assert put("customer", customer(name="late"), seconds=5) == Applied(stale=1)
    assert put("customer", customer(), seconds=30) == Applied(
        updated=1
    )  # an id that was chosen can come back
    assert rows(copies, "select name from stripe.customer") == [("Ada",)]


def test_a_deletion_that_comes_first_is_not_undone_by_older_states(
    copies: psycopg.Connection, put: Apply
) -> None:
    assert put("customer", {"id": "cus_1", "object": "customer", "deleted": True}, seconds=10).deleted == 1
    assert put("customer", customer(), seconds=0) == Applied(stale=1)
    assert rows(copies, "select id from stripe.customer") == []


def test_the_same_id_of_two_accounts_is_two_rows(copies: psycopg.Connection, put: Apply) -> None:
    put("customer", customer(name="ours"))
    put("customer", customer(name="theirs"), account="acct_1")
    assert rows(copies, "select _account, name from stripe.customer order by 1") == [
        ("", "ours"),
        ("acct_1", "theirs"),
    ]


def test_an_object_twice_in_a_page_is_one_row(copies: psycopg.Connection, put: Apply) -> None:
    put("customer", customer(name="first"), customer("cus_2"), customer(name="last"))
    assert rows(copies, "select id, name from stripe_copy.customer order by 1") == [
        ("cus_1", "last"),
        ("cus_2", "Ada"),
    ]


def test_a_parent_is_the_column_of_an_object_that_does_not_hold_it(
    copies: psycopg.Connection, put: Apply
) -> None:
    put("quote_line_item", {"id": "li_1", "object": "item", "amount_total": 5}, parent="qt_1")
    assert rows(copies, "select id, quote, quote_id, amount_total from stripe.quote_line_item") == [
        ("li_1", "qt_1", "qt_1", 5)
    ]


def test_no_secret_in_copies(copies: psycopg.Connection, put: Apply) -> None:
    put("payment_intent", {"id": "pi_1", "object": "payment_intent", "client_secret": "pi_1_secret_xyz"})
    put(
        "webhook_endpoint",
        {"id": "we_1", "object": "webhook_endpoint", "secret": "whsec_xyz", "url": "https://x"},
    )
    put("issuing_card", {"id": "ic_1", "object": "issuing.card", "number": "4242424242424242", "cvc": "123"})
    for table in ("payment_intent", "webhook_endpoint", "issuing_card"):
        text = str(rows(copies, f"select t from stripe_copy.{table} t"))
        assert "_secret_" not in text
        assert "whsec" not in text
        assert "4242" not in text


# -- objects that do not fit their columns ------------------------------------------------------------------

MISFITS: dict[str, dict[str, Any]] = {
    "a number out of range": {"balance": 10**30},
    "a fraction": {"balance": 1.5},
    "a time out of range": {"created": 10**30},
    "a text in place of a number": {"balance": "much"},
    "a text in place of a boolean": {"delinquent": "perhaps"},
}


@pytest.mark.parametrize("misfit", MISFITS)
def test_one_misfit_in_a_hundred_loses_its_column_and_no_row(
    copies: psycopg.Connection, put: Apply, misfit: str
) -> None:
    objects = [customer(f"cus_{n:03}", balance=n, delinquent=True) for n in range(100)]
    objects[57] |= MISFITS[misfit]
    assert put("customer", *objects) == Applied(inserted=100)
    (name,) = MISFITS[misfit]
    assert rows(copies, f"select id from stripe_copy.customer where {name} is null") == [("cus_057",)]
    assert rows(copies, f"select _raw ? '{name}' from stripe_copy.customer where id = 'cus_057'") == [(True,)]
    assert rows(copies, "select resource, id, columns from stripe_sync.misfit") == [
        ("customer", "cus_057", [name])
    ]
    put("customer", customer("cus_057"), seconds=10)
    assert rows(copies, "select * from stripe_sync.misfit") == []


def test_nul_in_one_of_hundred(copies: psycopg.Connection, put: Apply) -> None:
    objects = [customer(f"cus_{n:03}") for n in range(100)]
    objects[3] |= {"name": "a\0b", "description": "a\\u0000b\\\0"}
    assert put("customer", *objects) == Applied(inserted=100)
    assert rows(copies, "select name, description from stripe_copy.customer where id = 'cus_003'") == [
        ("a\ufffdb", "a\\u0000b\\\ufffd")
    ]


@pytest.mark.parametrize(
    "value", [[], {}, {"data": None}, {"data": [None, 5, {}]}, {"data": "x"}, "x", 5, None]
)
def test_lists_of_an_unexpected_shape_fail_no_row(copies: psycopg.Connection, put: Apply, value: Any) -> None:
    put(
        "subscription", {"id": "sub_1", "object": "subscription", "items": value, "customer": {"id": "cus_1"}}
    )
    assert rows(copies, "select customer_id, price, current_period_end from stripe.subscription") == [
        ("cus_1", None, None)
    ]


# -- two sessions -------------------------------------------------------------------------------------------


def test_sessions_that_apply_the_same_objects_in_another_order_never_deadlock(copies_dsn: str) -> None:
    resource, names = load().resource["customer"], ("older", "newer")
    errors: list[BaseException] = []

    def run(which: int) -> None:
        try:
            with psycopg.connect(copies_dsn, autocommit=True) as connection:
                for turn in range(10):
                    name = f"{names[which]} {turn}"  # the same content would not be evidence of its time
                    objects = [customer(f"cus_{n}", name=name) for n in range(100)]
                    evidence = Evidence(NOON + timedelta(seconds=100 * turn + 50 * which))
                    apply(connection, Schemas(), resource, objects[:: 1 - 2 * which], evidence)
        except psycopg.Error as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(which,)) for which in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    with psycopg.connect(copies_dsn, autocommit=True) as connection:
        assert rows(connection, "select name, count(*) from stripe_copy.customer group by 1") == [
            ("newer 9", 100)
        ]
        connection.execute("truncate stripe_copy.customer, stripe_sync.refetch")


def test_a_session_that_waited_for_another_decides_by_what_that_one_wrote(copies_dsn: str) -> None:
    resource = load().resource["customer"]

    def write(connection: psycopg.Connection, name: str, seconds: int) -> Applied:
        return apply(
            connection,
            Schemas(),
            resource,
            [customer(name=name)],
            Evidence(NOON + timedelta(seconds=seconds)),
        )

    with psycopg.connect(copies_dsn) as first, psycopg.connect(copies_dsn) as second:
        write(first, "base", 0)
        first.commit()
        write(first, "newer", 100)
        outcomes: list[Applied] = []
        thread = threading.Thread(target=lambda: outcomes.append(write(second, "older", 50)))
        thread.start()
        waiting = (
            f"select wait_event_type = 'Lock' from pg_stat_activity where pid = {second.info.backend_pid}"
        )
        with psycopg.connect(copies_dsn, autocommit=True) as other:
            wait_until(lambda: rows(other, waiting) == [(True,)], "the second session waits")
            first.commit()
            thread.join(30)
            second.commit()
            assert outcomes == [Applied(stale=1)]
            assert rows(other, "select name from stripe_copy.customer") == [("newer",)]
            other.execute("truncate stripe_copy.customer, stripe_sync.refetch")


# -- ids that are words -------------------------------------------------------------------------------------


def test_ids_that_are_words_are_kept_with_their_parent(copies: psycopg.Connection, put: Apply) -> None:
    first, second = (
        {"id": "card_payments", "object": "capability", "account": account, "status": "active"}
        for account in ("acct_1", {"id": "acct_2", "object": "account"})
    )
    assert put("capability", first, second) == Applied(inserted=2)
    assert put("capability", first, {**second, "status": "pending"}, seconds=9) == Applied(
        unchanged=1, updated=1
    )
    assert rows(copies, "select id from stripe_copy.capability order by 1") == [
        ("acct_1/card_payments",), ("acct_2/card_payments",)
    ]  # fmt: skip
    assert rows(copies, "select account_id, id, status, _raw ->> 'id' from stripe.capability order by 1") == [
        ("acct_1", "card_payments", "active", "card_payments"),
        ("acct_2", "card_payments", "pending", "card_payments"),
    ]
    stub = {"id": "acct_2/card_payments", "object": "capability", "deleted": True}
    assert put("capability", stub, seconds=20) == Applied(deleted=1)
    assert rows(copies, "select account_id from stripe.capability") == [("acct_1",)]
    assert not compare(copies, Schemas(), load().resource["capability"], [first])
    words = {resource.name for resource in load().resources if resource.parents} & FIXED_IDS.keys()
    assert {resource.name for resource in load().resources if has_word_ids(resource)} == words
