"""``stripe-fdw webhook``: endpoints at Stripe, and their secrets in the database."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode

import psycopg
import pytest
import urllib3

from stripe_fdw.catalog import load
from stripe_fdw.devstack.private_postgres import Cluster
from stripe_fdw.events.webhook_endpoints import received_event_types
from stripe_simulator.operations.simple.webhook_endpoints import signing_secret
from stripe_simulator.process import SimulatorProcess
from support.commands import Command, run_command
from support.database import KEY, column, create, rows
from support.simulators import Simulators
from support.waiting import wait_until
from support.webhooks import ServeProcess, event, serving

URL = "https://hooks.example.com/webhooks/stripe"
Webhook = Callable[..., Command]


@pytest.fixture
def stripe(simulators: Simulators) -> SimulatorProcess:
    """A simulated Stripe without endpoints."""
    return simulators("webhooks", customers=5, seed=3)


@pytest.fixture(scope="module")
def receiver(database: str) -> Iterator[ServeProcess]:
    """A receiver that has all its secrets from the database."""
    with serving(database) as receiver:
        yield receiver


@pytest.fixture
def webhook(database: str, stripe: SimulatorProcess, db: psycopg.Connection) -> Webhook:
    """Run ``stripe-fdw webhook`` in a session whose statements are all logged. It prints no secret."""
    db.execute("truncate stripe_sync.webhook_secret")
    environment = {
        "DATABASE_URL": f"{database}&options=-c%20log_statement%3Dall",
        "STRIPE_API_KEY": KEY,
        "STRIPE_API_BASE": stripe.url,
    }

    def run(*arguments: str) -> Command:
        command = run_command("webhook", *arguments, environment=environment)
        assert KEY not in command.stdout + command.stderr
        assert "whsec_" not in command.stdout + command.stderr
        return command

    return run


def asked(
    stripe: SimulatorProcess,
    method: str,
    path: str,
    headers: Mapping[str, str] = MappingProxyType({}),
    **params: str,
) -> urllib3.BaseHTTPResponse:
    """Send a request of another client to Stripe."""
    form = {"Content-Type": "application/x-www-form-urlencoded", "Authorization": f"Bearer {KEY}"}
    body = urlencode(params) or None
    return urllib3.request(method, f"{stripe.url}/v1/{path}", body=body, headers={**form, **headers})


def endpoints(stripe: SimulatorProcess) -> list[dict[str, Any]]:
    """The endpoints, the oldest first."""
    found: list[dict[str, Any]] = asked(stripe, "GET", "webhook_endpoints?limit=100").json()["data"]
    return found[::-1]


def test_an_endpoint_is_made_once_and_its_secret_stored(
    webhook: Webhook, stripe: SimulatorProcess, db: psycopg.Connection, cluster: Cluster
) -> None:
    made = webhook("create", URL)
    assert made.returncode == 0, made.stderr
    (endpoint,) = endpoints(stripe)
    assert endpoint["api_version"] == load().api_version
    assert endpoint["enabled_events"] == list(received_event_types(load()))
    secret = signing_secret(endpoint["id"])
    stored = "select endpoint, server, url, secret, valid_until from stripe_sync.webhook_secret"
    assert rows(db, stored) == [(endpoint["id"], "stripe", URL, secret, None)]
    log = Path(cluster.log).read_text(errors="replace")
    assert "copy stripe_sync.webhook_secret" in log
    assert secret not in log

    again = webhook("create", URL)
    assert (again.returncode, "is there already" in again.stderr) == (0, True)
    assert len(endpoints(stripe)) == 1


def test_json_has_the_endpoint_and_not_its_secret(
    webhook: Webhook, stripe: SimulatorProcess, db: psycopg.Connection
) -> None:
    made = json.loads(webhook("create", URL, "--json").stdout)
    (endpoint,) = endpoints(stripe)
    assert (made["id"], made["url"], made["enabled"]) == (endpoint["id"], URL, True)
    assert made["secret_stored"] is True
    assert "secret" not in made
    assert made["events"] == endpoint["enabled_events"]
    assert [made] == json.loads(webhook("list", "--json").stdout)
    rotated = json.loads(webhook("rotate", URL, "--json").stdout)
    assert rotated["id"] not in (None, made["id"])
    assert rotated.keys() == made.keys()
    assert rotated["id"] in column(db, "select endpoint from stripe_sync.webhook_secret")


def test_an_endpoint_that_was_changed_is_brought_up_to_date(
    webhook: Webhook, stripe: SimulatorProcess
) -> None:
    webhook("create", URL)
    (made,) = endpoints(stripe)
    changes = {"disabled": "true", "enabled_events[0]": "customer.created"}
    assert asked(stripe, "POST", f"webhook_endpoints/{made['id']}", **changes).status == 200
    assert "brought up to date" in webhook("create", URL).stderr
    (endpoint,) = endpoints(stripe)
    assert endpoint == made


def test_what_stripe_sends_to_the_endpoint_is_received(
    webhook: Webhook, stripe: SimulatorProcess, receiver: ServeProcess, db: psycopg.Connection
) -> None:
    assert webhook("create", f"{receiver.url}/webhooks/stripe").returncode == 0
    made = create(stripe, "customers", {"email": "ada@example.com"})
    found = "select type, api_version, body->'data'->'object'->>'id' from stripe_sync.inbox"
    wait_until(lambda: rows(db, found) == [("customer.created", load().api_version, made["id"])])


def test_both_secrets_are_valid_when_an_endpoint_is_replaced(
    webhook: Webhook, stripe: SimulatorProcess, receiver: ServeProcess, db: psycopg.Connection
) -> None:
    url = f"{receiver.url}/webhooks/stripe"
    webhook("create", url)
    rotated = webhook("rotate", url)
    assert rotated.returncode == 0, rotated.stderr
    old, new = endpoints(stripe)
    assert (old["status"], new["status"]) == ("disabled", "enabled")
    for endpoint in (new, old):
        secret = signing_secret(endpoint["id"])
        wait_until(lambda secret=secret: receiver.post(event(), secret=secret).status == 200)  # type: ignore[misc]
    ends = "select endpoint from stripe_sync.webhook_secret where valid_until < now() + interval '11 minutes'"
    assert column(db, ends) == [old["id"]]

    assert webhook("rotate", url).returncode == 0  # which deletes the one that was disabled before
    first, second = endpoints(stripe)
    assert (first["id"], first["status"], second["status"]) == (new["id"], "disabled", "enabled")


def test_an_old_endpoint_can_stay_until_it_is_deleted(
    webhook: Webhook, stripe: SimulatorProcess, db: psycopg.Connection
) -> None:
    webhook("create", URL)
    assert "stays enabled" in webhook("rotate", URL, "--keep-old").stderr
    old, new = endpoints(stripe)
    assert (old["status"], new["status"]) == ("enabled", "enabled")
    assert webhook("delete", old["id"]).returncode == 0
    assert endpoints(stripe) == [new]
    ended = "select endpoint from stripe_sync.webhook_secret where valid_until is not null"
    assert column(db, ended) == [old["id"]]


def test_an_endpoint_whose_secret_is_lost_is_replaced_on_request(
    webhook: Webhook, stripe: SimulatorProcess, db: psycopg.Connection
) -> None:
    webhook("create", URL)
    db.execute("truncate stripe_sync.webhook_secret")
    refused = webhook("create", URL)
    assert refused.returncode == 1
    assert f"hint: Replace it: stripe-fdw webhook rotate {URL}." in refused.stderr
    assert webhook("rotate", URL).returncode == 0
    assert webhook("create", URL).returncode == 0
    assert [item["status"] for item in endpoints(stripe)] == ["disabled", "enabled"]


def test_connected_accounts_have_an_endpoint_of_their_own(
    webhook: Webhook, stripe: SimulatorProcess, receiver: ServeProcess, db: psycopg.Connection
) -> None:
    url = f"{receiver.url}/webhooks/stripe"
    webhook("create", url)
    assert webhook("create", url, "--connect").returncode == 0
    assert [item["metadata"] for item in endpoints(stripe)] == [
        {"stripe_fdw_server": "stripe"},
        {"stripe_fdw_server": "stripe", "stripe_fdw_connect": "true"},
    ]
    account = asked(stripe, "GET", "accounts").json()["data"][0]["id"]
    for headers in ({}, {"Stripe-Account": account}):
        assert asked(stripe, "POST", "customers", headers).status == 200
    wait_until(lambda: len(column(db, "select id from stripe_sync.inbox")) == 2)
    assert set(column(db, "select account from stripe_sync.inbox")) == {"", account}


def test_endpoints_of_others_stay(webhook: Webhook, stripe: SimulatorProcess) -> None:
    others = create(stripe, "webhook_endpoints", {"url": URL, "enabled_events[0]": "*"})
    assert f"{others['id']}: sends to this URL as well" in webhook("create", URL).stderr
    listed = webhook("list").stdout.splitlines()
    assert [line.split()[0] for line in listed] == ["id", endpoints(stripe)[1]["id"], others["id"]]
    assert ("stored" in listed[1], "(not ours)" in listed[2]) == (True, True)
    described = {item["id"]: item for item in json.loads(webhook("list", "--json").stdout)}
    assert list(described) == [line.split()[0] for line in listed[1:]]
    assert [(item["server"], item["secret_stored"]) for item in described.values()] == [
        ("stripe", True),
        (None, False),
    ]
    assert (described[others["id"]]["events"], described[others["id"]]["url"]) == (["*"], URL)
    refused = webhook("delete", others["id"])
    assert (refused.returncode, "is no endpoint of server stripe" in refused.stderr) == (1, True)
    assert webhook("delete", URL).returncode == 0
    assert [item["id"] for item in endpoints(stripe)] == [others["id"]]


def test_stripes_limit_of_endpoints_is_told(
    webhook: Webhook, stripe: SimulatorProcess, db: psycopg.Connection
) -> None:
    for number in range(16):
        create(stripe, "webhook_endpoints", {"url": f"http://x/{number}", "enabled_events[0]": "*"})
    refused = webhook("create", URL)
    assert refused.returncode == 1
    assert "the account has 16 webhook endpoints, and Stripe allows 16" in refused.stderr
    assert column(db, "select endpoint from stripe_sync.webhook_secret") == []


def test_an_endpoint_whose_secret_cannot_be_stored_is_deleted_again(
    webhook: Webhook, stripe: SimulatorProcess, db: psycopg.Connection, cluster: Cluster
) -> None:
    db.execute(
        "create function refuse() returns trigger language plpgsql as $$ begin raise 'no space left'; end $$;"
        "create trigger refuse before insert on stripe_sync.webhook_secret execute function refuse()"
    )
    try:
        refused = webhook("create", URL)
    finally:
        db.execute("drop function refuse cascade")
    assert refused.returncode == 1
    assert "the database reported an error: no space left" in refused.stderr
    assert endpoints(stripe) == []
    assert "whsec_" not in Path(cluster.log).read_text(errors="replace").partition("no space left")[2]


@pytest.mark.parametrize(
    "url", ["hooks.example.com", "ftp://x/", "https://", "https://a:b@x/", "https://[x/"]
)
def test_what_is_no_url_is_refused_before_stripe_is_asked(
    webhook: Webhook, stripe: SimulatorProcess, url: str
) -> None:
    refused = webhook("create", url)
    assert (refused.returncode, "is no URL to which Stripe can send" in refused.stderr) == (1, True)
    assert endpoints(stripe) == []
