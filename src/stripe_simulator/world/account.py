"""The data of one account: its collections, and what Stripe keeps outside of any list."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, TypedDict

from stripe_simulator.seeding import stable_hash
from stripe_simulator.world.body_cache import BodyCache
from stripe_simulator.world.changes import Changes
from stripe_simulator.world.collection import ChildCollection, Collection, TwinCollection
from stripe_simulator.world.embedded import EMBEDDED_LIMIT, embedded_list
from stripe_simulator.world.event_settings import EventSettings
from stripe_simulator.world.generator import Generator
from stripe_simulator.world.history import History
from stripe_simulator.world.ids import FixedIdCodec, IdCodec, TwoPrefixIdCodec
from stripe_simulator.world.makers.registry import fields_of
from stripe_simulator.world.population import ChildPopulation, Population
from stripe_simulator.world.proportions import count_of
from stripe_simulator.world.traits import (
    FIXED_IDS,
    OLDEST_FIRST,
    OTHER_PREFIXES,
    has_objects,
    has_other_prefix,
    parent_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from stripe_fdw.catalog.model import Catalog, Resource
    from stripe_simulator.options import SimulatorOptions
    from stripe_simulator.types import Json

PLATFORM = "acct_1PlatformAccount00"


class _Origin(TypedDict):
    seed: int
    account_id: str
    until: int


class Account:
    """The objects of one account; each collection is created when it is first used.

    A connected account has objects of its own, and so has live mode. `on_event` is called with each new
    event. It returns how many webhook endpoints the event is sent to.
    """

    def __init__(
        self,
        catalog: Catalog,
        options: SimulatorOptions,
        identifier: str,
        cache: BodyCache,
        *,
        livemode: bool = False,
        event_settings: EventSettings | None = None,
    ) -> None:
        self.catalog = catalog
        self.options = options
        self.id = identifier
        self.livemode = livemode
        self.seed = options.seed + livemode  # other objects than those of test mode
        self.history = History()
        self.changes = Changes()
        self.event_settings = event_settings or EventSettings()
        self.until = options.until
        # Amounts by currency, in minor units: paid out on request, and paid out later.
        self.balance: dict[str, dict[str, int]] = {"available": {"usd": 123_456}, "pending": {"usd": 500}}
        self.cash_modes: dict[str, str] = {}  # reconciliation modes of cash balances, by customer
        self.unlisted: dict[str, Json] = {}  # objects that no list shows, by id
        # Objects of version 2 of the API, by resource and id, and how many were deleted, by resource.
        self.version_2: dict[str, dict[str, Json]] = {}
        self.deleted_version_2: dict[str, int] = {}
        self.discounts: dict[str, Json] = {}  # by id; no list shows them either
        self.reminders: set[tuple[str, str, int]] = (
            set()
        )  # events of subscriptions emitted before they are due
        self.connect_endpoints: set[str] = set()  # webhook endpoints for the events of connected accounts
        self.on_event: Callable[[Account, Any], int] = lambda _account, _event: 0
        self.connected: Callable[[str], Account] = lambda _identifier: self  # the data of such an account
        self.is_discarded = False  # by a reset
        self._cache = cache
        self._collections: dict[str, Collection] = {}

    @property
    def _customers(self) -> int:
        return self.options.customers if self.id == PLATFORM else self.options.customers // 10

    def has(self, name: str) -> bool:
        """Return True if the account has a resource of this name."""
        return name in self.catalog.resource and has_objects(self.catalog.resource[name])

    def has_top_level(self, name: str) -> bool:
        """Return True if the account has a resource of this name whose objects lie in no other."""
        return self.has(name) and parent_of(self.catalog.resource[name]) is None

    def collection(self, name: str) -> Collection:
        """Return the objects of a resource, by its table name."""
        collection = self._collections.get(name)
        if collection is None:
            collection = self._collections[name] = self._new_collection(self.catalog.resource[name])
        return collection

    def children(self, name: str) -> ChildCollection:
        """Return the objects of a resource that lie inside others."""
        collection = self.collection(name)
        assert isinstance(collection, ChildCollection)
        return collection

    def _new_collection(self, resource: Resource) -> Collection:
        name = resource.name
        shared = (self._cache, self.options.search_delay, self.history, self.changes)
        parent = parent_of(resource)
        origin = _Origin(seed=self.seed, account_id=self.id, until=self.until)
        population: Population
        if parent is not None:
            parents = self.collection(parent[1]) if parent[1] else None
            codec = self._codec(resource, 0)
            population = ChildPopulation(
                name, codec, parents.generator.population if parents else None, **origin
            )
            generator = Generator(self, resource, population, fields_of)
            return ChildCollection(generator, *shared, parents)
        count = self.options.counts.get(name) if self.id == PLATFORM else None
        if resource.area in self.options.not_activated:
            count = 0
        elif name == "plan":
            count = self.collection("price").count
        elif name in FIXED_IDS:
            count = len(FIXED_IDS[name])
        elif count is None:
            count = count_of(name, self._customers)
        codec = self._codec(resource, count)
        population = Population("price" if name == "plan" else name, codec, count, **origin)
        generator = Generator(self, resource, population, fields_of)
        if name == "plan":
            return TwinCollection(generator, *shared, self.collection("price"))
        return Collection(generator, *shared)

    def _codec(self, resource: Resource, count: int) -> IdCodec:
        """Return the codec of the ids of a resource that has so many generated objects."""
        name = resource.name
        if name in FIXED_IDS:
            return FixedIdCodec(FIXED_IDS[name], resource.id_prefix, self.seed, self.id, name)
        if name == "plan":  # a plan is a price, seen through the older API
            return IdCodec("price_", self.seed, self.id, "price")
        if name == "upcoming_invoice":
            return IdCodec("upcoming_in_", self.seed, self.id, name)
        if name in OTHER_PREFIXES:
            return TwoPrefixIdCodec(
                resource.id_prefix,
                OTHER_PREFIXES[name],
                lambda position: position < count and has_other_prefix(position),
                self.seed,
                self.id,
                name,
            )
        return IdCodec(resource.id_prefix, self.seed, self.id, name)

    def counts(self) -> dict[str, dict[str, int]]:
        """Return the numbers of generated and of written objects, for each resource used so far."""
        return {
            name: {"generated": collection.count, "written": len(collection.overlay)}
            for name, collection in self._collections.items()
        }

    def locate(self, identifier: str) -> tuple[Collection, int] | None:
        """Return the collection and the position of the object with this id, of whatever resource."""
        prefix = identifier[: identifier.rfind("_") + 1]
        for name in self._names_by_prefix.get(prefix, ()):
            collection = self.collection(name)
            position = collection.position(identifier)
            if position is not None:
                return collection, position
        return None

    @cached_property
    def _names_by_prefix(self) -> Mapping[str, list[str]]:
        names: dict[str, list[str]] = {}
        for resource in self.catalog.resources:
            if has_objects(resource) and resource.name != "plan":
                names.setdefault(resource.id_prefix, []).append(resource.name)
            if resource.name in OTHER_PREFIXES:
                names.setdefault(OTHER_PREFIXES[resource.name], []).append(resource.name)
        return names

    def has_inside(self, name: str, holder: str) -> bool:
        """Return True if objects of a resource lie inside those of another, the holder."""
        inside = self.catalog.resource.get(name)
        return inside is not None and any(parent.resource == holder for parent in inside.parents)

    def embedded(self, name: str, parent: int, url: str) -> Json:
        """Return the first objects that lie inside another, as a list object."""
        collection = self.children(name)
        low, high = collection.bounds_in(parent)
        positions = list(collection.find([], low, high, newest_first=name not in OLDEST_FIRST))
        first = [collection.read(position) for position in positions[:EMBEDDED_LIMIT]]
        return embedded_list(first, url, len(positions))

    def stable_number(self, *names: object) -> int:
        """Return a number that is always the same for this account and these names."""
        return stable_hash(self.seed, self.id, *names)
