"""An object from its index: every column of the catalog gets a field, plain or by a rule for its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from stripe_fdw.catalog.model import Column, Kind, Resource
from stripe_simulator.seeding import stable_hash
from stripe_simulator.types import Json
from stripe_simulator.world.fields import Field, constant, remember_last, with_nulls
from stripe_simulator.world.ids import BLOCK_SIZE
from stripe_simulator.world.links import Link, SpreadLink
from stripe_simulator.world.makers import by_name

if TYPE_CHECKING:
    from stripe_simulator.world.account import Account
    from stripe_simulator.world.population import Population

_NULL_SHARES = {"email": 11, "name": 7, "phone": 3, "description": 2, "address": 3, "customer": 9}


class Generator:
    """Makes the objects of one resource in one world."""

    def __init__(self, account: Account, resource: Resource, population: Population) -> None:
        self.account = account
        self.resource = resource
        self.population = population
        self.names = (account.seed, account.id, resource.name)
        self._links: dict[str, Link] = {}
        from stripe_simulator.world import traits

        self._children = stable_hash(*self.names, "children")
        self._number_of_children = traits.children_of(resource.name)

    def deleted(self, index: int) -> bool:
        """Whether a generated object was deleted: a share of the customers."""
        return self.resource.name == "customer" and index % 53 == 11

    def absent(self, index: int) -> bool:
        """Whether there is no such object: prices that are not recurring are no plans."""
        if self.resource.name != "plan":
            return False
        prices = self.account.collection("price").generator
        return bool(prices.fields["type"].value(index) != "recurring")

    @cached_property
    def hidden(self) -> Callable[[int], bool]:
        """Whether lists leave a generated object out."""
        match self.resource.name:
            case "customer":
                return self.deleted
            case "plan":
                return self.absent
            case _:
                return lambda _: False

    def children(self, parent: int) -> int:
        """How many objects of this resource a generated parent has: few, with_nulls more than a page."""
        numbers = self._number_of_children
        return numbers[((parent * 2_654_435_761 + self._children) >> 8) % len(numbers)]

    def link(self, column: str, target: str) -> Link:
        """The link from a column to the objects it names."""
        if column not in self._links:
            other = self.account.collection(target)
            self._links[column] = SpreadLink(
                self.population.count,
                other.generator.population.count,
                *self.names,
                column,
                is_skipped=other.generator.hidden if target in {"customer", "plan"} else None,
            )
        return self._links[column]

    def set_link(self, column: str, link: Link) -> Link:
        """Make a column follow another link than its own."""
        return self._links.setdefault(column, link)

    @cached_property
    def fields(self) -> Mapping[str, Field]:
        """A field for each column that the object itself knows."""
        from stripe_simulator.world import traits

        found: dict[str, Field] = {}
        custom = traits.fields_of(self)
        for column in self.resource.columns:
            if column.name in custom:
                found[column.name] = custom[column.name]
            elif "data" not in column.path and column.name != "deleted":
                found[column.name] = self.plain(column)
        return found

    @cached_property
    def _plan(self) -> tuple[Json, list[tuple[str, Callable[[int], Any]]], list[tuple[tuple[str, ...], Any]]]:
        """What is the same in all objects; the fields that vary; those that lie deeper."""
        from stripe_simulator.world import traits

        base: Json = {}
        varying = []
        nested = []
        hidden = traits.HIDDEN.get(self.resource.name, frozenset())
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
        """The object at this index, new each time."""
        base, varying, nested = self._plan
        made = base.copy()
        for name, value in varying:
            made[name] = value(index)
        for path, value in nested:
            _put(made, path, value(index))
        return made

    def plain(self, column: Column) -> Field:
        """A field by the rule for the column's name or kind."""
        from stripe_simulator.world import traits

        parent = traits.parent_of(self.resource)
        if parent is not None and column.name == parent[0]:
            return self._parent(parent[1])
        count = self.population.count
        names = (*self.names, column.name)
        field = by_name.field_of(self, column)
        if not column.nullable or field.is_constant or column.name in {"created", "metadata"}:
            return field
        # Enums and flags with their own tables of values are null by these, where at all.
        if field.ranges is None or column.name == "email" or column.kind is Kind.REFERENCE:
            return with_nulls(field, _NULL_SHARES.get(column.name, 4), count, *names)
        return field

    def any_reference(self, column: Column) -> Field:
        """A field holding ids of the first resource it may refer to that lies in no other."""
        for target in column.references:
            if self.account.is_plain(target):
                return self.reference(column.name, target)
        return constant(None if column.nullable else f"{column.name}_0")

    def _parent(self, name: str) -> Field:
        """The id of the object this one lies in."""
        encode = self.account.collection(name).identifier if name else str
        parent = remember_last(encode)
        return Field(lambda index: parent(index // BLOCK_SIZE), lambda _: [range(self.population.count)])

    def reference(self, column: str, target: str) -> Field:
        """A field holding ids of another population; null where that is empty."""
        other = self.account.collection(target).generator.population
        if other.count == 0:
            return constant(None)
        link = self.link(column, target)
        encode, decode, forward = other.codec.encode, other.codec.decode, link.target

        def ranges(value: Any) -> list[range] | None:
            at = decode(str(value))
            if at is None or at >= other.count:
                return []
            return link.sources(at)

        return Field(remember_last(lambda index: encode(forward(index))), ranges)


def _put(made: Json, path: tuple[str, ...], value: Any) -> None:
    """Set a value deeper in the object, where there is a place for it."""
    inner: Any = made
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
