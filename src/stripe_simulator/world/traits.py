"""Traits of resources that are not in the catalog: parents, lists shown on expansion, fixed ids."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stripe_fdw.catalog.model import Resource

# Fields that generated objects do not have, though nothing has to be expanded: those shown on creation alone,
# those of other accounts, and those of older versions.
HIDDEN_FIELDS: Mapping[str, frozenset[str]] = {
    "webhook_endpoint": frozenset({"secret"}),
    "event": frozenset({"account", "context"}),
}
# Prefixes of ids that some objects have: payments of banks, and cards of the older API.
OTHER_PREFIXES: Mapping[str, str] = {"charge": "py_", "payment_method": "card_"}
_OTHER_PREFIX_PERIOD = 23  # one generated object in so many has the other prefix
# Ids that Stripe fixes, by resource.
FIXED_IDS: Mapping[str, tuple[str, ...]] = {
    "country_spec": ("AU", "BR", "CA", "DE", "DK", "FR", "GB", "IE", "JP", "SE", "SG", "US"),
    "exchange_rate": ("aud", "cad", "chf", "dkk", "eur", "gbp", "jpy", "sek", "usd"),
    "capability": ("card_payments", "transfers", "sepa_debit_payments"),
    "reporting_report_type": (
        "balance.summary.1", "balance_change_from_activity.itemized.3", "payouts.itemized.3", "tax.summary.1",
    ),
}  # fmt: skip
# Lists inside objects, by object type and expanded field: the resource listed and the path of the list.
EXPANDABLE_LISTS: Mapping[tuple[str, str], tuple[str, str]] = {
    ("customer", "sources"): ("customer_source", "/v1/customers/{}/sources"),
    ("customer", "tax_ids"): ("customer_tax_id", "/v1/customers/{}/tax_ids"),
    ("checkout.session", "line_items"): ("checkout_session_line_item", "/v1/checkout/sessions/{}/line_items"),
    ("payment_link", "line_items"): ("payment_link_line_item", "/v1/payment_links/{}/line_items"),
    ("quote", "line_items"): ("quote_line_item", "/v1/quotes/{}/line_items"),
}
# Resources without a list of which there are generated objects: those that others name.
_GENERATED_WITHOUT_LIST = frozenset({"issuing_settlement", "mandate"})
# Resources whose deleted objects searches go on to find, as ordinary ones (reported a day later).
FOUND_WHEN_DELETED = frozenset({"customer"})
# Lists whose oldest object comes first, both as lists and inside other objects.
OLDEST_FIRST = frozenset({"subscription_item"})
MOST_SUBSCRIPTION_ITEMS = 20  # as many as Stripe allows
# Numbers of children that parents have, each as often as it occurs.
_USUAL_CHILDREN_COUNTS = (0, 1, 1, 2, 0, 1, 3, 0, 1, 0, 2, 1, 0, 14, 1, 1)
_CHILDREN_COUNTS: Mapping[str, tuple[int, ...]] = {
    "subscription_item": (1,) * 70 + (2,) * 16 + (3,) * 8 + (12, MOST_SUBSCRIPTION_ITEMS, 4),
    "line_item": (1,) * 60 + (2,) * 20 + (3,) * 10 + (11, 14, 130),
    "capability": (3,),
    "person": (1, 2, 1),
    "checkout_session_line_item": (1, 1, 2, 1, 12),
    "quote_line_item": (1, 2, 1, 3, 11),
    "payment_link_line_item": (1, 2),
    "tax_calculation_line_item": (2,),
    "tax_transaction_line_item": (2,),
    "source_transaction": (2,),
}


def parent_of(resource: Resource) -> tuple[str, str] | None:
    """Return the column and the resource ("": unknown) of the object in which these objects lie, if any."""
    if resource.name == "subscription_item":
        return "subscription", "subscription"
    if resource.parents:
        return resource.parents[0].column, resource.parents[0].resource
    return None


def has_objects(resource: Resource) -> bool:
    """Return True if the resource has a collection: Stripe lists its objects, or others name them."""
    return (not resource.is_version_2 and resource.is_listed) or resource.name in _GENERATED_WITHOUT_LIST


def has_other_prefix(index: int) -> bool:
    """Return True for the index of a generated object whose id has the other prefix, if it has one."""
    return index % _OTHER_PREFIX_PERIOD == 9


def indexes_with_other_prefix(count: int) -> range:
    """Return all indexes of generated objects whose ids have the other prefix."""
    return range(9, count, _OTHER_PREFIX_PERIOD)


def children_counts(name: str) -> tuple[int, ...]:
    """Return the numbers of objects of this resource that parents have, each as often as it occurs."""
    return _CHILDREN_COUNTS.get(name, _USUAL_CHILDREN_COUNTS)
