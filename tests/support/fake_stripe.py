"""A Stripe in memory behind the client's interface: lists with filters, ranges, pages; retrieves; a log."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

import orjson

from stripe_fdw.api.client import ClientOptions
from stripe_fdw.api.request import Request
from stripe_fdw.api.responses import Response
from stripe_fdw.api.threads import InterruptibleFuture
from stripe_fdw.catalog.model import Kind, Resource
from stripe_fdw.errors import ApiError, NotFoundError
from stripe_fdw.fdw.cache.invalidation import GenerationCounters
from stripe_fdw.fdw.cache.requester import Requester
from stripe_fdw.fdw.cache.response_cache import ResponseCache
from stripe_fdw.fdw.reading.reader import PlanReader
from stripe_fdw.fdw.reading.rows import row_maker
from stripe_fdw.redaction import Secret

KEY = "sk_test_4eC39HqLyjWDarjtT1zdp7dc"
_RANGE = re.compile(r"(.+)\[(gte|gt|lte|lt)\]")
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "gte": lambda a, b: a >= b,
    "gt": lambda a, b: a > b,
    "lte": lambda a, b: a <= b,
    "lt": lambda a, b: a < b,
}


@dataclass
class FakeStripe:
    """Stands in for ``api.client.Client``. ``objects`` are each resource's, newest first."""

    resources: Mapping[str, Resource]
    objects: dict[str, list[dict[str, Any]]]
    key: str = KEY
    log: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.options = ClientOptions(key=Secret(self.key), api_version="2026-10-28.endive")

    def rate(self, endpoint: str) -> float:
        return 100.0

    def fetch(self, request: Request, *, check: Callable[[], object], background: bool = False) -> Response:
        return self.submit(request, background=background).result(check=check)

    def submit(self, request: Request, *, background: bool = False) -> InterruptibleFuture[Response]:
        self.log.append(str(request))
        future: InterruptibleFuture[Response] = InterruptibleFuture()
        try:
            body = self.answer(request)
        except ApiError as error:
            future.set_exception(error)
        else:
            size = len(orjson.dumps(body))
            future.set_result(Response(200, body, datetime.now(UTC), "req_1", size, 0.0, 1))  # type: ignore[call-arg,unused-ignore]
        return future

    def answer(self, request: Request) -> dict[str, Any]:
        for resource in self.resources.values():
            if request.endpoint == resource.list_path:
                return self.page(resource, request)
            if resource.retrieve is not None and request.endpoint == resource.retrieve.path:
                return self.one(resource, unquote(request.path.rpartition("/")[2]))
        raise AssertionError(f"unexpected request {request}")

    def one(self, resource: Resource, identifier: str) -> dict[str, Any]:
        for item in self.objects[resource.name]:
            if item["id"] == identifier:
                return item
        raise NotFoundError(f"No such {resource.object}: '{identifier}'", param="id", code="resource_missing")

    def page(self, resource: Resource, request: Request) -> dict[str, Any]:
        params = dict(request.params)
        limit, after = int(params.pop("limit", "10")), params.pop("starting_after", None)
        found = [item for item in self.objects[resource.name] if self.matches(resource, item, params)]
        if after is not None:
            found = found[[item["id"] for item in found].index(after) + 1 :]
        return {"object": "list", "data": found[:limit], "has_more": len(found) > limit, "url": request.path}

    def matches(self, resource: Resource, item: Mapping[str, Any], params: Mapping[str, str]) -> bool:
        if resource.name == "subscription" and "status" not in params and item["status"] == "canceled":
            return False  # what Stripe's list hides by default
        if resource.name == "price" and "active" not in params and not item["active"]:
            return False
        for name, text in params.items():
            if (resource.name, name, text) == ("subscription", "status", "all"):
                continue
            if not self.fits(resource, item, name, text, params):
                return False
        return True

    def fits(
        self, resource: Resource, item: Mapping[str, Any], name: str, text: str, params: Mapping[str, str]
    ) -> bool:
        bound = _RANGE.fullmatch(name)
        parameter = bound[1] if bound else re.sub(r"\[\d+\]$", "", name)
        wanted = next(one for one in resource.filters if one.parameter == parameter)
        value = item[resource.column[wanted.column].path[0]]
        if wanted.values and text not in wanted.values:
            raise AssertionError(f"Stripe would refuse {name}={text}")
        if bound:
            return value is not None and _COMPARE[bound[2]](value, int(text))
        if wanted.any_of:
            return value in [given for key, given in params.items() if key.startswith(f"{parameter}[")]
        return value is not None and str(value).lower() == text.lower()


def cell(resource: Resource, column: str, item: dict[str, Any]) -> Any:
    """The column's value as Postgres would compare it."""
    from stripe_fdw.fdw.backend.standalone import PlainColumn

    known = resource.column[column]
    value = row_maker(resource, [PlainColumn(column, known.kind.postgres_type)]).rows([item])[0][0]
    return datetime.fromtimestamp(value, UTC) if known.kind is Kind.TIME and value is not None else value


def response_cache(**sizes: int) -> ResponseCache:
    """A response cache where no host runs: all of a test is one executor run."""
    return ResponseCache(lambda: None, **sizes)


def plan_reader(
    client: FakeStripe,
    check: Callable[[], object] = lambda: None,
    *,
    cache: ResponseCache | None = None,
    cache_ttl: float = 0.0,
) -> PlanReader:
    """A reader of plans for a scan of its own."""
    return PlanReader(
        client,  # type: ignore[arg-type]
        Requester(check),
        client.resources,
        cache or response_cache(),
        GenerationCounters(),
        cache_ttl,
    )
