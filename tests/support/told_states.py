"""The states of objects in events, compared with what Stripe returns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx

from stripe_fdw.catalog import load
from stripe_fdw.catalog.model import Freshness


def all_events(client: httpx.Client) -> list[dict[str, Any]]:
    """Return all events, the oldest first."""
    found: list[dict[str, Any]] = []
    has_more = True
    while has_more:
        after = {"starting_after": found[-1]["id"]} if found else {}
        page = client.get("/events", params={"limit": 100, **after}).json()
        found += page["data"]
        has_more = page["has_more"]
    return found[::-1]


def silent_changes(client: httpx.Client) -> Iterator[str]:
    """Yield a line for each object that is not as the last event about it has told."""
    resources = {type_: resource for resource in load().resources for type_ in resource.events}
    last: dict[tuple[str, str], dict[str, Any]] = {}
    for event in all_events(client):
        if event["type"] in resources:
            last[resources[event["type"]].name, str(event["data"]["object"].get("id"))] = event
    for (_, identifier), event in last.items():
        resource, told = resources[event["type"]], event["data"]["object"]
        if resource.retrieve is None or resource.parents or resource.freshness is not Freshness.EVENTS:
            continue  # of others the catalog says that events leave changes out
        answer = client.get(resource.retrieve.path.removeprefix("/v1").format_map(_Same(identifier)))
        is_gone = answer.status_code == 404 or answer.json().get("deleted", False)
        is_told_gone = event["type"].endswith(".deleted") and not event["type"].startswith(
            "customer.subscription"
        )
        if is_gone != is_told_gone:
            yield f"{identifier} after {event['type']}: {'gone' if is_gone else 'still there'}"
        elif not is_gone and _without_prices(answer.json()) != _without_prices(told):
            shown = answer.json()
            yield f"{identifier} after {event['type']}: {_differing(told, shown)}"
        elif not is_gone:
            yield from _silent_entries(client, identifier, told)


def _silent_entries(client: httpx.Client, identifier: str, told: dict[str, Any]) -> Iterator[str]:
    """Yield a line for each list inside an object that is not as the list of its entries."""
    for field, value in told.items():
        if isinstance(value, dict) and value.get("object") == "list":
            url = str(value["url"]).removeprefix("/v1")
            answer = client.get(f"{url}{'&' if '?' in url else '?'}limit=10").json()
            shown, entries = (
                {each["id"]: _without_prices(each) for each in data}
                for data in (answer.get("data", ()), value["data"][:10])
            )
            for key in shown.keys() | entries.keys():
                if shown.get(key) != entries.get(key):
                    difference = _differing(entries.get(key, {}), shown.get(key, {}))
                    yield f"{identifier}.{field} {key}: {difference}"


def _without_prices(value: Any) -> Any:
    """Return a value with the ids of its prices and plans alone: of their changes the holder has no event."""
    if isinstance(value, list):
        return [_without_prices(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        name: each["id"] if name in ("price", "plan") and isinstance(each, dict) and "id" in each
        else _without_prices(each)
        for name, each in value.items()
    }  # fmt: skip


def _differing(told: dict[str, Any], shown: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return what was told and what is shown, by field, where they differ."""
    fields = sorted(shown.keys() | told.keys())
    return {each: (told.get(each), shown.get(each)) for each in fields if told.get(each) != shown.get(each)}


class _Same(dict[str, str]):
    """Has the same value for every name."""

    def __init__(self, value: str) -> None:
        super().__init__()
        self._value = value

    def __missing__(self, _name: str) -> str:
        return self._value
