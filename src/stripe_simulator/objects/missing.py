"""Errors of objects that the path names and that do not exist."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from stripe_simulator import errors
from stripe_simulator.errors import StripeError

if TYPE_CHECKING:
    from stripe_simulator.requests.request import ApiRequest

_PLACEHOLDER = re.compile(r"\{(\w+)\}", re.ASCII)
# Objects that the error names as `id`, although their paths have a name for them (recorded).
_NAMED_ID = frozenset({"charge", "customer", "subscription"})
# Operations on an invoice whose error names it as `invoice`; those of all others as `id` (recorded).
_INVOICE_ACTIONS = frozenset({"retrieve", "delete", "send_invoice", "list"})


def path_parameter(request: ApiRequest, at: int = -1) -> str:
    """Return the parameter by which errors name an object in the path: the first at 0, the last at -1."""
    name: str = _PLACEHOLDER.findall(request.route.template)[at]
    if name in _NAMED_ID or (name == "invoice" and request.route.action not in _INVOICE_ACTIONS):
        return "id"
    return name


def missing_object(request: ApiRequest, object_type: str, at: int = -1) -> StripeError:
    """Return the error 404 of an object in the path that does not exist."""
    identifier = request.ids[at]
    if object_type == "subscription_item":  # without code and parameter (recorded)
        return StripeError(f"Invalid {object_type} id: {identifier}", status=404)
    return errors.no_object(object_type, identifier, path_parameter(request, at))
