"""The expand parameter: ids replaced by the objects they name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from stripe_simulator.errors import StripeError
from stripe_simulator.world.conditions import Condition
from stripe_simulator.world.traits import EXPANDABLE_LISTS

if TYPE_CHECKING:
    from stripe_simulator.requests.forms import Params
    from stripe_simulator.world.account import Account

_DEEPEST = 4
# Fields that are there only when expanded, and that nothing fills here.
_OPTIONAL = frozenset(
    {"subscriptions", "cash_balance", "invoice_credit_balance", "tax", "tiers", "currency_options",
    "refunds", "confirmation_secret"}
)  # fmt: skip


def expand_paths(params: Params) -> list[list[str]]:
    """The paths to expand. Raises StripeError where one is too deep or not a list was sent."""
    sent = params.get("expand")
    if sent is None:
        return []
    if not isinstance(sent, list) or not all(isinstance(path, str) and path for path in sent):
        raise StripeError("Invalid array", param="expand")
    paths = [path.split(".") for path in sent]
    for path in paths:
        if len(path) > _DEEPEST:
            raise StripeError(
                f"You cannot expand more than {_DEEPEST} levels of a property. Property: {'.'.join(path)}",
                param="expand",
            )
    return paths


def expand_objects(account: Account, made: Any, paths: list[list[str]]) -> None:
    """Expand the object in place, along all paths."""
    for path in paths:
        if not _walk(account, made, path):
            wanted = ".".join(path)
            hint = ""
            if isinstance(made, dict) and isinstance(made.get("data"), list) and path[0] != "data":
                hint = f" You may want to try expanding 'data.{wanted}' instead."
            raise StripeError(f"This property cannot be expanded ({wanted}).{hint}", param="expand")


def _walk(account: Account, made: Any, path: list[str]) -> bool:
    """Whether the path leads to something that can be expanded; where nothing is known, it does."""
    if isinstance(made, list):
        fits = [_walk(account, one, path) for one in made]
        return all(fits)
    if not isinstance(made, dict):
        return True
    step, *rest = path
    value = made.get(step)
    if step not in made:
        value = included(account, made, step)
        if value is None:
            return step in _OPTIONAL
        made[step] = value
    if isinstance(value, str):
        value = _object(account, value)
        if value is None:
            return False
        made[step] = value
    elif isinstance(value, list) and value and all(isinstance(one, str) for one in value):
        value = made[step] = [_object(account, one) or one for one in value]
        if any(isinstance(one, str) for one in value):
            return False
    return _walk(account, value, rest) if rest and value is not None else True


def _object(account: Account, identifier: str) -> Any:
    if identifier in account.discounts:
        return dict(account.discounts[identifier])
    found = account.locate(identifier)
    if found is None:
        return None
    collection, position = found
    if collection.is_deleted(position):
        return {"id": identifier, "object": collection.resource.object, "deleted": True}
    return orjson.loads(collection.body(position))


def included(account: Account, made: Any, name: str) -> Any:
    """A list that an object shows only when it is asked for; None where it has none of this name."""
    known = EXPANDABLE_LISTS.get((str(made.get("object")), name))
    if made.get("object") == "invoice" and name in {"payments", "confirmation_secret"}:
        return _payments(account, made, name)
    found = account.locate(str(made.get("id")))
    if known is None or found is None:
        return None
    resource, url = known
    return orjson.loads(orjson.dumps(account.embedded(resource, found[1], url.format(made["id"]))))


def _payments(account: Account, invoice: Any, name: str) -> Any:
    """The payments of an invoice, or the client secret of the one that is to be made."""
    payments = account.collection("invoice_payment")
    of = Condition(payments.resource.column["invoice"], (invoice["id"],))
    found = [payments.read(at) for at in payments.find([of], *payments.bounds(), newest_first=True)]
    if name == "payments":
        url = f"/v1/invoices/{invoice['id']}/payments"
        return {"object": "list", "data": orjson.loads(orjson.dumps(found)), "has_more": False, "url": url}
    intents = account.collection("payment_intent")
    for payment in found:
        intent = intents.position(str(payment["payment"].get("payment_intent")))
        if payment["status"] == "open" and intent is not None:
            return {"client_secret": intents.read(intent)["client_secret"], "type": "payment_intent"}
    return None
