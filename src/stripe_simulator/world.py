"""All that one account holds. Each connected account is a world of its own."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stripe_simulator.collection import BodyCache, Collection
from stripe_simulator.generator import Generator
from stripe_simulator.population import Population
from stripe_simulator.proportions import count_of
from stripe_simulator.salt import salt

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stripe_fdw.catalog.model import Catalog

PLATFORM = "acct_1PlatformAccount00"
_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Settings:
    """What a simulator is started with. `until` is when the newest generated object was created, at the latest,
    in Unix seconds; `counts` are objects by resource, where they differ from the usual proportion.
    """

    seed: int = 1
    customers: int = 1000
    counts: Mapping[str, int] = field(default_factory=dict)
    until: int = field(default_factory=lambda: int(time.time()) // _DAY * _DAY)
    search_delay: float = 1.0  # seconds until a written object can be found by search
    latency: float = 0.0  # seconds
    jitter: float = 0.0  # seconds at most, on top of the latency
    rate: float | None = None  # requests/s in all
    endpoint_rate: float | None = None  # requests/s on each endpoint
    webhook_retries: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0, 8.0)  # seconds before each further attempt


class World:
    """The collections of one account, made when they are first asked for."""

    def __init__(self, catalog: Catalog, settings: Settings, account: str, cache: BodyCache) -> None:
        self.catalog = catalog
        self.settings = settings
        self.account = account
        self.seed = settings.seed
        self.until = settings.until
        self._cache = cache
        self._collections: dict[str, Collection] = {}

    @property
    def _customers(self) -> int:
        return self.settings.customers if self.account == PLATFORM else self.settings.customers // 10

    def has(self, name: str) -> bool:
        """Whether there is a top-level collection of this name."""
        return name in self.catalog.resource and not self.catalog.resource[name].parents

    def collection(self, name: str) -> Collection:
        """The objects of a resource, by its table name."""
        found = self._collections.get(name)
        if found is None:
            resource = self.catalog.resource[name]
            count = self.settings.counts.get(name) if self.account == PLATFORM else None
            population = Population(
                name,
                resource.id_prefix,
                count_of(name, self._customers) if count is None else count,
                seed=self.seed,
                account=self.account,
                until=self.until,
            )
            found = Collection(Generator(self, resource, population), self._cache)
            self._collections[name] = found
        return found

    def counts(self) -> dict[str, dict[str, int]]:
        """How many objects were generated and written, of each kind touched so far."""
        return {
            name: {"generated": found.count, "written": len(found.overlay)}
            for name, found in self._collections.items()
        }

    def locate(self, identifier: str) -> tuple[Collection, int] | None:
        """The object with this id, whatever its kind."""
        prefix = identifier[: identifier.find("_") + 1]
        for resource in self.catalog.resources:
            if prefix and resource.id_prefix == prefix:
                collection = self.collection(resource.name)
                position = collection.position(identifier)
                if position is not None:
                    return collection, position
        return None

    def include(self, made: dict[str, object], name: str, rest: list[str]) -> bool:
        """Add a field that is there only when expanded; whether there is such a field."""
        return False

    def number(self, *names: object) -> int:
        """A number that is fixed for this world and these names."""
        return salt(self.seed, self.account, *names)
