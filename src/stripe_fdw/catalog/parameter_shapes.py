"""What is known inside the parameters that are objects: a file of its own, read when first asked for.

Most of Stripe's nested parameters are alike, so their fields stand once under the name of a class of the SDK
that has them. Fewest statements need them: a backend that only reads never opens the file.
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
    """The parameters that an object of this shape takes, required ones first.

    Raises KeyError for a shape that there is not, OSError where the installation lost its file.
    """
    return tuple(parameter(entry, _document()["literals"]) for entry in _document()["shapes"][shape])


def parameter(entry: dict[str, Any], literals: dict[str, list[str]]) -> Parameter:
    """A parameter from its entry in the file; longer lists of literals stand once, under ``literals``."""
    values = entry.get("values", ())
    return Parameter(
        **{
            **entry,
            "kind": Kind(entry["kind"]),
            "values": tuple(literals[values] if isinstance(values, str) else values),
            "resets": tuple(map(tuple, entry.get("resets", ()))),
        }
    )


@cache
def _document() -> dict[str, Any]:
    document: dict[str, Any] = orjson.loads(PATH.read_bytes())
    return document
