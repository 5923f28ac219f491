"""The values of fields that only expanded responses hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from stripe_simulator.world.conditions import Condition
from stripe_simulator.world.embedded import embedded_list
from stripe_simulator.world.hidden_fields import hidden_fields, without_hidden_fields
from stripe_simulator.world.traits import EXPANDABLE_LISTS, has_objects

if TYPE_CHECKING:
    from stripe_simulator.types import Json
    from stripe_simulator.world.account import Account
    from stripe_simulator.world.collection import Collection

NOT_EXPANDABLE: Final = object()
"""Stands for the value of a field that no object of its kind has."""

_ENDED = frozenset({"canceled", "incomplete_expired"})  # subscriptions that a customer no longer shows


def included_value(account: Account, parent: Json, path: str, *, in_list: bool) -> Any:
    """Return a copy of the value of a field that has to be expanded; NOT_EXPANDABLE where there is none.

    `path` is the field's, and `in_list` is True where the parent is one of the objects of a list.
    """
    column = hidden_fields(parent.get("object")).get(path)
    if column is None or (in_list and not column.expanded_in_lists):
        return NOT_EXPANDABLE
    value = _written_value(account, parent, path)
    if value is None or path == "currency_options":
        make = _VALUES.get((str(parent.get("object")), path), partial(_embedded_list, path=path))
        made = make(account, parent)
        if isinstance(made, dict) and isinstance(value, dict):
            value = made | value
        elif value is None:
            value = made
    return deepcopy(without_hidden_fields(value))


def _written_value(account: Account, parent: Json, path: str) -> Any:
    location = _locate(account, parent)
    if location is None:
        value: Any = account.unlisted.get(str(parent.get("id")))
    else:
        collection, position = location
        value = collection.read(position)
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _locate(account: Account, parent: Json) -> tuple[Collection, int] | None:
    for resource in account.catalog.resources:
        if resource.object == parent.get("object") and has_objects(resource):
            collection = account.collection(resource.name)
            position = collection.position(str(parent.get("id")))
            if position is not None:
                return collection, position
    return None


def _embedded_list(account: Account, parent: Json, path: str) -> Json | None:
    """Return the first of the objects that lie inside the parent; None where the field is no such list."""
    listed = EXPANDABLE_LISTS.get((str(parent.get("object")), path))
    location = account.locate(str(parent.get("id")))
    if listed is None or location is None:
        return None
    resource, url = listed
    return account.embedded(resource, location[1], url.format(parent["id"]))


def _list_by_filter(
    account: Account, resource: str, column: str, parent: Json, url: str, ended: frozenset[str] = frozenset()
) -> Json:
    """Return the first objects of a resource that name the parent in a column, as a list object."""
    collection = account.collection(resource)
    condition = Condition(collection.resource.column[column], (parent["id"],))
    positions = collection.find([condition], *collection.bounds(), newest_first=True)
    objects = (collection.read(position) for position in positions)
    current = (item for item in objects if item.get("status") not in ended)
    return embedded_list(list(current), url)


def _refunds(account: Account, charge: Json) -> Json:
    return _list_by_filter(account, "refund", "charge", charge, f"/v1/charges/{charge['id']}/refunds")


def _subscriptions(account: Account, customer: Json) -> Json:
    url = f"/v1/customers/{customer['id']}/subscriptions"
    return _list_by_filter(account, "subscription", "customer", customer, url, _ENDED)


def _payments(account: Account, invoice: Json) -> Json:
    url = f"/v1/invoices/{invoice['id']}/payments"
    return _list_by_filter(account, "invoice_payment", "invoice", invoice, url)


def _confirmation_secret(account: Account, invoice: Json) -> Json | None:
    """Return the client secret of the payment intent of the invoice's open payment."""
    intents = account.collection("payment_intent")
    for payment in _payments(account, invoice)["data"]:
        intent = intents.position(str(payment["payment"].get("payment_intent")))
        if payment["status"] == "open" and intent is not None:
            return {"client_secret": intents.read(intent)["client_secret"], "type": "payment_intent"}
    return None


def cash_balance(account: Account, customer: Json) -> Json:
    """Return the cash balance of a customer, which is always empty; its settings are stored."""
    mode = account.cash_modes.get(customer["id"], "automatic")
    return {
        "object": "cash_balance",
        "available": None,
        "customer": customer["id"],
        "customer_account": None,
        "livemode": False,
        "settings": {"reconciliation_mode": mode, "using_merchant_default": mode == "automatic"},
    }


def _price_currencies(_account: Account, price: Json) -> Json:
    """Return the options of a price in its own currency."""
    names = ("custom_unit_amount", "tax_behavior", "unit_amount", "unit_amount_decimal")
    return {str(price["currency"]): {name: price.get(name) for name in names}}


def _coupon_currencies(_account: Account, coupon: Json) -> Json | None:
    if coupon.get("amount_off") is None:
        return None
    return {str(coupon["currency"]): {"amount_off": coupon["amount_off"]}}


def _card_number(_account: Account, card: Json) -> str | None:
    """Return the number of a virtual card."""
    return f"400000999000{card.get('last4') or '0000'}" if card.get("type") == "virtual" else None


def _card_cvc(_account: Account, card: Json) -> str | None:
    return "123" if card.get("type") == "virtual" else None


def _tax(_account: Account, _customer: Json) -> Json:
    return {
        "automatic_tax": "unrecognized_location", "ip_address": None, "location": None, "provider": "stripe",
    }  # fmt: skip


_VALUES: Mapping[tuple[str, str], Callable[[Account, Json], Json | str | None]] = {
    ("charge", "refunds"): _refunds,
    ("coupon", "currency_options"): _coupon_currencies,
    ("customer", "cash_balance"): cash_balance,
    ("customer", "invoice_credit_balance"): lambda _account, _customer: {},
    ("customer", "subscriptions"): _subscriptions,
    ("customer", "tax"): _tax,
    ("invoice", "confirmation_secret"): _confirmation_secret,
    ("invoice", "payments"): _payments,
    ("issuing.card", "cvc"): _card_cvc,
    ("issuing.card", "number"): _card_number,
    ("price", "currency_options"): _price_currencies,
}
