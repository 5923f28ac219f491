"""Tests of one rule for thousands of cases, which pytest takes longer to list and report than to run."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any


def each(
    name: str, cases: Iterable[Any], ids: Callable[[Any], object] = str
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Run a test for every case, as one test; it fails with the errors of all cases, each with its name.

    Args:
        name: of the parameter that takes the case; further parameters are fixtures, which the cases share.
        cases: at least one.
        ids: returns the name of a case.
    """
    every = list(cases)
    assert every, "no case"

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(test)
        def run(**fixtures: Any) -> None:
            failures = []
            for case in every:
                try:
                    test(**{name: case}, **fixtures)
                except Exception as error:  # noqa: BLE001 - raised below
                    error.add_note(f"{name}: {ids(case)}")
                    failures.append(error)
            if failures:
                raise ExceptionGroup(f"{len(failures)} of {len(every)} cases fail", failures)

        signature = inspect.signature(test)
        others = [parameter for parameter in signature.parameters.values() if parameter.name != name]
        run.__signature__ = signature.replace(parameters=others)  # type: ignore[attr-defined]
        del run.__wrapped__  # type: ignore[attr-defined] # where pytest would look for the parameters
        return run

    return decorate
