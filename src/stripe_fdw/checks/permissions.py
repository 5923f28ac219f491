"""What the key may read: one object is asked for of each list that Stripe has."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import psycopg
from psycopg import sql

from stripe_fdw.api.responses import NOT_ACTIVATED_HINT
from stripe_fdw.catalog import load
from stripe_fdw.catalog.model import Resource
from stripe_fdw.checks.finding import Finding, listing, ok, warning
from stripe_fdw.checks.subject import Subject
from stripe_fdw.counts import counted
from stripe_fdw.database.errors import Report
from stripe_fdw.fdw.schema.import_schema import CALL_TABLE

_NAME: Final = "permissions"
_SECONDS: Final = 20  # for one request, with its retries
_MAX_SECONDS: Final = 300.0  # for all of them
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class _Answers:
    """The tables by what Stripe has answered about them."""

    readable: list[str]
    refused: dict[str, str]  # with Stripe's message
    not_activated: list[str]
    failed: dict[str, str]


def check_permissions(subject: Subject, progress: Progress) -> Iterator[Finding]:
    """Whether the key may read each table that was imported: a request for each list, one after the other.

    The database server sends them, within its rate limits. ``progress`` is called with how many are done.
    """
    if subject.foreign_server is None:
        return
    if subject.why_no_request is not None:
        yield warning(_NAME, f"were not tried: {subject.why_no_request}")
        return
    if (reason := subject.why_not_readable(CALL_TABLE)) is not None:
        yield warning(_NAME, f"were not tried: {reason}", subject.grant(CALL_TABLE))
        return
    resources = _asked(subject)
    answers = _ask_all(subject, resources, progress)
    yield from _findings(answers, len(resources))


def _asked(subject: Subject) -> list[Resource]:
    """Return the imported resources whose list can be asked for without an id, each list once."""
    rows = subject.connection.execute(
        "select relname from pg_class"
        " where relnamespace = to_regnamespace(quote_ident(%s)) and relkind = 'f'",
        (subject.schemas.live,),
    )
    imported = {name for (name,) in rows}
    by_path = {
        resource.list_path: resource
        for resource in reversed(load().resources)
        if resource.name in imported
        and resource.list_path
        and not (resource.parents or resource.preview)
        and not any(item.required for item in resource.filters)
    }
    return sorted(by_path.values(), key=lambda resource: resource.name)


def _ask_all(subject: Subject, resources: list[Resource], progress: Progress) -> _Answers:
    answers = _Answers([], {}, [], {})
    query = sql.SQL("select status from {} where method = 'GET' and path = %s and params = %s").format(
        sql.Identifier(subject.schemas.live, CALL_TABLE)
    )
    began = time.monotonic()
    for number, resource in enumerate(resources):
        if time.monotonic() - began > _MAX_SECONDS:
            answers.failed.update((item.name, "there was no time left") for item in resources[number:])
            break
        progress(number, len(resources))
        params = '{"limit": 1}' if resource.paged and not resource.single else "{}"
        try:
            with subject.connection.transaction():
                subject.connection.execute(f"set local statement_timeout = '{_SECONDS}s'".encode())
                subject.connection.execute(query, (resource.list_path, params))
        except psycopg.errors.QueryCanceled:
            answers.failed[resource.name] = f"there was no answer in {_SECONDS} seconds"
        except psycopg.Error as error:
            if subject.connection.closed:
                raise
            _note(answers, resource.name, Report.of(error))
        else:
            answers.readable.append(resource.name)
    return answers


def _note(answers: _Answers, name: str, report: Report) -> None:
    if report.hint == NOT_ACTIVATED_HINT:
        answers.not_activated.append(name)
    elif report.status == 403:
        answers.refused[name] = report.message
    else:
        answers.failed[name] = report.message


def _findings(answers: _Answers, asked: int) -> Iterator[Finding]:
    if answers.refused:
        name, message = next(iter(answers.refused.items()))
        yield warning(
            _NAME,
            f"the key may not read {counted(len(answers.refused), 'table')}: {', '.join(answers.refused)}."
            f" Of {name}, Stripe says: {message}",
            "give the key these permissions in Stripe, or use another key",
        )
    if answers.failed:
        name, message = next(iter(answers.failed.items()))
        yield warning(
            _NAME,
            f"{counted(len(answers.failed), 'table')} could not be tried: {listing(list(answers.failed))}."
            f" {name}: {message}",
        )
    if not answers.refused and not answers.failed:
        unused = (
            f"; the account does not use the products of {listing(answers.not_activated)}"
            if answers.not_activated
            else ""
        )
        readable = len(answers.readable)
        yield ok(_NAME, f"the key may read {readable} of {counted(asked, 'table')} that were tried{unused}")
