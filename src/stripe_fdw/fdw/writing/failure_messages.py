"""Words for what a statement that fails leaves behind."""

from __future__ import annotations

from collections.abc import Iterable

from stripe_fdw.errors import StripeFdwError
from stripe_fdw.fdw.writing.row_write import RowWrite
from stripe_fdw.fdw.writing.write_log import StatementEffects


def stays(tally: StatementEffects) -> str:
    """What the statement has changed."""
    if not tally.count:
        return ""
    rows = "1 row is changed and stays" if tally.count == 1 else f"{tally.count} rows are changed and stay"
    return f"{rows} so in Stripe: {tally.changed_text()}."


def unknown(tally: StatementEffects) -> str:
    """What of it nobody knows."""
    return f"Not known whether done: {tally.unknown_text()}." if tally.unknown_count else ""


def tell(
    error: StripeFdwError,
    tally: StatementEffects,
    row: int | None,
    flight: RowWrite | None,
    *,
    unknown: bool,
    others: Iterable[str],
) -> None:
    """Let the error say which row it is of, if there are several, and what is changed by then."""
    details = [stays(tally), *others]
    message = error.message
    if flight is not None and flight.done:
        message = f"{flight.step.operation} failed: {message}"
        details.append(f"{flight.identifier} is changed in part: {flight.partly(unknown=unknown)}.")
    if row is not None:
        message = f"row {row} failed: {message}"
    if unknown and flight is not None:
        details.append(
            f"Whether {flight.step.request.method} {flight.step.request.path} was done is not known."
        )
    error.message = message
    error.args = (message,)
    error.detail = " ".join(filter(None, (*details, error.detail))) or None
