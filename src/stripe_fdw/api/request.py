"""Requests to Stripe as values that print, compare and hash."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Final, Literal
from urllib.parse import quote, quote_plus

from msgspec import Struct
from msgspec.structs import replace

from stripe_fdw import exact_json
from stripe_fdw.catalog.model import VERSION_2

Method = Literal["GET", "POST", "DELETE"]
Scalar = str | int | float | bool
_FORM: Final = "application/x-www-form-urlencoded"
_JSON: Final = "application/json"
PAGE: Final = 100  # Stripe's maximum of objects on a page
PARALLEL: Final = 8  # maximum of requests that one scan has under way


def flatten(params: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Encode parameters as Stripe's form encoding does, as names and values.

    ``{"created": {"gte": 1}, "expand": ["data.customer"]}`` becomes ``created[gte]=1`` and
    ``expand[0]=data.customer``. None becomes the empty string, which unsets.
    """
    for key, value in params.items():
        name = f"{prefix}[{key}]" if prefix else key
        yield from _flatten_value(name, value)


def _flatten_value(name: str, value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        yield from flatten(value, name)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _flatten_value(f"{name}[{index}]", item)
    elif value is None:
        yield name, ""
    elif isinstance(value, bool):
        yield name, "true" if value else "false"
    else:
        yield name, exact_json.format_decimal(value) if isinstance(value, Decimal) else str(value)


class Request(Struct, frozen=True):
    """One request: a method, a path and flat parameters in the order they are sent.

    ``endpoint`` is the path's template (``/v1/customers/{customer}``), by which rate limits count.
    ``body`` is the JSON text that version 2 of the API takes in place of parameters.
    """

    method: Method
    endpoint: str
    path: str
    params: tuple[tuple[str, str], ...] = ()
    body: str = ""

    @classmethod
    def of(
        cls, method: Method, endpoint: str, params: Mapping[str, object] | None = None, **ids: str
    ) -> Request:
        """Make a request from a path template: percent-encode the ids, encode the parameters."""
        path = endpoint.format(**{name: quote(value, safe="") for name, value in ids.items()})
        if method == "POST" and path.startswith(VERSION_2):
            return cls(method, endpoint, path, body=exact_json.dumps(params or {}).decode())
        return cls(method, endpoint, path, tuple(flatten(params or {})))

    def with_params(self, **params: Scalar) -> Request:
        """Return the request with these parameters added, or replaced where they stand."""
        new = dict(self.params)
        new.update(flatten(params))
        return replace(self, params=tuple(new.items()))

    @property
    def query(self) -> str:
        """The parameters URL-encoded, but for brackets, which Stripe accepts as they are."""
        return "&".join(f"{quote_plus(k, safe='[]')}={quote_plus(v)}" for k, v in self.params)

    @property
    def target(self) -> str:
        """Path and query, as in the request line of HTTP. A POST has its parameters in its body."""
        return f"{self.path}?{self.query}" if self.params and self.method != "POST" else self.path

    @property
    def content(self) -> tuple[str, str] | None:
        """The media type and the text of the body; None for a request without one."""
        if self.method != "POST":
            return None
        return (_JSON, self.body) if self.body else (_FORM, self.query)

    @property
    def is_version_2(self) -> bool:
        """True for a request to version 2 of the API."""
        return self.path.startswith(VERSION_2)

    @property
    def takes_idempotency_key(self) -> bool:
        """True for a POST, and in version 2 of the API for a DELETE."""
        return self.method == "POST" or (self.method == "DELETE" and self.is_version_2)

    def __str__(self) -> str:
        text = f"{self.method} {self.path}" + (f"?{self.query}" if self.params else "")
        return f"{text} {self.body}" if self.body else text
