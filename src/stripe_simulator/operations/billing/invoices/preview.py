"""Preview of the next invoice of a subscription."""

from __future__ import annotations

import time
from copy import deepcopy
from typing import TYPE_CHECKING

from stripe_simulator import errors
from stripe_simulator.errors import StripeError
from stripe_simulator.objects.defaults import new_defaults
from stripe_simulator.objects.read import object_response
from stripe_simulator.operations.billing import discounts
from stripe_simulator.operations.billing.invoices import lines
from stripe_simulator.operations.billing.invoices.invoice_items import pending_items
from stripe_simulator.operations.billing.invoices.totals import compute_totals
from stripe_simulator.operations.billing.periods import add_intervals, billing_interval
from stripe_simulator.operations.handlers import Handlers

if TYPE_CHECKING:
    from stripe_simulator.requests.request import ApiRequest, ApiResponse
    from stripe_simulator.types import Json

_NOT_INVOICED_STATUSES = frozenset({"canceled", "incomplete_expired", "incomplete"})


def create_preview(request: ApiRequest) -> ApiResponse:
    """POST /v1/invoices/create_preview: what the next invoice of a subscription would be."""
    assert request.route.operation is not None
    known = {parameter.name for parameter in request.route.operation.parameters}
    unknown = [name for name in request.params if known and name not in known and name != "expand"]
    if unknown:
        raise errors.unknown_parameters(unknown)
    subscription = deepcopy(_requested_subscription(request))
    currency = subscription["currency"]
    invoices = request.account.collection("upcoming_invoice")
    # The next invoice always has the same id, whatever it is asked by.
    position = request.account.stable_number("upcoming", subscription["id"]) % 2**40
    made = new_defaults(invoices, position)
    made |= {
        "id": invoices.identifier(position),
        "object": "invoice",
        "status": "draft",
        "billing_reason": "upcoming",
        "created": int(time.time()),
        "currency": currency,
        "customer": subscription["customer"],
        "discounts": discounts.active_discounts(
            request, subscription.get("discounts") or [], int(time.time())
        ),
        "default_tax_rates": list(subscription.get("default_tax_rates") or ()),
        "parent": {
            "quote_details": None,
            "subscription_details": {"metadata": {}, "subscription": subscription["id"]},
            "type": "subscription_details",
        },
    }
    rows = [_next_period_line(request, subscription, item) for item in subscription["items"]["data"]]
    rows += [
        lines.invoice_item_line(item)
        for item in pending_items(request, subscription["customer"], currency, subscription["id"])
    ]
    rows = [
        lines.line_object(made, f"il_tmp_{at}{subscription['id'][4:]}", values) | {"invoice": made["id"]}
        for at, values in enumerate(rows)
    ]
    compute_totals(request, made, rows)
    made["lines"] = {
        "object": "list",
        "data": rows,
        "has_more": False,
        "url": f"/v1/invoices/{made['id']}/lines",
    }
    return object_response(request, made)


def _next_period_line(request: ApiRequest, subscription: Json, item: Json) -> Json:
    """The line for an item's next period."""
    start = item["current_period_end"]
    end = add_intervals(start, billing_interval(item["price"]))
    return lines.subscription_item_line(request, subscription, item, (start, end))


def _requested_subscription(request: ApiRequest) -> Json:
    account, params = request.account, request.params
    subscriptions = account.collection("subscription")
    if "subscription" in params:
        position = subscriptions.position(str(params["subscription"]))
        if position is None:
            raise errors.no_object("subscription", str(params["subscription"]), "subscription", status=404)
        made = subscriptions.read(position)
        if (
            made["status"] in _NOT_INVOICED_STATUSES
            or params.get("customer", made["customer"]) != made["customer"]
        ):
            raise _no_upcoming_invoice_error(made["customer"])
        return made
    if "customer" not in params:
        raise StripeError(
            "You must specify at least one of `customer`, `subscription` or `schedule`.", param="customer"
        )
    customer = str(params["customer"])
    if account.collection("customer").position(customer) is None:
        raise errors.no_object("customer", customer, "customer", status=404)
    from stripe_simulator.world.conditions import Condition

    condition = Condition(subscriptions.resource.column["customer"], (customer,))
    for position in subscriptions.find([condition], *subscriptions.bounds(), newest_first=True):
        made = subscriptions.read(position)
        if made["status"] not in _NOT_INVOICED_STATUSES:
            return made
    raise _no_upcoming_invoice_error(customer)


def _no_upcoming_invoice_error(customer: str) -> StripeError:
    return StripeError(
        f"No upcoming invoices for customer: {customer}", status=404, code="invoice_upcoming_none"
    )


HANDLERS = Handlers(
    routes={
        ("POST", "/v1/invoices/create_preview"): create_preview,
    },
)
