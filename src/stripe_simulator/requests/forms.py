"""Stripe's form encoding, read: ``created[gte]=1&expand[]=data.customer`` as nested values."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from stripe_simulator.errors import StripeError

Params = dict[str, Any]  # of str, list and Params


def pairs_of(text: str) -> list[tuple[str, str]]:
    """Names and values in the order sent, percent-decoded."""
    return parse_qsl(text, keep_blank_values=True)


def parse(text: str) -> Params:
    """The parameters as nested dicts, lists and strings."""
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
    return {name: _listed(value) for name, value in tree.items()}


def _steps(name: str) -> list[str]:
    head, bracket, rest = name.partition("[")
    if not bracket:
        return [name]
    if not rest.endswith("]"):
        raise StripeError(f"Invalid parameter name: {name}", param=name)
    return [head, *rest[:-1].split("][")]


def _listed(value: Any) -> Any:
    """Dicts whose keys count from 0 are lists."""
    if not isinstance(value, dict):
        return value
    inner = {name: _listed(below) for name, below in value.items()}
    if inner and all(name.isdecimal() for name in inner):
        return [inner[name] for name in sorted(inner, key=int)]
    return inner
