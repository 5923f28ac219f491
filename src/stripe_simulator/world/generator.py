"""Generators: the object of a resource at an index, built from a field for each column of the catalog."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Protocol

from stripe_fdw.catalog.model import Resource
from stripe_simulator.seeding import stable_hash
from stripe_simulator.types import Json
from stripe_simulator.world.fields import Field, constant, remember_last, weighted_choice
from stripe_simulator.world.hidden_fields import hidden_fields
from stripe_simulator.world.ids import BLOCK_SIZE
from stripe_simulator.world.links import Link, SpreadLink
from stripe_simulator.world.population import Population
from stripe_simulator.world.traits import HIDDEN_FIELDS, children_counts


class ResourceObjects(Protocol):
    """The objects of another resource, as generators and their fields use them."""

    generator: Generator
    count: int
    overlay: dict[int, Json | None]

    def identifier(self, position: int) -> str:
        """Return the id of the object at this position."""

    def read(self, position: int) -> Json:
        """Return the object at this position; not to be changed."""


class AccountObjects(Protocol):
    """The objects of an account, as generators and their fields use them."""

    id: str
    seed: int
    until: int

    def has_top_level(self, name: str) -> bool:
        """Return True if the account has a resource of this name whose objects lie in no other."""

    def has_inside(self, name: str, holder: str) -> bool:
        """Return True if objects of a resource lie inside those of another, the holder."""

    def collection(self, name: str) -> ResourceObjects:
        """Return the objects of a resource, by its table name."""

    def children(self, name: str) -> ResourceObjects:
        """Return the objects of a resource that lie inside others."""

    def embedded(self, name: str, parent: int, url: str) -> Json:
        """Return the first objects that lie inside another, as a list object."""


class Generator:
    """Makes the objects of one resource in one account.

    `fields_of` returns the field of each column that the object itself holds.
    """

    def __init__(
        self,
        account: AccountObjects,
        resource: Resource,
        population: Population,
        fields_of: Callable[[Generator], Mapping[str, Field]],
    ) -> None:
        self.account = account
        self.resource = resource
        self.population = population
        self.names = (account.seed, account.id, resource.name)
        self._fields_of = fields_of
        self._links: dict[str, Link] = {}
        self._children_hash = stable_hash(*self.names, "children")

    def is_deleted(self, index: int) -> bool:
        """Return True for a generated object that was deleted: a share of the customers."""
        return self.resource.name == "customer" and index % 53 == 11

    def is_absent(self, index: int) -> bool:
        """Return True if there is no object at this index: prices that are not recurring are no plans."""
        if self.resource.name != "plan":
            return False
        prices = self.account.collection("price").generator
        return bool(prices.fields["type"].value(index) != "recurring")

    @cached_property
    def is_unlisted(self) -> Callable[[int], bool]:
        """A function that returns True for a generated object that lists leave out."""
        match self.resource.name:
            case "customer":
                return self.is_deleted
            case "plan":
                return self.is_absent
            case _:
                return lambda _: False

    @cached_property
    def present(self) -> tuple[int, ...]:
        """The indexes of all objects that are not absent, in ascending order."""
        return tuple(index for index in range(self.population.count) if not self.is_absent(index))

    @cached_property
    def _children_counts(self) -> tuple[int, ...]:
        """Numbers of children of parents; no subscription has more items than there are recurring prices."""
        counts = children_counts(self.resource.name)
        if self.resource.name != "subscription_item":
            return counts
        most = max(1, len(self.account.collection("plan").generator.present))
        return tuple(min(count, most) for count in counts)

    def children_of(self, parent: int) -> int:
        """Return how many objects of this resource a generated parent has."""
        counts = self._children_counts
        return counts[((parent * 2_654_435_761 + self._children_hash) >> 8) % len(counts)]

    @cached_property
    def fields(self) -> Mapping[str, Field]:
        """A field for each column that the object itself holds."""
        return self._fields_of(self)

    @cached_property
    def _template(
        self,
    ) -> tuple[
        Json, list[tuple[str, Callable[[int], Any]]], list[tuple[tuple[str, ...], Callable[[int], Any]]]
    ]:
        """The part that all objects share, the fields that vary, and the fields inside hashes."""
        base: Json = {}
        varying = []
        nested = []
        hidden = HIDDEN_FIELDS.get(self.resource.name, frozenset())
        hidden |= hidden_fields(self.resource.object).keys()
        for column in self.resource.columns:
            field = self.fields.get(column.name)
            if field is None or not column.path or "data" in column.path or column.name in hidden:
                continue
            if len(column.path) > 1:
                nested.append((column.path, field.value))
            elif field.is_constant:
                base[column.path[0]] = field.value(0)
            else:
                base[column.path[0]] = None
                varying.append((column.path[0], field.value))
        return base, varying, nested

    def object(self, index: int) -> Json:
        """Return the object at this index, newly built at each call."""
        base, varying, nested = self._template
        generated = base.copy()
        for name, value in varying:
            generated[name] = value(index)
        for path, value in nested:
            _set_nested(generated, path, value(index))
        return generated

    def link(self, column: str, target: str) -> Link:
        """Return the link from a column to the objects of the `target` resource that it names."""
        if column not in self._links:
            other = self.account.collection(target).generator
            self._links[column] = SpreadLink(
                self.population.count,
                other.population.count,
                *self.names,
                column,
                is_skipped=other.is_unlisted if target in {"customer", "plan"} else None,
            )
        return self._links[column]

    def set_link(self, column: str, link: Link) -> Link:
        """Make a column follow this link, unless it has one; return the link that it follows."""
        return self._links.setdefault(column, link)

    def reference(self, column: str, target: str) -> Field:
        """Return a field of ids of the `target` resource; null where that has no objects."""
        other = self.account.collection(target).generator.population
        if other.count == 0:
            return constant(None)
        link = self.link(column, target)
        encode, decode, target_of = other.codec.encode, other.codec.decode, link.target

        def ranges(value: Any) -> list[range] | None:
            at = decode(str(value))
            if at is None or at >= other.count:
                return []
            return link.sources(at)

        return Field(remember_last(lambda index: encode(target_of(index))), ranges)

    def parent_reference(self, name: str) -> Field:
        """Return a field of the id of the parent: of the resource `name`, or of one that is unknown ("")."""
        encode = self.account.collection(name).identifier if name else str
        parent_id = remember_last(encode)
        return Field(lambda index: parent_id(index // BLOCK_SIZE), lambda _: [range(self.population.count)])

    def choice(self, column: str, weights: Mapping[Any, int]) -> Field:
        """Return a field with each value in proportion to its weight, for a column."""
        return weighted_choice(weights, self.population.count, *self.names, column)


def _set_nested(target: Json, path: tuple[str, ...], value: Any) -> None:
    """Set a value inside the hashes of an object; not where a field on the way is no hash."""
    inner: Any = target
    for step in path[:-1]:
        below = inner.get(step)
        if below is None:
            if value is None:
                return
            below = inner[step] = {}
        elif not isinstance(below, dict):
            return
        inner = below
    inner[path[-1]] = value
