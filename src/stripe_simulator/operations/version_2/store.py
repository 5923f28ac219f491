"""The objects of version 2 of the API, in one account: the generated ones, and those that were written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_simulator.operations.version_2.errors import not_found
from stripe_simulator.operations.version_2.samples import CHILDREN, count_of, sample
from stripe_simulator.types import Json

if TYPE_CHECKING:
    from stripe_fdw.catalog.model import Resource
    from stripe_simulator.requests.request import ApiRequest
    from stripe_simulator.world.account import Account


def objects_of(account: Account, resource: Resource) -> dict[str, Json]:
    """Return all objects of a resource by id, the oldest first; those of all parents."""
    stored = account.version_2.get(resource.name)
    if stored is None:
        stored = account.version_2[resource.name] = {
            item["id"]: item for item in _generated(account, resource)
        }
    return stored


def _generated(account: Account, resource: Resource) -> list[Json]:
    if not resource.parents:
        count = count_of(account, resource.name)
        return [sample(account, resource, number, count) for number in range(count)]
    parents = list(objects_of(account, account.catalog.resource[resource.parents[0].resource]))
    total = len(parents) * CHILDREN
    return [
        sample(account, resource, number, total) | {resource.parents[0].column: parents[number // CHILDREN]}
        for number in range(total)
    ]


def find(request: ApiRequest, resource: Resource) -> Json:
    """Return the object that the path names. Raises Version2Error 404 where there is none, or no parent."""
    item = objects_of(request.account, resource).get(request.ids[len(resource.parents)])
    if item is None or not is_inside(request, resource, item):
        raise not_found(resource.object, request.ids[len(resource.parents)])
    return item


def check_parent(request: ApiRequest, resource: Resource) -> None:
    """Raise Version2Error 404 where the path names a parent that does not exist."""
    for parent, identifier in zip(resource.parents, request.ids, strict=False):
        holder = request.account.catalog.resource[parent.resource]
        if identifier not in objects_of(request.account, holder):
            raise not_found(holder.object, identifier)


def is_inside(request: ApiRequest, resource: Resource, item: Json) -> bool:
    """Return True if the object lies inside the parent that the path names, if it names one."""
    return not resource.parents or item[resource.parents[0].column] == request.ids[0]
