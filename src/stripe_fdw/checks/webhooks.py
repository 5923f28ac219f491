"""The webhook endpoints at Stripe that send to the server's receiver, and whether anything arrives."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from typing import Final

import psycopg
from psycopg import sql

from stripe_fdw.catalog import load
from stripe_fdw.checks.finding import Finding, ok, problem, warning
from stripe_fdw.checks.subject import Subject
from stripe_fdw.counts import counted
from stripe_fdw.database.errors import Report
from stripe_fdw.errors import InvalidResponseError
from stripe_fdw.events.stored_secrets import endpoints_with_secret
from stripe_fdw.events.webhook_endpoints import Endpoint, received_event_types

_NAME: Final = "webhook_endpoint"
_TABLE: Final = "webhook_endpoint"
_SECONDS: Final = 20
# Those of the last minutes may still come by a webhook.
_ARRIVED: Final = """
    select count(*) filter (where source = 'webhook'), count(*)
      from stripe_sync.inbox
     where schema = %s and account = ''
       and created between now() - interval '1 day' and now() - interval '2 minutes'
"""


def check_webhook_endpoint(subject: Subject) -> Iterator[Finding]:
    """Whether our endpoints are enabled, up to date, and bring events: one request."""
    if not (subject.has_copies and subject.asks_stripe) or subject.foreign_server is None:
        return
    if subject.why_no_request is not None:
        yield warning(_NAME, f"was not asked for: {subject.why_no_request}")
        return
    if (reason := subject.why_not_readable(_TABLE)) is not None:
        yield warning(_NAME, f"was not asked for: {reason}", subject.grant(_TABLE))
        return
    table = sql.Identifier(subject.schemas.live, _TABLE)
    try:
        with subject.connection.transaction():
            subject.connection.execute(f"set local statement_timeout = '{_SECONDS}s'".encode())
            rows = subject.connection.execute(sql.SQL("select _raw from {}").format(table)).fetchall()
        endpoints = [Endpoint.of(found) for (found,) in rows]
    except psycopg.errors.QueryCanceled:
        yield warning(_NAME, f"was not asked for: there was no answer in {_SECONDS} seconds")
        return
    except psycopg.Error as error:
        report = Report.of(error)
        yield warning(_NAME, f"was not asked for: {report.message}", report.hint)
        return
    except InvalidResponseError as error:
        yield warning(_NAME, f"was not asked for: {error.message}")
        return
    ours = [endpoint for endpoint in endpoints if endpoint.server == subject.schemas.server]
    yield from _of_endpoints(subject, ours)


def _of_endpoints(subject: Subject, ours: Sequence[Endpoint]) -> Iterator[Finding]:
    enabled = [endpoint for endpoint in ours if endpoint.is_enabled]
    served = {(endpoint.url, endpoint.connect) for endpoint in enabled}
    found = [
        problem(
            _NAME,
            f"{endpoint.id} is disabled: Stripe sends no events to {endpoint.url}",
            _command(subject, "create", endpoint),
        )
        for endpoint in ours
        # A rotation leaves the old one disabled beside the new one.
        if not endpoint.is_enabled and (endpoint.url, endpoint.connect) not in served
    ]
    for endpoint in enabled:
        found.extend(_of_enabled(subject, endpoint))
    if enabled and not found and (silent := _silence(subject, enabled[0])) is not None:
        found = [silent]
    if found:
        yield from found
    elif enabled:
        yield ok(_NAME, f"{counted(len(enabled), 'endpoint')} enabled: {enabled[0].url}")
    else:
        yield ok(_NAME, "there is none of stripe-fdw: events are read from Stripe's list alone")


def _of_enabled(subject: Subject, endpoint: Endpoint) -> Iterator[Finding]:
    wanted = set(received_event_types(load()))
    if "*" not in endpoint.event_types and (missing := wanted - endpoint.event_types):
        yield warning(
            _NAME,
            f"{endpoint.id} does not send {counted(len(missing), 'type')} of events, such as {min(missing)}",
            _command(subject, "create", endpoint),
        )
    if endpoint.api_version != load().api_version:
        yield warning(
            _NAME,
            f"{endpoint.id} sends version {endpoint.api_version or '(of the account)'} of the API,"
            f" not {load().api_version}",
            _command(subject, "rotate", endpoint),
        )


def _silence(subject: Subject, endpoint: Endpoint) -> Finding | None:
    """Return the finding that events of the last day are known from Stripe's list alone."""
    row = subject.connection.execute(_ARRIVED.encode(), (subject.schemas.copies,)).fetchone()
    by_webhook, total = row or (0, 0)
    if by_webhook or not total:
        return None
    secret = (
        ""
        if endpoint.id in endpoints_with_secret(subject.connection, subject.schemas)
        else ", and its secret is not in this database"
    )
    return problem(
        _NAME,
        f"no webhook has brought one of the {counted(total, 'event')} of the last day: nothing receives what"
        f" Stripe sends to {endpoint.url}{secret}",
        _command(subject, "rotate", endpoint) if secret else "stripe-fdw serve",
    )


def _command(subject: Subject, command: str, endpoint: Endpoint) -> str:
    connect = " --connect" if endpoint.connect else ""
    return f"stripe-fdw webhook {command} {shlex.quote(endpoint.url)}{subject.schemas.option}{connect}"
