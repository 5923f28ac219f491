"""Writing: each row is one change in Stripe, and who rolls back learns what stays."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg
import pytest
from database_support import KEY, Server, Servers, count

from stripe_simulator.process import SimulatorProcess


@pytest.fixture(scope="module")
def stripe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    """A simulated Stripe of which these tests change the objects."""
    log = tmp_path_factory.mktemp("written") / "simulator.log"
    with SimulatorProcess(customers=30, seed=11, log=log) as simulator:
        yield simulator


@pytest.fixture
def live(servers: Servers, stripe: SimulatorProcess) -> Server:
    """A server with tables to write to."""
    for what in ("faults", "limits", "requests"):
        stripe.control("DELETE", f"/{what}")
    return servers(
        "customer", "product", mapping={"api_key": KEY}, api_base=stripe.url, max_requests_per_second=10000
    )


@pytest.fixture
def sent(stripe: SimulatorProcess) -> Callable[[], list[str]]:
    """What was written since the last call: ``POST /v1/customers``."""

    def since() -> list[str]:
        log = stripe.requests()
        stripe.control("DELETE", "/requests")
        return [f"{item['method']} {item['path']}" for item in log if item["method"] != "GET"]

    return since


@pytest.fixture
def warnings(db: psycopg.Connection) -> list[str]:
    """The warnings that came so far."""
    found: list[str] = []

    def note(diag: psycopg.errors.Diagnostic) -> None:
        if diag.severity == "WARNING":
            found.append(" ".join(filter(None, (diag.message_primary, diag.message_detail))))

    db.add_notice_handler(note)
    return found


def test_a_row_is_created_changed_and_deleted(
    db: psycopg.Connection, live: Server, sent: Callable[[], list[str]], warnings: list[str]
) -> None:
    table = live.table("customer")
    made = db.execute(
        f"insert into {table} (email, name, metadata) values ('a@b.c', 'Ada', '{{\"k\": \"v\"}}')"
        " returning id, email, name, created, metadata, _raw, _params, _idempotency_key".encode()
    ).fetchone()
    assert made is not None
    assert made[0].startswith("cus_")
    assert made[1:3] == ("a@b.c", "Ada")
    assert made[3] is not None
    assert made[4] == {"k": "v"}
    assert made[5]["id"] == made[0]
    assert made[6:] == (None, None)
    assert sent() == ["POST /v1/customers"]
    changed = db.execute(
        f"update {table} set name = 'Grace', metadata = null where id = %s"
        " returning name, metadata, email".encode(),
        (made[0],),
    ).fetchone()
    assert changed == ("Grace", {}, "a@b.c")
    gone = db.execute(f"delete from {table} where id = %s returning id, name".encode(), (made[0],)).fetchone()
    assert gone == (made[0], "Grace")
    assert sent() == [f"POST /v1/customers/{made[0]}", f"DELETE /v1/customers/{made[0]}"]
    assert count(db, f"select count(*) from {table} where id = %s", made[0]) == 0
    assert warnings == []
