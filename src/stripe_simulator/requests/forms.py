"""Stripe's form encoding, parsed: ``created[gte]=1&expand[]=data.customer`` as nested values."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from stripe_simulator.errors import StripeError

Params = dict[str, Any]  # of str, list and Params


def pairs_of(text: str) -> list[tuple[str, str]]:
    """Return names and values in the order sent, percent-decoded."""
    return parse_qsl(text, keep_blank_values=True)


def parse(text: str) -> Params:
    """Return the parameters as nested dicts, lists and strings. Raises StripeError for a malformed name."""
    tree: Params = {}
    for name, value in pairs_of(text):
        steps = _steps(name)
        inner = tree
        for step in steps[:-1]:
            below = inner.setdefault(step or str(len(inner)), {})
            if not isinstance(below, dict):
                raise StripeError(f"Invalid object: {steps[0]}", param=steps[0])
            inner = below
        inner[steps[-1] or str(len(inner))] = value
    return {name: _with_lists(value) for name, value in tree.items()}


def _steps(name: str) -> list[str]:
    head, bracket, rest = name.partition("[")
    if not bracket:
        return [name]
    if not rest.endswith("]"):
        raise StripeError(f"Invalid parameter name: {name}", param=name)
    return [head, *rest[:-1].split("][")]


def _with_lists(value: Any) -> Any:
    """Replace dicts whose keys are all numbers by lists."""
    if not isinstance(value, dict):
        return value
    inner = {name: _with_lists(below) for name, below in value.items()}
    if inner and all(name.isdecimal() for name in inner):
        return [inner[name] for name in sorted(inner, key=int)]
    return inner
