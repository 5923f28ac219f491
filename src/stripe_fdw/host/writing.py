"""The bridge for INSERT, UPDATE, DELETE and the ends of transactions. C calls these through bridge.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stripe_fdw.fdw.backend.hosting import enter_run
from stripe_fdw.host.sql_errors import WrapperError

Row = dict[str, object]

_writing: dict[int, Any] = {}
"""The wrappers that have written in this transaction, by identity."""


def row_identity(wrapper: Any) -> tuple[str, ...]:
    """Name the columns of a row, as it was read, that update() and delete() are given."""
    names = wrapper.row_identity()
    if not isinstance(names, tuple | list) or not all(type(name) is str for name in names):
        raise WrapperError("row_identity() did not give names of columns")
    return tuple(names)


def begin_modify(wrapper: Any, level: int) -> None:
    """A statement that writes begins, ``level`` - 1 savepoints deep."""
    if id(wrapper) in _writing:
        return
    _writing[id(wrapper)] = wrapper
    _call(wrapper, "begin", False)
    for depth in range(2, level + 1):
        _call(wrapper, "sub_begin", depth)


def _answer(answer: object, what: str) -> Row | None:
    if answer is None or type(answer) is dict:
        return answer
    raise WrapperError(f"{what}() gave a {type(answer).__name__}, not a dict")


def insert(wrapper: Any, run: int, values: Row, answered: int) -> Row | None:
    """Create an object. ``run`` tells executor runs apart; ``answered``: whether anybody sees the answer."""
    enter_run(run)
    return _answer(wrapper.insert_row(values, bool(answered)), "insert_row")


def update(wrapper: Any, run: int, old: Row, values: Row, answered: int) -> Row | bool | None:
    """Change an object; ``values`` are the columns that the statement sets. False: it was changed before."""
    enter_run(run)
    answer = wrapper.update_row(old, values, bool(answered))
    return False if answer is False else _answer(answer, "update_row")


def delete(wrapper: Any, run: int, old: Row, answered: int) -> bool:
    """Delete an object. False: the statement has deleted it before, so there is no row."""
    enter_run(run)
    return wrapper.delete_row(old, bool(answered)) is not False


def end_modify(wrapper: Any, run: int) -> None:
    """Wait for what was not answered yet: the statement has written all its rows."""
    enter_run(run)
    wrapper.end_modify()


def _call(wrapper: Any, name: str, *arguments: object) -> None:
    method: Callable[..., object] | None = getattr(wrapper, name, None)
    if method is not None:
        method(*arguments)


def transaction(event: str, level: int) -> None:
    """Tell those that have written how their transaction, or its savepoint number ``level`` - 1, goes on."""
    wrappers = list(_writing.values())
    if event in ("commit", "rollback"):
        _writing.clear()
    if event == "prepare" and wrappers:
        raise WrapperError(
            "a transaction that has written to Stripe cannot be prepared", sqlstate="0A000"
        )  # feature_not_supported
    arguments = (level,) if event.startswith("sub_") else ()
    failure: BaseException | None = None
    for wrapper in wrappers:
        try:
            _call(wrapper, event, *arguments)
        except BaseException as error:  # noqa: BLE001 - the others must hear of it too
            failure = failure or error
    if failure is not None:
        raise failure
