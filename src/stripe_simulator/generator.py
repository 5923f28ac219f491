"""An object from its index: every column of the catalog gets a field, plain or by a rule for its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from stripe_fdw.catalog.model import Column, Kind, Resource
from stripe_simulator import words
from stripe_simulator.fields import Field, Reference, after, constant, number_between, sometimes, table
from stripe_simulator.ids import BLOCK
from stripe_simulator.salt import salt

if TYPE_CHECKING:
    from stripe_simulator.population import Population
    from stripe_simulator.world import World

Json = dict[str, Any]
_CURRENCIES = {"usd": 14, "eur": 3, "gbp": 2, "jpy": 1}
_COUNTRIES = {"US": 10, "DE": 3, "FR": 3, "GB": 2, "JP": 1}
_TEXTS: Mapping[str, Callable[[int], Any]] = {
    "email": words.email,
    "name": words.person,
    "phone": words.phone,
    "address": words.address,
    "url": words.url,
    "description": lambda index: f"{words.THINGS[index % 10]} no. {index}",
    "nickname": lambda index: words.THINGS[index % 10],
    "metadata": words.metadata,
    "ip": lambda index: f"203.0.113.{index % 254 + 1}",
    "last4": lambda index: f"{index * 7 % 10_000:04d}",
    "fingerprint": lambda index: f"Xt5EWLLD{index:08x}",
}
_NULL_SHARES = {"email": 11, "name": 7, "phone": 3, "description": 2, "address": 3, "customer": 9}
_LINK_LIMIT = 5000


class Link(Protocol):
    """Which object of another population each object points to."""

    def forward(self, index: int) -> int:
        """The target's index."""

    def backward(self, target: int) -> list[range] | None:
        """The indexes that may point to the target; None where they are too many to say."""


class Via:
    """A link through another: an invoice's customer is that of its subscription."""

    def __init__(self, first: Link, second: Link) -> None:
        self._first = first
        self._second = second

    def forward(self, index: int) -> int:
        """The target's index."""
        return self._second.forward(self._first.forward(index))

    def backward(self, target: int) -> list[range] | None:
        """The indexes that may point to the target."""
        middles = self._second.backward(target)
        if middles is None or sum(map(len, middles)) > _LINK_LIMIT:
            return None
        found: list[range] = []
        for middle in sorted({one for progression in middles for one in progression}):
            ranges = self._first.backward(middle)
            if ranges is None:
                return None
            found += ranges
        return found


class Generator:
    """Makes the objects of one resource in one world."""

    def __init__(self, world: World, resource: Resource, population: Population) -> None:
        self.world = world
        self.resource = resource
        self.population = population
        self.names = (world.seed, world.account, resource.name)
        self._links: dict[str, Link] = {}
        self._children = salt(*self.names, "children")

    def deleted(self, index: int) -> bool:
        """Whether a generated object was deleted: a share of the customers."""
        return self.resource.name == "customer" and index % 53 == 11

    def absent(self, index: int) -> bool:
        """Whether there is no such object: prices that are not recurring are no plans."""
        if self.resource.name != "plan":
            return False
        prices = self.world.collection("price").generator
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
        """How many objects of this resource a generated parent has: few, sometimes more than a page."""
        from stripe_simulator import shapes

        return shapes.children(self.resource.name, (parent * 2_654_435_761 + self._children) >> 8)

    def link(self, column: str, target: str) -> Link:
        """The link from a column to the objects it names."""
        if column not in self._links:
            other = self.world.collection(target)
            self._links[column] = Reference(
                self.population.count,
                other.generator.population.count,
                *self.names,
                column,
                skip=other.generator.hidden if target in {"customer", "plan"} else None,
            )
        return self._links[column]

    def set_link(self, column: str, link: Link) -> Link:
        """Make a column follow another link than its own."""
        return self._links.setdefault(column, link)

    @cached_property
    def fields(self) -> Mapping[str, Field]:
        """A field for each column that the object itself knows."""
        from stripe_simulator import shapes

        found: dict[str, Field] = {}
        custom = shapes.fields_of(self)
        for column in self.resource.columns:
            if column.name in custom:
                found[column.name] = custom[column.name]
            elif "data" not in column.path and column.name != "deleted":
                found[column.name] = self.plain(column)
        return found

    @cached_property
    def _plan(self) -> tuple[Json, list[tuple[str, Callable[[int], Any]]], list[tuple[tuple[str, ...], Any]]]:
        """What is the same in all objects; the fields that vary; those that lie deeper."""
        from stripe_simulator import shapes

        base: Json = {}
        varying = []
        nested = []
        hidden = shapes.HIDDEN.get(self.resource.name, frozenset())
        for column in self.resource.columns:
            field = self.fields.get(column.name)
            if field is None or not column.path or "data" in column.path or column.name in hidden:
                continue
            if len(column.path) > 1:
                nested.append((column.path, field.value))
            elif field.constant:
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
        from stripe_simulator import shapes

        parent = shapes.parent_of(self.resource)
        if parent is not None and column.name == parent[0]:
            return self._parent(parent[1])
        count = self.population.count
        names = (*self.names, column.name)
        field = self._named(column) or self._of_kind(column)
        share = _NULL_SHARES.get(column.name, 4)
        if (
            column.nullable
            and not field.constant
            and (field.ranges is None or column.name == "email")
            and column.name != "metadata"
        ):
            return sometimes(field, share, count, *names)
        if column.kind is Kind.REFERENCE and column.nullable and not field.constant:
            return sometimes(field, share, count, *names)
        return field

    def _named(self, column: Column) -> Field | None:
        name, population = column.name, self.population
        count = population.count
        match name:
            case "id":
                codec = population.codec
                return Field(codec.encode, lambda value: _only(codec.decode(str(value)), count))
            case "object":
                return constant(self.resource.object)
            case "livemode":
                return constant(value=False)
            case "created":
                return Field(population.created, window=(0, 0))
            case "email" if column.kind is Kind.TEXT:
                return Field(words.email, lambda value: words.indexes_of_email(value, count))
            case "currency":
                return table(_CURRENCIES, count, *self.names, name)
            case "country":
                return table(_COUNTRIES, count, *self.names, name)
            case "metadata":
                return Field(words.metadata)
        if column.kind is Kind.TEXT and not column.values and name in _TEXTS:
            return Field(_TEXTS[name])
        if column.kind is Kind.JSON and name == "address":
            return Field(words.address)
        return None

    def _of_kind(self, column: Column) -> Field:
        count = self.population.count
        names = (*self.names, column.name)
        match column.kind:
            case Kind.TEXT if column.values:
                weights: dict[Any, int] = {value: max(1, 12 >> n) for n, value in enumerate(column.values)}
                if column.nullable:
                    weights[None] = 4
                return table(weights, count, *names)
            case Kind.TEXT:
                return Field(lambda index: f"{column.name}_{index}")
            case Kind.BOOLEAN:
                yes = 4 if column.name in {"active", "enabled", "paid", "captured"} else 1
                return table({True: yes, False: 5 - yes}, count, *names)
            case Kind.INTEGER if "amount" in column.name or "total" in column.name:
                return number_between(500, 100_000, *names, step=5)
            case Kind.INTEGER:
                return number_between(0, 20, *names)
            case Kind.DECIMAL:
                cents = number_between(1, 100_000, *names).value
                return Field(lambda index: f"{cents(index) / 8:.3f}".rstrip("0").rstrip("."))
            case Kind.FLOAT:
                eighths = number_between(1, 800, *names).value
                return Field(lambda index: eighths(index) / 8)
            case Kind.TIME:
                return after(self.population.created, 60, 40 * 86_400, *names)
            case Kind.REFERENCE:
                return self._reference(column)
            case _:
                if column.nullable:
                    return constant(None)
                return Field(lambda _: []) if column.name in words.LISTS else Field(lambda _: {})

    def _reference(self, column: Column) -> Field:
        for target in column.references:
            if self.world.is_plain(target):
                return self.reference(column.name, target)
        return constant(None if column.nullable else f"{column.name}_0")

    def _parent(self, name: str) -> Field:
        """The id of the object this one lies in."""
        encode = self.world.collection(name).identifier if name else str
        return Field(
            lambda index: encode(index // BLOCK),
            lambda _: [range(self.population.count)],
        )

    def reference(self, column: str, target: str) -> Field:
        """A field holding ids of another population; null where that is empty."""
        other = self.world.collection(target).generator.population
        if other.count == 0:
            return constant(None)
        link = self.link(column, target)
        encode, decode, forward = other.codec.encode, other.codec.decode, link.forward

        def ranges(value: Any) -> list[range] | None:
            at = decode(str(value))
            if at is None or at >= other.count:
                return []
            return link.backward(at)

        return Field(lambda index: encode(forward(index)), ranges)


def _only(index: int | None, count: int) -> list[range]:
    return [] if index is None or index >= count else [range(index, index + 1)]


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
