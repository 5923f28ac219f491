"""Shapes of nested parameters: which fields each object inside a request's body takes.

Many nested parameters share their fields, so a shape is stored once, named after a class of the SDK. The
shapes are a file of their own that is read on first use: a backend that only reads never opens it.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import orjson

from stripe_fdw.catalog.model import Kind, Parameter

PATH = Path(__file__).with_name("parameter_shapes.json")


@cache
def fields(shape: str) -> tuple[Parameter, ...]:
    """Return the fields of a shape, required ones first.

    Raises:
        KeyError: the file has no such shape.
        OSError: the file is missing from the installation.

    """
    return tuple(parameter(entry, _document()["literals"]) for entry in _document()["shapes"][shape])


def parameter(entry: dict[str, Any], literals: dict[str, list[str]]) -> Parameter:
    """Return the parameter of an entry; ``literals`` has the lists that are stored once for many entries."""
    values = entry.get("values", ())
    return Parameter(
        **{
            **entry,
            "kind": Kind(entry["kind"]),
            "values": tuple(literals[values] if isinstance(values, str) else values),
            "resets": tuple(map(tuple, entry.get("resets", ()))),
            "fields_of_shape": fields,
        }
    )


@cache
def _document() -> dict[str, Any]:
    document: dict[str, Any] = orjson.loads(PATH.read_bytes())
    return document
