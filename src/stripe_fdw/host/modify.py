"""The bridge for INSERT, UPDATE, DELETE and the ends of transactions. C calls these through bridge.py."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stripe_fdw import sqlstates
from stripe_fdw.fdw.backend.hosting import Row
from stripe_fdw.fdw.cache.requester import RequestCost
from stripe_fdw.host.backend import backend
from stripe_fdw.host.sql_errors import HostError

if TYPE_CHECKING:
    from stripe_fdw.fdw.tables.base import Lines


def row_identity(table: Any) -> tuple[str, ...]:
    """Return the columns of a row, as it was read, that update() and delete() are given."""
    names = table.row_identity()
    if not isinstance(names, tuple | list) or not all(type(name) is str for name in names):
        raise HostError("row_identity() did not return column names")
    return tuple(names)


def refuse_write(table: Any, command: str) -> None:
    """Raise the error for a statement that Stripe has no operation for: INSERT, UPDATE or DELETE."""
    table.refuse_write(command)
    raise HostError(f"refuse_write() did not refuse {command}")


def _checked_row(row: object, method: str) -> Row | None:
    if row is None or type(row) is dict:
        return row
    raise HostError(f"{method}() returned a {type(row).__name__}, not a dict")


def request_cost() -> RequestCost:
    """Return what counts the requests of a plan node that writes."""
    return RequestCost()


def insert(table: Any, run: int, cost: RequestCost, values: Row, answered: list[str] | None) -> Row | None:
    """Create an object. ``run`` identifies the executor run, ``cost`` counts the requests of the plan node.

    ``answered`` are the columns of the answer that are used, ``*`` for all of them; None if none is.
    """
    backend().host.enter_run(run)
    return _checked_row(table.insert_row(values, answered, cost), "insert_row")


def update(
    table: Any, run: int, cost: RequestCost, old: Row, values: Row, answered: list[str] | None
) -> Row | bool | None:
    """Change an object; ``values`` are the columns that the statement sets. False: it was changed before."""
    backend().host.enter_run(run)
    row = table.update_row(old, values, answered, cost)
    return False if row is False else _checked_row(row, "update_row")


def delete(table: Any, run: int, cost: RequestCost, old: Row, answered: int) -> bool:
    """Delete an object. False: the statement has deleted it before, so there is no row."""
    backend().host.enter_run(run)
    return table.delete_row(old, bool(answered), cost) is not False


def end_modify(table: Any, run: int) -> None:
    """Wait for what was not answered yet: the statement has written all its rows."""
    backend().host.enter_run(run)
    table.end_modify()


def write_statistics(table: Any, run: int, cost: RequestCost) -> Lines:
    """Return EXPLAIN ANALYZE's lines of a plan node that has written all its rows, once all are answered."""
    end_modify(table, run)
    return cost.lines()


def transaction(event: str, level: int) -> None:
    """Tell the session how a transaction that has written, or its savepoint number ``level`` - 1, goes on.

    ``event`` is "pre_commit", "prepare", "commit", "rollback", "sub_commit" or "sub_rollback".
    """
    if event == "prepare":
        raise HostError(
            "a transaction that has written to Stripe cannot be prepared",
            sqlstate=sqlstates.FEATURE_NOT_SUPPORTED,
        )
    arguments = (level,) if event.startswith("sub_") else ()
    getattr(backend().session, event)(*arguments)
