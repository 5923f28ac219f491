"""Payment methods of a customer: list and retrieve."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_simulator import errors
from stripe_simulator.errors import StripeError
from stripe_simulator.objects.read import object_response
from stripe_simulator.objects.related import get_or_404
from stripe_simulator.operations.handlers import Handlers
from stripe_simulator.requests import pagination
from stripe_simulator.requests.request import ApiResponse
from stripe_simulator.world.conditions import Condition

if TYPE_CHECKING:
    from stripe_simulator.requests.request import ApiRequest, ApiResponse


def retrieve(request: ApiRequest) -> ApiResponse:
    """Answer GET of one payment method of a customer."""
    get_or_404(request, "customer")
    collection = request.account.collection("payment_method")
    position = collection.position(request.ids[1])
    if position is None:
        raise errors.no_object("payment_method", request.ids[1], "payment_method")
    if collection.read(position)["customer"] != request.ids[0]:
        raise StripeError("Invalid request: another payment method.", status=404, param="customer")
    return object_response(request, collection.read(position))


def list_all(request: ApiRequest) -> ApiResponse:
    """Answer GET of the list of a customer's payment methods."""
    get_or_404(request, "customer")
    collection = request.account.collection("payment_method")
    columns = collection.resource.column
    conditions = [Condition(columns["customer"], (request.ids[0],))]
    if "type" in request.params:
        conditions.append(Condition(columns["type"], (request.params["type"],)))
    low, high = collection.bounds()
    page = pagination.page_of(collection, conditions, request.params, low=low, high=high, paged=True)
    bodies = [collection.body(position) for position in page.positions]
    return ApiResponse(pagination.body_of(bodies, has_more=page.has_more, url=request.path))


HANDLERS = Handlers(
    routes={
        ("GET", "/v1/customers/{customer}/payment_methods/{payment_method}"): retrieve,
        ("GET", "/v1/customers/{customer}/payment_methods"): list_all,
    },
)
