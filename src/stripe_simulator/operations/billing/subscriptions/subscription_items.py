"""Items of subscriptions one by one: added, changed, removed."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

from stripe_simulator.errors import StripeProblem
from stripe_simulator.objects import test_clocks
from stripe_simulator.objects.related import found, position_of, save
from stripe_simulator.operations.billing.amounts import after, interval_of
from stripe_simulator.operations.billing.subscriptions import invoicing, items, prorations, updates

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import Handler, Subject
    from stripe_simulator.requests.call import Json


def _owner(subject: Subject, identifier: str) -> Json:
    made = found(subject.call, "subscription", identifier, "subscription")
    if made["status"] in updates.OVER:
        raise StripeProblem("A canceled subscription can only update its cancellation_details and metadata.")
    return made


def create(subject: Subject) -> None:
    """POST of an item: charged for the rest of the period."""
    call, made, params = subject.call, subject.made, subject.params
    owner = _owner(subject, params["subscription"])
    before = deepcopy(owner)
    one = items.wanted(call, params, "", owner["currency"])
    now = test_clocks.now(call, owner)
    present = items.of(call, owner)
    fitting = [item for item in present if interval_of(item["price"]) == one.interval]
    end = fitting[0]["current_period_end"] if fitting else after(now, one.interval)
    items.fill(call, made, owner, one, (now, end))
    subject.write()
    behavior = params.get("proration_behavior", "create_prorations")
    if behavior != "none" and owner["status"] in {"active", "past_due", "unpaid"}:
        prorations.debit(call, owner, made, params.get("proration_date") or now)
    _finish(subject, owner, before, behavior)


def update(subject: Subject) -> None:
    """POST to an item."""
    call, params = subject.call, subject.params
    owner = _owner(subject, subject.before["subscription"])
    before = deepcopy(owner)
    old = deepcopy(subject.before)
    new = updates.changed_item(call, owner, old, params, "")
    now = test_clocks.now(call, owner)
    behavior = params.get("proration_behavior", "create_prorations")
    when = params.get("proration_date") or now
    reset = updates.change_items(call, owner, [(old, new, params)], behavior, when, now, reset=False)
    if reset:
        updates.renew(call, owner, now, "subscription_update")
    _finish(subject, owner, before, "create_prorations" if reset else behavior)
    written = found(call, "subscription_item", old["id"], "item")
    subject.made.clear()
    subject.made |= written


def delete(subject: Subject) -> None:
    """DELETE of an item: what is left of its period is given back."""
    call, params = subject.call, subject.params
    owner = _owner(subject, subject.made["subscription"])
    before = deepcopy(owner)
    if len(items.of(call, owner)) < 2:
        raise items.last_removed()
    behavior = params.get("proration_behavior", "create_prorations")
    now = test_clocks.now(call, owner)
    if behavior != "none" and owner["status"] in {"active", "past_due", "unpaid"}:
        prorations.credit(call, owner, subject.before, params.get("proration_date") or now)
    subject.collection.delete(position_of(call, "subscription_item", subject.made["id"]))
    _finish(subject, owner, before, behavior)


def _finish(subject: Subject, owner: Json, before: Json, behavior: str) -> None:
    items.embed(subject.call, owner)
    if behavior == "always_invoice":
        invoicing.invoice_now(subject.call, owner, "subscription_update", [])
    save(subject.call, "subscription", owner, "customer.subscription.updated", before=before)


CREATED: dict[str, Handler] = {"subscription_item": create}
UPDATED: dict[str, Handler] = {"subscription_item": update}
DELETED: dict[str, Handler] = {"subscription_item": delete}
