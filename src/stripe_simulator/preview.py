"""Operations that compute an answer: the preview of an invoice, the account, the balance."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from stripe_simulator import ledger, problems
from stripe_simulator.lifecycle import blank
from stripe_simulator.problems import StripeProblem
from stripe_simulator.reads import shown
from stripe_simulator.world import PLATFORM

if TYPE_CHECKING:
    from stripe_fdw.catalog.model import Resource
    from stripe_simulator.calls import Answer, Call, Json

_OVER = frozenset({"canceled", "incomplete_expired", "incomplete"})


def invoice_preview(call: Call) -> Answer:
    """POST /v1/invoices/create_preview: what the next invoice of a subscription would be."""
    assert call.route.operation is not None
    known = {parameter.name for parameter in call.route.operation.parameters}
    unknown = [name for name in call.params if known and name not in known and name != "expand"]
    if unknown:
        raise problems.unknown_parameters(unknown)
    subscription = _subscription(call)
    lines = [_line(item, at) for at, item in enumerate(subscription["items"]["data"])]
    total = sum(line["amount"] for line in lines)
    invoices = call.world.collection("upcoming_invoice")
    # The next invoice always has the same id, whatever it is asked by.
    position = call.world.number("upcoming", subscription["id"]) % 2**40
    made = blank(invoices, position)
    made |= dict.fromkeys(
        ("total", "subtotal", "amount_due", "amount_remaining", "total_excluding_tax"), total
    )
    made |= {
        "id": invoices.identifier(position),
        "object": "invoice",
        "status": "draft",
        "billing_reason": "upcoming",
        "created": int(time.time()),
        "currency": subscription["currency"],
        "customer": subscription["customer"],
        "parent": {
            "quote_details": None,
            "subscription_details": {"metadata": {}, "subscription": subscription["id"]},
            "type": "subscription_details",
        },
        "lines": {
            "object": "list",
            "data": lines,
            "has_more": False,
            "url": f"/v1/invoices/{invoices.identifier(position)}/lines",
        },
    }
    return shown(call, made)


def _subscription(call: Call) -> Json:
    world, params = call.world, call.params
    subscriptions = world.collection("subscription")
    if "subscription" in params:
        position = subscriptions.position(str(params["subscription"]))
        if position is None:
            raise problems.no_object("subscription", str(params["subscription"]), "subscription", status=404)
        made = subscriptions.read(position)
        if made["status"] in _OVER or params.get("customer", made["customer"]) != made["customer"]:
            raise _none(made["customer"])
        return made
    if "customer" not in params:
        raise StripeProblem(
            "You must specify at least one of `customer`, `subscription` or `schedule`.", param="customer"
        )
    customer = str(params["customer"])
    if world.collection("customer").position(customer) is None:
        raise problems.no_object("customer", customer, "customer", status=404)
    from stripe_simulator.filters import Condition

    condition = Condition(subscriptions.resource.column["customer"], (customer,))
    for position in subscriptions.find([condition], *subscriptions.bounds(), newest_first=True):
        made = subscriptions.read(position)
        if made["status"] not in _OVER:
            return made
    raise _none(customer)


def _none(customer: str) -> StripeProblem:
    return StripeProblem(
        f"No upcoming invoices for customer: {customer}", status=404, code="invoice_upcoming_none"
    )


def _line(item: Json, at: int) -> Json:
    quantity = item["quantity"] or 1
    return {
        "id": f"il_tmp_{at}{item['id'][3:]}",
        "object": "line_item",
        "amount": (item["price"].get("unit_amount") or 0) * quantity,
        "currency": item["price"]["currency"],
        "livemode": False,
        "metadata": {},
        "parent": {
            "subscription_item_details": {
                "subscription": item["subscription"],
                "subscription_item": item["id"],
            },
            "type": "subscription_item_details",
        },
        "pricing": {
            "price_details": {"price": item["price"]["id"], "product": item["price"]["product"]},
            "type": "price_details",
        },
        "quantity": quantity,
        "subscription": item["subscription"],
    }


def account(call: Call) -> Answer:
    """GET /v1/account: the account that the key, or the Stripe-Account header, stands for."""
    resource: Resource = call.world.catalog.resource["account"]
    if call.world.account == PLATFORM:
        made = call.world.collection("account").generator.object(0)
        made |= {"id": PLATFORM, "object": resource.object}
    else:
        above = call.platform.collection("account")
        position = above.position(call.world.account)
        assert position is not None
        made = above.read(position)
    return shown(call, made)


def balance(call: Call) -> Answer:
    """GET /v1/balance."""
    return shown(call, ledger.shown(call.world))
