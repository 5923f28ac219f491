"""Writes of version 2 of the API: create, update and delete, and the operations that change a state."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import orjson

from stripe_simulator.operations.version_2.errors import wrong_state
from stripe_simulator.operations.version_2.events import emit
from stripe_simulator.operations.version_2.fields import check_fields
from stripe_simulator.operations.version_2.samples import blank, rfc3339
from stripe_simulator.operations.version_2.shown import included, shown
from stripe_simulator.operations.version_2.store import check_parent, find, objects_of
from stripe_simulator.requests.request import ApiResponse
from stripe_simulator.types import Json

if TYPE_CHECKING:
    from stripe_fdw.catalog.model import Resource
    from stripe_simulator.requests.request import ApiRequest

Change = Callable[[Json], None]


def create(request: ApiRequest, resource: Resource) -> ApiResponse:
    """Create an object by POST."""
    operation = request.route.operation
    assert operation is not None
    check_parent(request, resource)
    sent = dict(check_fields(operation, request.params))
    include = included(resource, sent)
    stored = objects_of(request.account, resource)
    # The number of no other object, also of none that was deleted.
    number = len(stored) + request.account.deleted_version_2.get(resource.name, 0)
    new = blank(request.account, resource, number, time.time())
    _apply(resource, new, sent)
    for parent, identifier in zip(resource.parents, request.ids, strict=False):
        new[parent.column] = identifier
    initial = _INITIAL.get(resource.name)
    if initial is not None:
        initial(new, sent)
    request.begun = True
    stored[new["id"]] = new
    emit(request, resource, new, "created")
    return ApiResponse(orjson.dumps(shown(resource, new, include)))


def update(request: ApiRequest, resource: Resource) -> ApiResponse:
    """Update an object by POST; only the fields that are sent change."""
    operation = request.route.operation
    assert operation is not None
    item = find(request, resource)
    sent = dict(check_fields(operation, request.params))
    include = included(resource, sent)
    changed = deepcopy(item)
    _apply(resource, changed, sent)
    return _written(request, resource, item, changed, include)


def delete(request: ApiRequest, resource: Resource) -> ApiResponse:
    """Delete an object by DELETE."""
    item = find(request, resource)
    request.begun = True
    del objects_of(request.account, resource)[item["id"]]
    deleted = request.account.deleted_version_2
    deleted[resource.name] = deleted.get(resource.name, 0) + 1
    emit(request, resource, item, "deleted")
    return ApiResponse(orjson.dumps({"id": item["id"], "object": resource.object}))


def state_change(resource: Resource, action: str) -> Change | None:
    """Return what an operation changes of its object; None if it is not implemented."""
    return _OPERATIONS.get((resource.name, action)) or _OPERATIONS.get(("", action))


def run(request: ApiRequest, resource: Resource, change: Change) -> ApiResponse:
    """Run an operation that changes the state of an object."""
    operation = request.route.operation
    assert operation is not None
    item = find(request, resource)
    sent = dict(check_fields(operation, request.params))
    changed = deepcopy(item)
    change(changed)
    return _written(request, resource, item, changed, included(resource, sent), request.route.action)


def ping(request: ApiRequest, resource: Resource) -> ApiResponse:
    """Send an event to a destination, and return the event."""
    return ApiResponse(orjson.dumps(emit(request, resource, find(request, resource), "ping")))


def _written(
    request: ApiRequest,
    resource: Resource,
    before: Json,
    after: Json,
    include: frozenset[str],
    action: str = "updated",
) -> ApiResponse:
    request.begun = True
    if after != before:
        if "updated" in after:
            after["updated"] = rfc3339(time.time())
        objects_of(request.account, resource)[after["id"]] = after
        emit(request, resource, after, {"close": "closed"}.get(action, "updated"))
    return ApiResponse(orjson.dumps(shown(resource, after, include)))


def _apply(resource: Resource, item: Json, sent: Mapping[str, Any]) -> None:
    """Set the fields that are sent; those of objects are merged, and null removes a key of metadata."""
    for name, value in sent.items():
        if name == "include" or name not in resource.column:
            continue
        before = item.get(name)
        if isinstance(before, dict) and isinstance(value, dict):
            item[name] = _merged(before, value, drops=name == "metadata")
        elif name == "metadata" and value is None:
            item[name] = {}
        else:
            item[name] = value


def _merged(before: Json, sent: Json, *, drops: bool) -> Json:
    merged = dict(before)
    for name, value in sent.items():
        below = merged.get(name)
        if value is None and drops:
            merged.pop(name, None)
        elif isinstance(below, dict) and isinstance(value, dict):
            merged[name] = _merged(below, value, drops=False)
        else:
            merged[name] = value
    return merged


def _new_account(item: Json, sent: Mapping[str, Any]) -> None:
    configuration = sent.get("configuration") or {}
    item["applied_configurations"] = sorted(
        name for name, value in configuration.items() if value is not None
    )
    item["closed"] = False
    item["configuration"] = {
        name: {"applied": True, **configuration[name]} if configuration.get(name) is not None else None
        for name in ("customer", "merchant", "recipient")
    }
    item["display_name"] = sent.get("display_name")
    item["contact_email"] = sent.get("contact_email")
    item["defaults"], item["identity"] = sent.get("defaults"), sent.get("identity")


def _new_destination(item: Json, sent: Mapping[str, Any]) -> None:
    item["status"] = "enabled"
    endpoint = sent.get("webhook_endpoint")
    item["webhook_endpoint"] = endpoint and {"signing_secret": "whsec_" + item["id"], **endpoint}
    item["enabled_events"] = sent["enabled_events"]
    item["description"] = sent.get("description", "")


def _new_bank_account(item: Json, sent: Mapping[str, Any]) -> None:
    item["last4"] = str(sent["account_number"])[-4:]


def _new_payment(item: Json, sent: Mapping[str, Any]) -> None:
    item["status"] = "processing"
    item["cancelable"] = True
    item["amount"] = sent["amount"]
    item["from"], item["to"] = sent["from"], sent["to"]


_INITIAL: Mapping[str, Callable[[Json, Mapping[str, Any]], None]] = {
    "v2_core_account": _new_account,
    "v2_core_account_person": lambda item, sent: item.update(
        {name: sent.get(name) for name in ("given_name", "surname", "email", "relationship")}
    ),
    "v2_core_event_destination": _new_destination,
    "v2_core_vault_gb_bank_account": _new_bank_account,
    "v2_core_vault_us_bank_account": _new_bank_account,
    "v2_money_management_outbound_payment": _new_payment,
}


def _setter(name: str, value: Any) -> Change:
    def change(item: Json) -> None:
        item[name] = value

    return change


def _cancel(item: Json) -> None:
    if item["status"] not in ("processing", "requires_action", "requires_payout_method", "pending"):
        raise wrong_state(f"A {item['object']} that is {item['status']} cannot be canceled.")
    item["status"] = "canceled"


def _close(item: Json) -> None:
    if item["closed"]:
        raise wrong_state("The account is closed already.")
    item["closed"] = True


# By resource and the catalog's name of the operation; "" for any resource.
_OPERATIONS: Mapping[tuple[str, str], Change] = {
    ("", "archive"): _setter("archived", value=True),
    ("", "unarchive"): _setter("archived", value=False),
    ("", "cancel"): _cancel,
    ("v2_core_account", "close"): _close,
    ("v2_core_event_destination", "disable"): _setter("status", "disabled"),
    ("v2_core_event_destination", "enable"): _setter("status", "enabled"),
    ("v2_core_vault_us_bank_account", "send_microdeposits"): _setter(
        "verification", {"status": "awaiting_verification"}
    ),
    ("v2_core_vault_us_bank_account", "confirm_microdeposits"): _setter(
        "verification", {"status": "verified"}
    ),
    ("v2_money_management_payout_intent", "confirm"): _setter("status", "processing"),
    ("v2_money_management_payout_intent", "refresh_fx_quote"): lambda _item: None,
    ("v2_money_management_payout_intent", "refresh_recipient_verification"): lambda _item: None,
    ("v2_money_management_transaction", "refresh_regulatory_receipt"): lambda _item: None,
}
