"""The bridge for INSERT, UPDATE, DELETE and the ends of transactions. C calls these through bridge.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stripe_fdw.host.failures import WrapperError

_writing: dict[int, Any] = {}
"""The wrappers that have written in this transaction, by identity."""


def rowid_column(wrapper: Any) -> str:
    """Name the column that identifies a row."""
    name = wrapper.rowid_column
    if type(name) is not str:
        raise WrapperError(f"rowid_column is a {type(name).__name__}, not a str")
    return name


def batch_size(wrapper: Any) -> int:
    """How many rows insert_many() takes at once; 1 where there is no insert_many()."""
    size = getattr(wrapper, "modify_batch_size", 1) if hasattr(wrapper, "insert_many") else 1
    if type(size) is not int or size < 1:
        raise WrapperError("modify_batch_size is not an int of 1 or more")
    return min(size, 10_000)


def begin_modify(wrapper: Any, level: int) -> None:
    """A statement that writes begins, ``level`` - 1 savepoints deep."""
    if id(wrapper) in _writing:
        return
    _writing[id(wrapper)] = wrapper
    _call(wrapper, "begin", False)
    for depth in range(2, level + 1):
        _call(wrapper, "sub_begin", depth)


def _answer(answer: object, what: str) -> dict[str, object] | None:
    if answer is None or type(answer) is dict:
        return answer
    raise WrapperError(f"{what}() gave a {type(answer).__name__}, not a dict")


def insert(wrapper: Any, rows: list[dict[str, object]]) -> list[dict[str, object] | None]:
    """Create objects; gives one answer for each."""
    if len(rows) == 1:
        return [_answer(wrapper.insert(rows[0]), "insert")]
    answers = wrapper.insert_many(rows)
    if not isinstance(answers, list | tuple) or len(answers) != len(rows):
        raise WrapperError("insert_many() did not give one answer for each row")
    return [_answer(answer, "insert_many") for answer in answers]


def update(wrapper: Any, rowid: object, values: dict[str, object]) -> dict[str, object] | None:
    """Change an object; ``values`` are the columns that the statement sets."""
    return _answer(wrapper.update(rowid, values), "update")


def delete(wrapper: Any, rowid: object) -> None:
    """Delete an object."""
    wrapper.delete(rowid)


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
