"""Create, update and delete, the same for every resource of the catalog."""

from __future__ import annotations

import time
from copy import deepcopy
from typing import TYPE_CHECKING

import orjson

from stripe_fdw.catalog.model import Kind
from stripe_simulator import items, problems
from stripe_simulator.collection import ChildCollection
from stripe_simulator.events import emit, emit_as
from stripe_simulator.filters import Condition
from stripe_simulator.payloads import apply, checked
from stripe_simulator.problems import StripeProblem
from stripe_simulator.reads import found, parent_position, resource_of, shown, stub

if TYPE_CHECKING:
    from stripe_simulator.calls import Answer, Call, Json
    from stripe_simulator.collection import Collection

# What a new object has where its parameters say nothing else.
_INITIAL: dict[str, Json] = {
    "customer": {"tax_exempt": "none", "balance": 0, "delinquent": False, "preferred_locales": []},
    "subscription": {"status": "active", "collection_method": "charge_automatically", "currency": "usd"},
    "invoice": {
        "status": "draft", "billing_reason": "manual", "collection_method": "charge_automatically",
        "auto_advance": False, "currency": "usd",
    },
    "payment_intent": {"status": "requires_payment_method", "capture_method": "automatic_async"},
    "charge": {"status": "succeeded", "paid": True, "captured": True},
    "price": {"active": True, "type": "one_time", "billing_scheme": "per_unit"},
    "webhook_endpoint": {"status": "enabled"},
    "quote": {"status": "draft"},
}  # fmt: skip
# Parameters that Stripe asks for beyond what its types say.
_NEEDED = {
    "subscription": ("customer", "items"),
    "invoiceitem": ("customer",),
    "charge": ("amount", "currency"),
}
_TRUE = frozenset({"active", "enabled", "discountable", "valid", "charges_enabled", "payouts_enabled"})


def blank(collection: Collection, position: int) -> Json:
    """A new object before its parameters: null where that may be, else what is usual."""
    resource = collection.resource
    now = int(time.time())
    made = collection.generator.object(position)
    for column in resource.columns:
        if len(column.path) != 1 or column.name not in made or column.name in {"id", "object", "livemode"}:
            continue
        if column.name == "metadata":
            made["metadata"] = {}
        elif column.nullable:
            made[column.name] = None
        elif column.kind is Kind.TIME:
            made[column.name] = now
        elif column.kind is Kind.INTEGER:
            made[column.name] = 0
        elif column.kind is Kind.BOOLEAN:
            made[column.name] = column.name in _TRUE
        elif column.kind is Kind.TEXT and column.values:
            made[column.name] = column.values[0]
    if "created" in made:
        made["created"] = now
    made |= deepcopy(_INITIAL.get(resource.name, {}))
    made["id"] = collection.identifier(position)
    return made


def create(call: Call) -> Answer:
    """POST of a new object."""
    resource = resource_of(call)
    assert resource.create is not None
    params = checked(call, resource.create, _NEEDED.get(resource.name, ()))
    collection = call.world.collection(resource.name)
    parent = parent_position(call, collection)
    if parent is not None and isinstance(collection, ChildCollection):
        position = collection.new_position_in(parent)
    else:
        position = collection.new_position()
    made = blank(collection, position)
    if isinstance(params.get("id"), str) and "id" in {one.name for one in resource.create.parameters}:
        made["id"] = _chosen(collection, params.pop("id"))
    apply(resource, made, params)
    if resource.parents and resource.parents[0].column in made:
        made[resource.parents[0].column] = call.ids[0]
    after_create = _AFTER_CREATE.get(resource.name)
    if after_create is not None:
        after_create(call, position, made, params)
    collection.write(position, made)
    emit(call, "created", made)
    if resource.name == "subscription_item" and parent is not None:
        items.refresh(call, parent)
    if resource.name == "webhook_endpoint":
        made = made | {"secret": items.secret_of(made["id"])}
    return shown(call, made)


def _chosen(collection: Collection, identifier: str) -> str:
    position = collection.position(identifier)
    if position is not None and not collection.is_deleted(position):
        raise StripeProblem(
            f"{collection.resource.object.capitalize()} already exists.",
            code="resource_already_exists",
            param="id",
        )
    return identifier


def _living(call: Call) -> tuple[Collection, int]:
    collection, position = found(call)
    if collection.is_deleted(position):
        raise problems.no_object(collection.resource.object, call.ids[-1])
    return collection, position


def update(call: Call) -> Answer:
    """POST to an object: only what is sent changes."""
    resource = resource_of(call)
    assert resource.update is not None
    collection, position = _living(call)
    params = checked(call, resource.update)
    before = collection.read(position)
    made = deepcopy(before)
    apply(resource, made, params)
    if resource.name == "subscription" and "items" in params:
        items.change(call, position, made, params["items"])
    if resource.name == "subscription_item":
        items.price(call, made, params)
    collection.write(position, made)
    if before != made:
        emit(call, "updated", made, before)
    if resource.name == "subscription_item" and isinstance(collection, ChildCollection):
        items.refresh(call, items.subscription_of(position))
    return shown(call, made)


def delete(call: Call) -> Answer:
    """DELETE of an object; a subscription is cancelled and stays."""
    resource = resource_of(call)
    assert resource.delete is not None
    collection, position = _living(call)
    checked(call, resource.delete)
    made = collection.read(position)
    if resource.name == "subscription":
        return _cancel(call, collection, position)
    if resource.name == "invoice" and made["status"] != "draft":
        raise StripeProblem(
            "You can only delete draft invoices. To void this invoice, use the void endpoint."
        )
    if resource.name == "customer":
        _cancel_subscriptions(call, made["id"])
    collection.delete(position)
    emit(call, "deleted", made)
    if resource.name == "subscription_item":
        items.refresh(call, items.subscription_of(position))
    return shown(call, stub(collection, made["id"]))


def _cancel(call: Call, collection: Collection, position: int) -> Answer:
    made = deepcopy(collection.read(position))
    if made["status"] in _OVER:
        raise problems.no_object("subscription", made["id"])
    _end(made)
    collection.write(position, made)
    emit(call, "deleted", made)
    return shown(call, orjson.loads(orjson.dumps(made)))


def _end(made: Json) -> None:
    now = int(time.time())
    made |= {"status": "canceled", "canceled_at": now, "ended_at": now, "cancel_at_period_end": False}
    made["cancellation_details"] = {"comment": None, "feedback": None, "reason": "cancellation_requested"}


def _cancel_subscriptions(call: Call, customer: str) -> None:
    """A deleted customer's subscriptions are canceled at once."""
    subscriptions = call.world.collection("subscription")
    theirs = Condition(subscriptions.resource.column["customer"], (customer,))
    for position in list(subscriptions.find([theirs], *subscriptions.bounds(), newest_first=True)):
        made = deepcopy(subscriptions.read(position))
        if made["status"] not in _OVER:
            _end(made)
            subscriptions.write(position, made)
            emit_as(call, "customer.subscription.deleted", made)


_OVER = frozenset({"canceled", "incomplete_expired"})
_AFTER_CREATE = {
    "subscription": items.new_subscription,
    "subscription_item": items.new_item,
    "price": items.new_price,
    "product": items.new_product,
}
