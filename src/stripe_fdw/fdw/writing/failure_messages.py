"""Error messages, details and hints for rows that fail: what is changed, what is unknown, how to retry."""

from __future__ import annotations

from collections.abc import Iterable

from stripe_fdw import sqlstates
from stripe_fdw.catalog import load
from stripe_fdw.errors import ApiError, StripeFdwError
from stripe_fdw.fdw.schema.table_names import TableNames
from stripe_fdw.fdw.writing.plan.remedies import instead_of_delete, instead_of_update
from stripe_fdw.fdw.writing.row_write import RowWrite
from stripe_fdw.fdw.writing.statement_effects import StatementEffects
from stripe_fdw.sql_quoting import quote_literal


def changed_objects(effects: StatementEffects) -> str:
    """Return the sentence that lists the objects a failed statement has changed; "" where there are none."""
    if not effects.count:
        return ""
    rows = "1 row remains" if effects.count == 1 else f"{effects.count} rows remain"
    return f"{rows} changed in Stripe: {effects.changed_text()}."


def unknown_requests(effects: StatementEffects) -> str:
    """Return the sentence that lists the requests with an unknown outcome; "" where there are none."""
    return f"Outcome unknown: {effects.unknown_text()}." if effects.unknown_count else ""


def skipped_rows(effects: StatementEffects) -> str:
    """Return the sentence that lists the rows that were not carried out although later rows were."""
    return f"Not carried out: {effects.skipped_text()}." if effects.skipped_rows else ""


def partial_change(row: RowWrite, *, unknown: bool = False) -> str:
    """Return the sentence on a row of which some requests are done; ``unknown``: the next one perhaps."""
    operations = [request.operation for request in row.plan.requests]
    sentence = f"{row.identifier} is changed in part: {', '.join(operations[: row.done])} was done"
    left = operations[row.done + unknown :]
    return f"{sentence}, {', '.join(left)} was not." if left else f"{sentence}."


def other_failure(row: RowWrite, error: StripeFdwError, *, unknown: bool) -> str:
    """Return the sentence on a row that was in flight when another row failed, and failed as well."""
    message = error.message.removesuffix(".")
    if unknown:
        message += f"; it is unknown whether Stripe carried out {request_text(row)}"
    return f"Row {row.number} failed as well: {message}."


def add_details(
    error: StripeFdwError,
    effects: StatementEffects,
    number: int | None,
    row: RowWrite | None,
    *,
    unknown: bool,
    others: Iterable[str],
) -> None:
    """Extend the error of a row by its number and by details on what the statement has changed.

    Args:
        error: the error that is raised to the client; it is changed in place.
        effects: the changes of the statement.
        number: the row's number; None if the error is to have none.
        row: the row whose request failed; None where the row failed before its first request.
        unknown: True if it is not known whether Stripe performed the request.
        others: sentences on other rows of the statement.
    """
    details = [changed_objects(effects), *others]
    message = error.message
    if row is not None and row.done:
        message = f"{row.request.operation} failed: {message}"
        details.append(partial_change(row, unknown=unknown))
    if number is not None:
        message = f"row {number} failed: {message}"
    if unknown and row is not None:
        request = row.request.request
        details.append(f"It is unknown whether Stripe carried out {request.method} {request.path}.")
    error.message = message
    error.args = (message,)
    error.detail = " ".join(filter(None, (*details, error.detail))) or None


def request_text(row: RowWrite) -> str:
    """Return method and path of a row's request, and the key with which it can be repeated safely."""
    request = row.request.request
    text = f"{request.method} {request.path}"
    return text if request.method == "DELETE" else f"{text} with {_key_text(row)}"


def retry_hint(row: RowWrite, *, only_one: bool) -> str:
    """Return how to run a row again whose outcome is not known; ``only_one``: there is no other such row."""
    if row.request.request.method == "DELETE":
        if row.plan.is_call:
            return "Run it again: an error P0002 then means that it is deleted already."
        return "Run it again: it is no error if it is deleted already."
    if not only_one:
        return (
            f"Run these rows again, each with its {_key_name(row)}:"
            " Stripe carries out each of them only once."
        )
    again = "Run it again" if row.plan.is_call else "Run this row again"
    return f"{again} with {_key_text(row)}: Stripe carries it out only once."


def replay_hint(row: RowWrite, error: BaseException) -> str | None:
    """Return how to go on where Stripe repeats this error for the row's key; None where it does not."""
    if not isinstance(error, ApiError) or not error.replayed:
        return None
    keeps = f"Stripe keeps this error for the idempotency key {quote_literal(row.key)}."
    if (error.status or 0) < 500:
        return f"{keeps} To try again, use another key."
    return f"{keeps} Look in Stripe whether it was done; if it was not, use another key."


def state_hint(row: RowWrite, error: BaseException, names: TableNames) -> str | None:
    """Return what SQL can do instead where the state of the row's object does not allow its request."""
    plan, operation = row.plan, row.request.operation
    if plan.object_id is None or plan.invalidates is None:
        return None
    if type(error) is not ApiError or error.status != 400 or error.hint is not None:
        return None
    resource, fields = load().resource[plan.invalidates], plan.current or {}
    if resource.delete is not None and operation == resource.delete.name:
        return instead_of_delete(resource, names, plan.object_id, fields)
    # Most errors about states have no code, and name no parameter.
    is_about_state = error.sqlstate == sqlstates.OBJECT_NOT_IN_PREREQUISITE_STATE or not (
        error.code or error.param
    )
    if is_about_state and resource.update is not None and operation == resource.update.name:
        return instead_of_update(resource, names, plan.object_id, fields)
    return None


def _key_name(row: RowWrite) -> str:
    return "idempotency_key" if row.plan.is_call else "_idempotency_key"


def _key_text(row: RowWrite) -> str:
    """Return how SQL gives the row its key: as a named argument of a call, or as a column."""
    return f"{_key_name(row)} {'=>' if row.plan.is_call else '='} {quote_literal(row.key)}"
