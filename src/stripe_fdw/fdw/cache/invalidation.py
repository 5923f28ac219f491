"""Generation counters in shared memory, by which all sessions learn that something changed in Stripe.

A cached answer carries the generation under which it was requested: the values of the counters on which it
depends. It is fresh while they stay the same. Counters belong to an API and a connected account, not to a
key: a change made with one key holds for all. Not every key contains its account's id, and
to invalidate takes no key: so the accounts of an API share their counters, which makes too many answers
stale, and never too few.

A write seldom changes one object: a subscription creates an invoice, whose payment changes the customer, the
coupon and the balance, and each of these lies inside others. So a write makes all answers about the account
stale, except those about resources (``INDEPENDENT``) that only writes to themselves change.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import lru_cache
from hashlib import blake2b
from typing import Final

from stripe_fdw.catalog.model import Resource
from stripe_fdw.fdw.cache.own_writes import OwnWrites
from stripe_fdw.shared.memory import Counter, SharedMemory, shared_memory

INDEPENDENT: Final = (
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
"""Groups of resources that change together, and that a write to any other resource leaves as they are."""

_BUCKETS: Final = 512  # ids that fall into one bucket become stale together
_COUNTERS_KEPT: Final = 4096
Generation = tuple[int, ...]


def account_name(api_base: str, stripe_account: str | None) -> str:
    """Return the name under which the counters of an account are kept."""
    return f"{api_base}|{stripe_account or ''}"


class GenerationCounters:
    """The generation counters of all accounts, in shared memory."""

    def __init__(self, memory: Callable[[], SharedMemory] = shared_memory) -> None:
        """Prepare; ``memory`` is called when a counter is first used."""
        self._counter: Callable[[str], Counter] = lru_cache(maxsize=_COUNTERS_KEPT)(
            lambda name: memory().counter(name.encode())
        )
        self.own_writes: Final = OwnWrites()

    def generation(
        self,
        account: str,
        resource: Resource,
        identifier: str | None = None,
        contained: Collection[str] = (),
    ) -> Generation:
        """Return the values of the counters on which an answer depends.

        Args:
            account: as ``account_name`` gives it.
            resource: the resource that was requested.
            identifier: the id of the object that was retrieved; None for a list.
            contained: the resources whose objects the answer contains inside its own.
        """
        related = {parent.resource for parent in resource.parents} | {resource.events_of, *contained}
        related |= {holder.resource for holder in resource.holders}
        counters = [self._lists(account, name) for name in sorted(related) if name]
        if identifier is None:
            counters.append(self._lists(account, resource.name))
        else:
            counters.append(self._any_object(account, resource.name))
            counters.append(self._object(account, resource.name, identifier))
        counters.append(self._written(account, _independent_group(resource.name)))
        counters.append(self._call(account))
        return tuple(counter.read() for counter in counters)

    def record_write(self, account: str, resource: str | None, identifier: str | None = None) -> None:
        """Count a write to an object of the resource; of None where the resource is not known."""
        if resource is None:
            self._call(account).add(1)
            return
        if identifier is not None:
            self.own_writes.add(account, resource, identifier)
        self.invalidate(account, resource, identifier)
        self._written(account, None).add(1)
        if group := _independent_group(resource):
            self._written(account, group).add(1)

    def invalidate(self, account: str, resource: str, identifier: str | None = None) -> None:
        """Make answers about an object of the resource stale; about all of its objects without an id."""
        self._lists(account, resource).add(1)
        if identifier is None:
            self._any_object(account, resource).add(1)
        else:
            self._object(account, resource, identifier).add(1)

    def _lists(self, account: str, resource: str) -> Counter:
        return self._counter(f"lists|{account}|{resource}")

    def _any_object(self, account: str, resource: str) -> Counter:
        return self._counter(f"whole|{account}|{resource}")

    def _object(self, account: str, resource: str, identifier: str) -> Counter:
        digest = blake2b(f"{resource}|{identifier}".encode(), digest_size=4).digest()
        return self._counter(f"one|{account}|{int.from_bytes(digest, 'little') % _BUCKETS}")

    def _written(self, account: str, group: str | None) -> Counter:
        return self._counter(f"written|{account}|{group or ''}")

    def _call(self, account: str) -> Counter:
        return self._counter(f"call|{account}")


def _independent_group(resource: str) -> str | None:
    """Return the name of the group of resources (``INDEPENDENT``) that the resource belongs to, if any."""
    return next((group[0] for group in INDEPENDENT if resource in group), None)
