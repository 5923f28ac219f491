"""Preview of the next invoice of a subscription."""

from __future__ import annotations

import time
from copy import deepcopy
from typing import TYPE_CHECKING

from stripe_simulator import errors
from stripe_simulator.errors import StripeError
from stripe_simulator.objects.defaults import new_defaults
from stripe_simulator.objects.read import object_response
from stripe_simulator.objects.related import position_of
from stripe_simulator.operations.billing import discounts
from stripe_simulator.operations.billing.invoices import lines
from stripe_simulator.operations.billing.invoices.invoice_items import pending_items
from stripe_simulator.operations.billing.invoices.totals import compute_totals
from stripe_simulator.operations.billing.periods import add_intervals, billing_interval
from stripe_simulator.operations.handlers import Handlers
from stripe_simulator.requests.unknown_parameters import reject_unknown_parameters
from stripe_simulator.world.embedded import embedded_list

if TYPE_CHECKING:
    from stripe_simulator.requests.request import ApiRequest, ApiResponse
    from stripe_simulator.types import Json

_NOT_INVOICED_STATUSES = frozenset({"canceled", "incomplete_expired", "incomplete"})


def create_preview(request: ApiRequest) -> ApiResponse:
    """Answer POST /v1/invoices/create_preview: the next invoice of a subscription."""
    assert request.route.operation is not None
    parameter_names = {parameter.name for parameter in request.route.operation.parameters}
    if parameter_names:
        reject_unknown_parameters(request.params, parameter_names | {"expand"})
    return object_response(request, upcoming_invoice(request, _requested_subscription(request)))


def upcoming_invoice(request: ApiRequest, subscription: Json) -> Json:
    """Return the next invoice of a subscription, as it would be now."""
    subscription = deepcopy(subscription)
    currency = subscription["currency"]
    invoices = request.account.collection("upcoming_invoice")
    # The id depends on the subscription alone, so that repeated previews have the same.
    position = request.account.stable_number("upcoming", subscription["id"]) % 2**40
    invoice = new_defaults(invoices, position)
    invoice |= {
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
    line_objects = [
        _next_period_line(request, subscription, item) for item in _all_items(request, subscription)
    ]
    line_objects += [
        lines.invoice_item_line(item)
        for item in pending_items(request, subscription["customer"], currency, subscription["id"])
    ]
    line_objects = [
        lines.line_object(invoice, f"il_tmp_{index}{subscription['id'][4:]}", values)
        | {"invoice": invoice["id"]}
        for index, values in enumerate(line_objects)
    ]
    compute_totals(request, invoice, line_objects)
    # As in any invoice only the first lines, although no list shows the others.
    invoice["lines"] = embedded_list(line_objects, f"/v1/invoices/{invoice['id']}/lines")
    return invoice


def _all_items(request: ApiRequest, subscription: Json) -> list[Json]:
    """Return the items of a subscription, which shows only the first of them, oldest first."""
    collection = request.account.children("subscription_item")
    bounds = collection.bounds_in(position_of(request, "subscription", subscription["id"]))
    return [collection.read(position) for position in collection.find([], *bounds, newest_first=False)]


def _next_period_line(request: ApiRequest, subscription: Json, item: Json) -> Json:
    """Return the line for the next period of a subscription item."""
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
        subscription = subscriptions.read(position)
        if (
            subscription["status"] in _NOT_INVOICED_STATUSES
            or params.get("customer", subscription["customer"]) != subscription["customer"]
        ):
            raise _no_upcoming_invoice_error(subscription["customer"])
        return subscription
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
        subscription = subscriptions.read(position)
        if subscription["status"] not in _NOT_INVOICED_STATUSES:
            return subscription
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
