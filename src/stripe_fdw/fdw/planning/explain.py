"""EXPLAIN's lines about the plan of a read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from urllib.parse import quote_plus

from msgspec.structs import replace

from stripe_fdw.fdw.planning.plan import (
    EmptyResult,
    FanOut,
    Fetch,
    Held,
    Lists,
    ListThenRetrieve,
    Previews,
    ReadPlan,
    Retrieve,
    Search,
)
from stripe_fdw.fdw.planning.quals import Qual, Unknown
from stripe_fdw.text_limits import MAX_REQUESTS

_LAG: Final = "delayed, so recent changes may be missing"


def describe_read(plan: ReadPlan, *, verbose: bool = False) -> list[tuple[str, str]]:
    """Return EXPLAIN's lines about a plan, each a label and a text."""
    lines = list(_requests(plan, verbose))
    if plan.pushed:
        lines.append(("Stripe Pushed", " AND ".join(map(str, plan.pushed))))
    if plan.checked:
        lines.append(("Stripe Checked Locally", " AND ".join(map(str, plan.checked))))
    if plan.expanded:
        lines.append(("Stripe Expand", ", ".join(plan.expanded)))
    if plan.not_expanded:
        lines.append(("Stripe Not Expanded", f"{', '.join(plan.not_expanded)}: only of one object by its id"))
    if plan.order:
        lines.append(("Stripe Order", ", ".join(map(str, plan.order))))
    return lines


def _requests(plan: ReadPlan, verbose: bool) -> Iterable[tuple[str, str]]:
    label = "Stripe Request"
    match plan.access:
        case ListThenRetrieve(listed, retrieved):
            yield from _requests(replace(plan, access=listed), verbose)
            endpoint = retrieved.fetches[0].request.endpoint
            yield label, f"GET {endpoint} for those of the {len(retrieved.fetches)} ids that are not listed"
        case EmptyResult(reason):
            yield label, f"none: {reason}"
        case Retrieve(fetches) | Previews(fetches) | Lists(fetches) | Search(fetches) | Held(fetches):
            shown = fetches if verbose else fetches[:MAX_REQUESTS]
            for fetch in shown:
                yield label, _request_text(fetch, plan.pushed)
            if len(shown) < len(fetches):
                yield label, f"and {len(fetches) - len(shown)} more like these"
            if verbose and isinstance(plan.access, Lists) and plan.access.parallel:
                yield "Stripe Slices", "in parallel by created, from the second page on"
            if isinstance(plan.access, Search):
                yield "Stripe Search Index", _LAG
        case FanOut(parents, _, column, fetches):
            for fetch in fetches:
                yield label, f"{_request_text(fetch, plan.pushed)} for each {column} of"
            yield from _requests(parents, verbose)


def _request_text(fetch: Fetch, quals: Iterable[Qual]) -> str:
    """Return the request, with values that are not known yet as they are and not percent-encoded."""
    text = str(fetch)
    for qual in quals:
        if isinstance(qual.value, Unknown):
            text = text.replace(quote_plus(str(qual.value)), str(qual.value))
    for _, value in fetch.request.params:
        if value.startswith("{"):
            text = text.replace(quote_plus(value), value)
    return text
