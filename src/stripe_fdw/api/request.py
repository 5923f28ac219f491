"""A request to Stripe as a value: it prints, compares and hashes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final, Literal
from urllib.parse import quote, quote_plus

from stripe_fdw import exact_json

Method = Literal["GET", "POST", "DELETE"]
Scalar = str | int | float | bool
_FORM: Final = "application/x-www-form-urlencoded"
_JSON: Final = "application/json"
VERSION_2: Final = "/v2/"
PAGE: Final = 100  # the most objects that Stripe puts on a page
PARALLEL: Final = 8  # requests of one scan under way at a time


def flatten(params: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Stripe's form encoding, flat.

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


@dataclass(frozen=True, slots=True)
class Request:
    """One request: a verb, a path template with its ids, and flat parameters in the order they are sent.

    ``endpoint`` is the template (``/v1/customers/{customer}``): limits count by it. ``path`` is what is sent.
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
        """Fill the template's ids (percent-encoded) and encode the parameters."""
        path = endpoint.format(**{name: quote(value, safe="") for name, value in ids.items()})
        if method == "POST" and path.startswith(VERSION_2):
            return cls(method, endpoint, path, body=exact_json.dumps(params or {}).decode())
        return cls(method, endpoint, path, tuple(flatten(params or {})))

    def with_params(self, **params: Scalar) -> Request:
        """The same request with these parameters set or replaced, in place where they stood already."""
        new = dict(self.params)
        new.update(flatten(params))
        return replace(self, params=tuple(new.items()))

    @property
    def query(self) -> str:
        """The parameters as they stand in a URL; brackets are left readable, as Stripe accepts them."""
        return "&".join(f"{quote_plus(k, safe='[]')}={quote_plus(v)}" for k, v in self.params)

    @property
    def target(self) -> str:
        """Path and query: what the first line of HTTP names. A POST has its parameters in its body."""
        return f"{self.path}?{self.query}" if self.params and self.method != "POST" else self.path

    @property
    def content(self) -> tuple[str, str] | None:
        """The media type and the text of the body; None where there is none."""
        if self.method != "POST":
            return None
        return (_JSON, self.body) if self.body else (_FORM, self.query)

    @property
    def takes_key(self) -> bool:
        """Whether Stripe takes an idempotency key with it: with a POST, in version 2 also with a DELETE."""
        return self.method == "POST" or (self.method == "DELETE" and self.path.startswith(VERSION_2))

    def __str__(self) -> str:
        shown = f"{self.method} {self.path}" + (f"?{self.query}" if self.params else "")
        return f"{shown} {self.body}" if self.body else shown
