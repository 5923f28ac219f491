"""All that one account holds. Each connected account is a world of its own."""

from __future__ import annotations

from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any, TypedDict

from stripe_simulator.seeding import stable_hash
from stripe_simulator.world.collection import BodyCache, ChildCollection, Collection, TwinCollection
from stripe_simulator.world.generator import Generator
from stripe_simulator.world.ids import FixedIdCodec, IdCodec
from stripe_simulator.world.population import ChildPopulation, Population
from stripe_simulator.world.proportions import count_of
from stripe_simulator.world.traits import CODES, parent_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from stripe_fdw.catalog.model import Catalog, Resource
    from stripe_simulator.options import SimulatorOptions

PLATFORM = "acct_1PlatformAccount00"
EMBEDDED = 10  # how many objects of a list inside another are shown there
_DAY = 86_400


class _Origin(TypedDict):
    seed: int
    account_id: str
    until: int


class Account:
    """The collections of one account, made when they are first asked for."""

    def __init__(
        self, catalog: Catalog, options: SimulatorOptions, identifier: str, cache: BodyCache
    ) -> None:
        self.catalog = catalog
        self.options = options
        self.id = identifier
        self.seed = options.seed
        self.until = options.until
        # Money by currency, in minor units: what can be paid out, and what will be.
        self.balance: dict[str, dict[str, int]] = {"available": {"usd": 123_456}, "pending": {"usd": 500}}
        self.cash_modes: dict[str, str] = {}  # by customer: how a cash balance is reconciled
        self.unlisted: dict[str, dict[str, Any]] = {}  # objects that no list shows, by id
        self._cache = cache
        self._collections: dict[str, Collection] = {}
        self.discounts: dict[str, dict[str, Any]] = {}  # by id: Stripe lists them nowhere
        # Told of each event; answers how many webhooks it goes to.
        self.on_event: Callable[[Account, dict[str, Any]], int] = lambda _account, _event: 0

    @property
    def _customers(self) -> int:
        return self.options.customers if self.id == PLATFORM else self.options.customers // 10

    def has(self, name: str) -> bool:
        """Whether there are objects of this name."""
        return name in self.catalog.resource and not self.catalog.resource[name].preview

    def is_plain(self, name: str) -> bool:
        """Whether there are objects of this name that do not lie in others."""
        return self.has(name) and parent_of(self.catalog.resource[name]) is None

    def collection(self, name: str) -> Collection:
        """The objects of a resource, by its table name."""
        found = self._collections.get(name)
        if found is None:
            found = self._collections[name] = self._make(self.catalog.resource[name])
        return found

    def children(self, name: str) -> ChildCollection:
        """The objects of a resource that lie in others."""
        found = self.collection(name)
        assert isinstance(found, ChildCollection)
        return found

    def _make(self, resource: Resource) -> Collection:
        name = resource.name
        codec = self._codec(resource)
        parent = parent_of(resource)
        shared = _Origin(seed=self.seed, account_id=self.id, until=self.until)
        if parent is not None:
            above = self.collection(parent[1]) if parent[1] else None
            population = above.generator.population if above else None
            return ChildCollection(
                Generator(self, resource, ChildPopulation(name, codec, population, **shared)),
                self._cache,
                above,
            )
        count = self.options.counts.get(name) if self.id == PLATFORM else None
        if name == "plan":
            count = self.collection("price").count
        elif name in CODES:
            count = len(CODES[name])
        elif count is None:
            count = count_of(name, self._customers)
        times = "price" if name == "plan" else name
        generator = Generator(self, resource, Population(times, codec, count, **shared))
        if name == "plan":
            return TwinCollection(generator, self._cache, self.collection("price"))
        return Collection(generator, self._cache)

    def _codec(self, resource: Resource) -> IdCodec:
        name = resource.name
        if name in CODES:
            return FixedIdCodec(CODES[name], resource.id_prefix, self.seed, self.id, name)
        if name == "plan":  # a plan is a price, seen through the older API
            return IdCodec("price_", self.seed, self.id, "price")
        if name == "upcoming_invoice":
            return IdCodec("upcoming_in_", self.seed, self.id, name)
        return IdCodec(resource.id_prefix, self.seed, self.id, name)

    def counts(self) -> dict[str, dict[str, int]]:
        """How many objects were generated and written, of each kind touched so far."""
        return {
            name: {"generated": found.count, "written": len(found.overlay)}
            for name, found in self._collections.items()
        }

    def locate(self, identifier: str) -> tuple[Collection, int] | None:
        """The object with this id, whatever its kind."""
        prefix = identifier[: identifier.rfind("_") + 1]
        for name in self._by_prefix.get(prefix, ()):
            collection = self.collection(name)
            position = collection.position(identifier)
            if position is not None:
                return collection, position
        return None

    @cached_property
    def _by_prefix(self) -> Mapping[str, list[str]]:
        found: dict[str, list[str]] = {}
        for resource in self.catalog.resources:
            if resource.name not in {"plan", "upcoming_invoice"}:
                found.setdefault(resource.id_prefix, []).append(resource.name)
        return found

    def embedded(self, name: str, parent: int, url: str) -> dict[str, Any]:
        """The first objects that lie in another, as a list inside it."""
        collection = self.children(name)
        low, high = collection.bounds_in(parent)
        found = list(islice(collection.find([], low, high, newest_first=True), EMBEDDED + 1))
        return {
            "object": "list",
            "data": [collection.read(position) for position in found[:EMBEDDED]],
            "has_more": len(found) > EMBEDDED,
            "url": url,
        }

    def number(self, *names: object) -> int:
        """A number that is fixed for this world and these names."""
        return stable_hash(self.seed, self.id, *names)
