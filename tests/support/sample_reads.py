"""A FakeStripe with some objects of each kind, and plans of their tables read with it."""

from __future__ import annotations

from typing import Any

from stripe_fdw.fdw.cache.response_cache import ResponseCache
from stripe_fdw.fdw.planning.planner import plan_read
from stripe_fdw.fdw.planning.quals import Qual, SortKey
from stripe_fdw.fdw.reading.reader import PlanReader
from support import sample_resources as samples
from support.fake_stripe import FakeStripe, plan_reader

NEWEST = SortKey("created", descending=True, nulls_first=True)


def line_list(invoice: str, data: list[dict[str, Any]], has_more: bool) -> dict[str, Any]:
    return {"object": "list", "data": data, "has_more": has_more, "url": f"/v1/invoices/{invoice}/lines"}


def stripe(count: int = 250) -> FakeStripe:
    customers = [
        {"id": f"cus_{i}", "created": 10_000 - i, "email": "a@b.c", "object": "customer"}
        for i in range(count)
    ]
    subscriptions = [
        {"id": f"sub_{i}", "created": 500 - i, "status": "active", "customer": f"cus_{i % 2}"}
        for i in range(8)
    ]
    lines = [{"id": f"il_{i}", "amount": i} for i in range(3)]
    invoices = [
        {"id": "in_full", "created": 2, "lines": line_list("in_full", lines[:2], has_more=False)},
        {"id": "in_more", "created": 1, "lines": line_list("in_more", lines[:1], has_more=True)},
    ]
    return FakeStripe(
        samples.ALL,
        {
            "customer": customers,
            "subscription": subscriptions,
            "invoice": invoices,
            "line_item": lines,
        },
    )


def reader(client: FakeStripe, cache: ResponseCache | None = None, cache_ttl: float = 0.0) -> PlanReader:
    return plan_reader(client, cache=cache, cache_ttl=cache_ttl)


def pages(client: FakeStripe, table: str, *quals: Qual, **options: Any) -> Any:
    cache, ttl = options.pop("cache", None), options.pop("cache_ttl", 0.0)
    plan = plan_read(samples.ALL[table], quals, resources=samples.ALL, **options)
    return reader(client, cache, ttl).pages(plan)


def ids(pages: Any) -> list[str]:
    return [item["id"] for page in pages for item in page.objects]
