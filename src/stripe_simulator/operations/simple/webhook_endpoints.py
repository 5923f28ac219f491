"""Webhook endpoints and their signing secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_simulator.errors import StripeError
from stripe_simulator.operations.handlers import Handlers
from stripe_simulator.seeding import stable_hash
from stripe_simulator.world.ids import base62

if TYPE_CHECKING:
    from stripe_simulator.objects.operation import OperationContext
    from stripe_simulator.types import Json


MAX_ENDPOINTS = 16


def signing_secret(endpoint: str) -> str:
    """Return the signing secret of a webhook endpoint."""
    return "whsec_" + base62(stable_hash("secret", endpoint) << 64 | stable_hash(endpoint), 21)


def _check_url(context: OperationContext) -> None:
    url = context.params.get("url")
    if url is not None and not str(url).startswith(("http://", "https://")):
        raise StripeError(
            "Invalid URL: An explicit scheme (such as https) must be provided.",
            code="url_invalid",
            param="url",
        )


def create(context: OperationContext) -> Json:
    """Create a webhook endpoint. Only this response contains the signing secret."""
    _check_url(context)
    # Stripe's text is not recorded.
    if sum(item is not None for item in context.collection.overlay.values()) >= MAX_ENDPOINTS:
        raise StripeError(f"You have reached the maximum of {MAX_ENDPOINTS} test webhook endpoints.")
    if context.params.get("connect") in (True, "true"):
        context.request.account.connect_endpoints.add(context.object["id"])
    return context.object | {"secret": signing_secret(context.object["id"])}


def update(context: OperationContext) -> None:
    """Update a webhook endpoint, which can be disabled and enabled."""
    _check_url(context)
    if "disabled" in context.params:
        context.object["status"] = "disabled" if context.params["disabled"] else "enabled"


HANDLERS = Handlers(
    on_create={
        "webhook_endpoint": create,
    },
    on_update={
        "webhook_endpoint": update,
    },
)
