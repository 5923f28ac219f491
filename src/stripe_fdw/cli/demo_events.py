"""The end of ``stripe-fdw demo``: a webhook arrives, and the copy and a materialized view show the change."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import psycopg

from stripe_fdw.api.client import Client, ClientOptions
from stripe_fdw.catalog import load
from stripe_fdw.cli.output import out, say
from stripe_fdw.database.queries import single_value
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.errors import StripeFdwError
from stripe_fdw.redaction import Secret

_NEEDED: Final = ("croniter", "procrastinate", "stripe")
_WAIT_SECONDS: Final = 30.0
_LOOK_SECONDS: Final = 0.002
_VIEW: Final = """create materialized view active_subscriptions as
  select si.product_id, count(distinct s.id) as active
    from stripe.subscription s
    join stripe.subscription_item si on si.subscription_id = s.id
   where s.status = 'active'
   group by si.product_id;
create unique index on active_subscriptions (product_id);
select stripe_sync.refresh_view('active_subscriptions', at_most_every => '500 ms');"""
_ACTIVE: Final = "select active from active_subscriptions where product_id = %s"
_STATUS: Final = "select status from stripe.subscription where id = %s"
_ARRIVED: Final = (
    "select type from stripe_sync.inbox where source = 'webhook' and body -> 'data' -> 'object' ->> 'id' = %s"
)
_IS_CURRENT: Final = (
    "select exists (select from stripe_sync.event_position where polled_at is not null)"
    " and not exists (select from stripe_sync.inbox where outcome is null)"
    " and bool_and(refreshed_at is not null and stale_since is null) from stripe_sync.view_status"
)
_CHOSEN: Final = (
    "select s.id, si.product_id from stripe.subscription s"
    " join stripe.subscription_item si on si.subscription_id = s.id where s.status = 'active' limit 1"
)


def show_events(
    connection: psycopg.Connection, environment: Mapping[str, str], directory: Path, number: int
) -> None:
    """Show what a webhook does, as examples from this number on.

    Args:
        connection: in autocommit, to a database with copies of subscriptions and their items.
        environment: the settings of commands for that database and the simulated Stripe.
        directory: gets the output of the commands.
        number: of the first example.

    Raises:
        StripeFdwError: something does not come within 30 seconds.
    """
    missing = [name for name in _NEEDED if find_spec(name) is None]
    chosen = connection.execute(_CHOSEN).fetchone()
    if missing or chosen is None:
        lacking = f"the packages {', '.join(missing)}" if missing else "an active subscription"
        say(f"what events do is not shown: that needs {lacking}")
        return
    subscription, product = chosen
    out.print("\nEvents: stripe-fdw serve, and stripe-fdw worker\n", markup=False, style="bold")
    _show(f"{number}. A materialized view of the copies, which the worker refreshes when these change", _VIEW)
    connection.execute(_VIEW.encode())
    out.print()
    port = _free_port()
    _endpoint(connection, environment, f"http://127.0.0.1:{port}/webhooks/stripe")
    with (
        _command("serve", "--port", str(port), environment=environment, directory=directory) as serve,
        _command("worker", environment=environment, directory=directory) as worker,
    ):
        serve.wait(lambda: "listening on" in serve.printed(), "the receiver")
        worker.wait(lambda: single_value(connection, _IS_CURRENT), "the view")
        before = int(str(single_value(connection, _ACTIVE, product)))
        out.print(f"\n  {before} subscriptions to {product} are active", markup=False)
        _show(
            f"{number + 1}. One is canceled at Stripe, which sends a webhook",
            f"DELETE /v1/subscriptions/{subscription}",
        )
        out.print()
        began = time.perf_counter()

        def show(text: str, query: str, parameter: str, expected: object) -> None:
            worker.wait(lambda: single_value(connection, query, parameter) == expected, text)
            _print_time(began, f"{text}: {expected}")

        _cancel(environment, subscription)
        _print_time(began, "Stripe has answered")
        show("its webhook is in the inbox", _ARRIVED, subscription, "customer.subscription.deleted")
        show("the copy has the status", _STATUS, subscription, "canceled")
        show("active in the materialized view", _ACTIVE, product, before - 1)


def _print_time(began: float, text: str) -> None:
    out.print(f"  {(time.perf_counter() - began) * 1000:5.0f} ms  {text}", markup=False, style="green")


def _show(title: str, text: str) -> None:
    out.print(f"\n{title}\n", markup=False, style="bold")
    out.print("\n".join(f"  {line}" for line in text.splitlines()), markup=False, style="cyan")


def _endpoint(connection: psycopg.Connection, environment: Mapping[str, str], url: str) -> None:
    """Have Stripe send events there, as ``stripe-fdw webhook create`` does."""
    from stripe_fdw.events.webhook_endpoints import WebhookEndpoints

    catalog = load()
    key, base = Secret(environment["STRIPE_API_KEY"]), environment["STRIPE_API_BASE"]
    with closing(Client(ClientOptions(key, catalog.api_version, base))) as client:
        WebhookEndpoints(client, connection, Schemas(), catalog, say).create(url)


def _cancel(environment: Mapping[str, str], subscription: str) -> None:
    request = urllib.request.Request(  # noqa: S310 - loopback
        f"{environment['STRIPE_API_BASE']}/v1/subscriptions/{subscription}",
        method="DELETE",
        headers={"Authorization": f"Bearer {environment['STRIPE_API_KEY']}"},
    )
    urllib.request.urlopen(request, timeout=10).close()  # noqa: S310


@dataclass(frozen=True, slots=True)
class _Command:
    """A command of stripe-fdw that runs, and the file with what it prints."""

    process: subprocess.Popen[bytes]
    log: Path

    def printed(self) -> str:
        return self.log.read_text(errors="replace")

    def wait(self, is_done: Callable[[], object], what: str) -> None:
        """Wait for what the command is to do. Raises StripeFdwError if it ends, or takes too long."""
        deadline = time.monotonic() + _WAIT_SECONDS
        while not is_done():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise StripeFdwError(f"timed out waiting for {what}", detail=self.printed()[-2000:])
            time.sleep(_LOOK_SECONDS)


@contextmanager
def _command(*arguments: str, environment: Mapping[str, str], directory: Path) -> Iterator[_Command]:
    """Run a command of stripe-fdw until the end of the block."""
    file = directory / f"{arguments[0]}.log"
    with file.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "stripe_fdw", *arguments],
            env={**os.environ, **environment}, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        yield _Command(process, file)
    finally:
        process.terminate()
        try:
            process.wait(_WAIT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
