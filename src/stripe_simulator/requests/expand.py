"""The expand parameter: ids are replaced by the objects that they name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from stripe_simulator.errors import StripeError
from stripe_simulator.world.conditions import Condition
from stripe_simulator.world.embedded import embedded_list
from stripe_simulator.world.traits import EXPANDABLE_LISTS

if TYPE_CHECKING:
    from stripe_simulator.requests.forms import Params
    from stripe_simulator.world.account import Account

_MAX_DEPTH = 4  # of a path; `data` at the beginning, on a list, does not count
# Fields that Stripe returns only when they are expanded, and that the simulator leaves out.
_OMITTED = frozenset(
    {"subscriptions", "cash_balance", "invoice_credit_balance", "tax", "tiers", "currency_options",
    "refunds", "confirmation_secret"}
)  # fmt: skip


def expand_paths(params: Params) -> list[list[str]]:
    """Return the paths to expand. Raises StripeError for a path that is too deep."""
    sent = params.get("expand")
    if sent is None:
        return []
    if not isinstance(sent, list) or not all(isinstance(path, str) and path for path in sent):
        raise StripeError("Invalid array", param="expand")
    paths = [path.split(".") for path in sent]
    for path in paths:
        if len(path) - (path[0] == "data") > _MAX_DEPTH:
            raise StripeError(
                f"You cannot expand more than {_MAX_DEPTH} levels of a property. Property: {'.'.join(path)}",
                code="property_expansion_max_depth",
                param="expand",
            )
    return paths


def expand_objects(account: Account, body: Any, paths: list[list[str]]) -> None:
    """Expand an object or a list in place. Raises StripeError for what cannot be expanded."""
    for path in paths:
        if not _expand_path(account, body, path):
            wanted = path[0]  # all that the error names of the path
            hint = ""
            if isinstance(body, dict) and isinstance(body.get("data"), list) and path[0] != "data":
                hint = f" You may want to try expanding 'data.{wanted}' instead."
            raise StripeError(f"This property cannot be expanded ({wanted}).{hint}", param="expand")


def _expand_path(account: Account, value: Any, path: list[str]) -> bool:
    """Expand one path; return False if it names a property that cannot be expanded."""
    if isinstance(value, list):
        results = [_expand_path(account, item, path) for item in value]
        return all(results)
    if not isinstance(value, dict):
        return True
    step, *rest = path
    below = value.get(step)
    if step not in value:
        below = expandable_list(account, value, step)
        if below is None:
            return step in _OMITTED
        value[step] = below
    if isinstance(below, str):
        below = _object(account, below)
        if below is None:
            return False
        value[step] = below
    elif isinstance(below, list) and below and all(isinstance(item, str) for item in below):
        below = value[step] = [_object(account, item) or item for item in below]
        if any(isinstance(item, str) for item in below):
            return False
    return _expand_path(account, below, rest) if rest and below is not None else True


def _object(account: Account, identifier: str) -> Any:
    """Return a copy of the object with this id; None where there is none."""
    if identifier in account.discounts:
        return dict(account.discounts[identifier])
    location = account.locate(identifier)
    if location is None:
        return None
    collection, position = location
    if collection.is_deleted(position):
        return {"id": identifier, "object": collection.resource.object, "deleted": True}
    return orjson.loads(collection.body(position))


def expandable_list(account: Account, parent: Any, name: str) -> Any:
    """Return a list that an object shows only on expansion; None where it has none of this name."""
    if parent.get("object") == "invoice" and name in {"payments", "confirmation_secret"}:
        return _payments(account, parent, name)
    listed = EXPANDABLE_LISTS.get((str(parent.get("object")), name))
    location = account.locate(str(parent.get("id")))
    if listed is None or location is None:
        return None
    resource, url = listed
    return orjson.loads(orjson.dumps(account.embedded(resource, location[1], url.format(parent["id"]))))


def _payments(account: Account, invoice: Any, name: str) -> Any:
    """Return the payments of an invoice, or the client secret of the open one."""
    payments = account.collection("invoice_payment")
    of_invoice = Condition(payments.resource.column["invoice"], (invoice["id"],))
    positions = payments.find([of_invoice], *payments.bounds(), newest_first=True)
    invoice_payments = [payments.read(position) for position in positions]
    if name == "payments":
        url = f"/v1/invoices/{invoice['id']}/payments"
        return embedded_list(orjson.loads(orjson.dumps(invoice_payments)), url)
    intents = account.collection("payment_intent")
    for payment in invoice_payments:
        intent = intents.position(str(payment["payment"].get("payment_intent")))
        if payment["status"] == "open" and intent is not None:
            return {"client_secret": intents.read(intent)["client_secret"], "type": "payment_intent"}
    return None
