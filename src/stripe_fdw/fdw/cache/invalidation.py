"""Tells all backends at once that something changed in Stripe: generation counters in shared memory.

A remembered answer carries the generations that it was asked for under. It is good while they stay the same.
Generations belong to an API and a connected account, not to a key: a change told with one key holds for all.

What a write changes is seldom one object: a subscription makes an invoice, whose payment changes the
customer, the coupon, the balance; and each of them lies in others. So after a write nothing of the account is
good any more, except of kinds (``STEADY``) that change by being written themselves.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from typing import Final

from stripe_fdw.catalog.model import Resource
from stripe_fdw.shared.memory import Counter, shared_memory

STEADY: Final = (
    ("product", "price", "plan"),  # a product can be created with its price, a price with its product
    ("billing_portal_configuration",),
    ("country_spec",),
    ("exchange_rate",),
    ("payment_method_configuration",),
    ("shipping_rate",),
    ("tax_code",),
    ("tax_rate",),
    ("webhook_endpoint",),
)
"""Kinds that a write to any other leaves as they are, with those that change together."""

_BUCKETS: Final = 512  # ids that fall into one bucket are forgotten together
Generation = tuple[int, ...]


def account_name(api_base: str, stripe_account: str | None) -> str:
    """The account whose objects change, as readers and those who tell of changes name it."""
    return f"{api_base}|{stripe_account or ''}"


@lru_cache(maxsize=4096)
def _counter(name: str) -> Counter:
    return shared_memory().counter(name.encode())


def _lists(account: str, resource: str) -> Counter:
    return _counter(f"lists|{account}|{resource}")


def _whole(account: str, resource: str) -> Counter:
    return _counter(f"whole|{account}|{resource}")


def _one(account: str, resource: str, identifier: str) -> Counter:
    digest = blake2b(f"{resource}|{identifier}".encode(), digest_size=4).digest()
    return _counter(f"one|{account}|{int.from_bytes(digest, 'little') % _BUCKETS}")


def _steady(resource: str) -> str | None:
    """The group of kinds that change together, and with no others."""
    return next((kinds[0] for kinds in STEADY if resource in kinds), None)


def _written(account: str, group: str | None) -> Counter:
    return _counter(f"written|{account}|{group or ''}")


def _call(account: str) -> Counter:
    return _counter(f"call|{account}")


def generation(account: str, resource: Resource, identifier: str | None = None) -> Generation:
    """The counters on which an answer depends: of a list, or of one object."""
    above = {parent.resource for parent in resource.parents} | {resource.follows}
    found = [_lists(account, name).read() for name in sorted(above) if name]
    if identifier is None:
        found.append(_lists(account, resource.name).read())
    else:
        found.append(_whole(account, resource.name).read())
        found.append(_one(account, resource.name, identifier).read())
    found.append(_written(account, _steady(resource.name)).read())
    found.append(_call(account).read())
    return tuple(found)


def wrote(account: str, resource: str | None, identifier: str | None = None) -> None:
    """Say that an object of the resource was written; None: that nobody knows what was."""
    if resource is None:
        _call(account).add(1)
        return
    invalidate(account, resource, identifier)
    _written(account, None).add(1)
    if group := _steady(resource):
        _written(account, group).add(1)


def invalidate(account: str, resource: str, identifier: str | None = None) -> None:
    """Say that an object of the resource changed, or, without an id, that any may have."""
    _lists(account, resource).add(1)
    if identifier is None:
        _whole(account, resource).add(1)
    else:
        _one(account, resource, identifier).add(1)
