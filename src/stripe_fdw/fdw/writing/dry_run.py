"""The rows of a statement under ``stripe_fdw.dry_run``: NOTICEs with the requests that would be sent."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import Final

from stripe_fdw import exact_json
from stripe_fdw.api.request import Request, flatten
from stripe_fdw.counts import counted
from stripe_fdw.fdw.backend.hosting import DRY_RUN, Host
from stripe_fdw.fdw.writing.plan.row_plan import RowPlan
from stripe_fdw.redaction import MASK
from stripe_fdw.sql_quoting import quote_literal
from stripe_fdw.text_limits import MAX_NAME_CHARACTERS, excerpt

_MAX_SHOWN: Final = 100  # requests of a statement
_MAX_PARAMETERS: Final = 100  # of a request

# Parameters whose values are secrets or numbers of cards, accounts and persons.
_SECRET: Final = re.compile(
    r"(?:^|\[) (?: account_number | client_secret | cvc | encrypted_number | encrypted_pin | iban | id_number"
    r" | passcode | password | payload | pin | secret | ssn_last_4"
    r" | (?: card | external_account | source )\]?\[number ) \]? (?:\[|$)",
    re.VERBOSE,
)


class DryRun:
    """Shows the requests of a statement's rows in place of sending them, the first of them one by one."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._requests = 0

    def show(self, number: int, plan: RowPlan) -> None:
        """Show the requests of a row; ``number`` is its number in the statement, from 1."""
        if not plan.requests:
            self._show(f"dry run, row {number}: nothing would be sent, since no value differs", None)
        for request in plan.requests:
            path = excerpt(request.request.path, MAX_NAME_CHARACTERS)
            key = plan.idempotency_key if request.request.takes_idempotency_key else None
            parameters = _parameters_text(request.request)
            details = [
                *([f"Parameters: {parameters}."] if parameters else []),
                *([f"Idempotency key: {quote_literal(excerpt(key, MAX_NAME_CHARACTERS))}."] if key else []),
            ]
            self._show(
                f"dry run, row {number}: would send {request.request.method} {path}",
                " ".join(details) or None,
            )

    def end(self) -> None:
        """Say how many requests were not shown: the statement has no more rows."""
        if self._requests > _MAX_SHOWN:
            more = counted(self._requests - _MAX_SHOWN, "more request")
            self._host.notice(f"dry run: {more} would be sent", None, f"SET {DRY_RUN} = off; sends them.")
        self._requests = 0

    def _show(self, message: str, detail: str | None) -> None:
        self._requests += 1
        if self._requests <= _MAX_SHOWN:
            self._host.notice(message, detail)


def _parameters_text(request: Request) -> str:
    """Return the parameters as names and literals, those that are secret masked."""
    pairs = _pairs(request)
    shown = [f"{name} = {_value_text(name, value)}" for name, value in islice(pairs, _MAX_PARAMETERS)]
    left = sum(1 for _ in pairs)
    return ", ".join([*shown, *([f"and {left} more"] if left else [])])


def _pairs(request: Request) -> Iterator[tuple[str, str]]:
    return flatten(exact_json.loads(request.body)) if request.body else iter(request.params)


def _value_text(name: str, value: str) -> str:
    shown = MASK if value and _SECRET.search(name) else excerpt(value, MAX_NAME_CHARACTERS)
    return quote_literal(shown)
