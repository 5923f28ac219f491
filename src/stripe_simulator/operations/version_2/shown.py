"""Objects of version 2 of the API as responses show them: null in place of what is not included."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from stripe_fdw.catalog.model import Resource
from stripe_simulator.operations.version_2.errors import invalid_fields
from stripe_simulator.types import Json

if TYPE_CHECKING:
    from collections.abc import Mapping

# Shown once, in the response that creates the object, and only where it is included.
_SIGNING_SECRET = "webhook_endpoint.signing_secret"  # noqa: S105


def _includable(resource: Resource, *, in_list: bool) -> list[str]:
    columns = [item for item in resource.columns if item.expanded_in_lists or not in_list]
    return [path for item in columns if item.expand for path in item.expand.split(",")]


def included(resource: Resource, params: Mapping[str, Any], *, in_list: bool = False) -> frozenset[str]:
    """Return the fields that a request includes. Raises Version2Error for one that it cannot include."""
    sent = params.get("include", [])
    if not isinstance(sent, list) or not all(isinstance(path, str) for path in sent):
        raise invalid_fields("include must be an array.")
    accepted = [*_includable(resource, in_list=in_list), _SIGNING_SECRET]
    for path in sent:
        if path not in accepted:
            raise invalid_fields(f"include must be one of {', '.join(accepted)}, not {path}.")
    return frozenset(sent)


def shown(resource: Resource, item: Json, include: frozenset[str]) -> Json:
    """Return the object, with null for each field that has to be included and is not."""
    visible = deepcopy(item)
    for path in (*_includable(resource, in_list=False), _SIGNING_SECRET):
        head, *rest = path.split(".")
        siblings = {each for each in include if each.partition(".")[0] == head}
        if path in include or visible.get(head) is None:
            continue
        if rest and (siblings or len(visible[head]) > len(_paths_below(resource, head))):
            visible[head][rest[0]] = None
        elif not rest or not siblings:
            visible[head] = None
    return visible


def _paths_below(resource: Resource, head: str) -> list[str]:
    """Return the includable fields inside an object: one that holds nothing else is null without them."""
    return [path for path in _includable(resource, in_list=False) if path.startswith(f"{head}.")]
