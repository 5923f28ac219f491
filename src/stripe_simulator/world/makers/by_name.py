"""Fields by the name or the kind of a column, for columns that no maker covers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from stripe_fdw.catalog.model import Column, Kind
from stripe_simulator.world.fields import Field, constant, integer_between, time_after
from stripe_simulator.world.makers import sample_text

if TYPE_CHECKING:
    from stripe_simulator.world.generator import Generator

_CURRENCIES = {"usd": 14, "eur": 3, "gbp": 2, "jpy": 1}
_COUNTRIES = {"US": 10, "DE": 3, "FR": 3, "GB": 2, "JP": 1}
_KINDS_OF_SOURCES = {"card": 3, "bank_account": 2}
_MOSTLY_TRUE = frozenset({"active", "enabled", "paid", "captured"})
_TEXTS: Mapping[str, Callable[[int], Any]] = {
    "name": sample_text.name,
    "phone": sample_text.phone,
    "url": sample_text.url,
    "description": lambda index: f"{sample_text.PRODUCT_NAMES[index % 10]} no. {index}",
    "nickname": lambda index: sample_text.PRODUCT_NAMES[index % 10],
    "ip": lambda index: f"203.0.113.{index % 254 + 1}",
    "last4": lambda index: f"{index * 7 % 10_000:04d}",
    "fingerprint": lambda index: f"Xt5EWLLD{index:08x}",
}

Rule = Callable[["Generator", Column], Field]


def field_of(generator: Generator, column: Column) -> Field:
    """Return the field of a column by the rule for its name, or else for its kind."""
    kind, rule = _BY_NAME.get(column.name, (None, None))
    if rule is not None and kind in {None, column.kind}:
        return rule(generator, column)
    if column.kind is Kind.TEXT and not column.values and column.name in _TEXTS:
        return Field(_TEXTS[column.name])
    return _BY_KIND[column.kind](generator, column)


def _id(generator: Generator, _column: Column) -> Field:
    codec, count = generator.population.codec, generator.population.count

    def ranges(value: Any) -> list[range]:
        index = codec.decode(str(value))
        return [] if index is None or index >= count else [range(index, index + 1)]

    return Field(codec.encode, ranges)


def _object(generator: Generator, column: Column) -> Field:
    """Return the name of the object; of a list that holds several kinds, mostly cards and bank accounts."""
    if generator.resource.object:
        return constant(generator.resource.object)
    usual = {name: weight for name, weight in _KINDS_OF_SOURCES.items() if name in column.values}
    return generator.choice("object", usual or dict.fromkeys(column.values, 1))


def _created(generator: Generator, _column: Column) -> Field:
    return Field(generator.population.created, created_offset=(0, 0))


def _email(generator: Generator, _column: Column) -> Field:
    count = generator.population.count
    return Field(sample_text.email, lambda value: sample_text.indexes_of_email(value, count))


def _text(generator: Generator, column: Column) -> Field:
    if not column.values:
        return Field(lambda index: f"{column.name}_{index}")
    weights: dict[Any, int] = {value: max(1, 12 >> n) for n, value in enumerate(column.values)}
    if column.nullable:
        weights[None] = 4
    return generator.choice(column.name, weights)


def _boolean(generator: Generator, column: Column) -> Field:
    yes = 4 if column.name in _MOSTLY_TRUE else 1
    return generator.choice(column.name, {True: yes, False: 5 - yes})


def _integer(generator: Generator, column: Column) -> Field:
    names = (*generator.names, column.name)
    if "amount" in column.name or "total" in column.name:
        return integer_between(500, 100_000, *names, step=5)
    return integer_between(0, 20, *names)


def _decimal(generator: Generator, column: Column) -> Field:
    eighths = integer_between(1, 100_000, *generator.names, column.name).value
    return Field(lambda index: f"{eighths(index) / 8:.3f}".rstrip("0").rstrip("."))


def _float(generator: Generator, column: Column) -> Field:
    eighths = integer_between(1, 800, *generator.names, column.name).value
    return Field(lambda index: eighths(index) / 8)


def _time(generator: Generator, column: Column) -> Field:
    created, scale = generator.population.created, column.units_per_second
    if scale == 1:
        return time_after(created, 60, 40 * 86_400, *generator.names, column.name)
    return Field(lambda index: created(index) * scale)


def _json(_generator: Generator, column: Column) -> Field:
    if column.nullable:
        return constant(None)
    return Field(lambda _: []) if column.name in sample_text.LIST_FIELDS else Field(lambda _: {})


def _reference(generator: Generator, column: Column) -> Field:
    """Return ids of the first resource that the column may refer to and that lies in no other."""
    for target in column.references:
        if generator.account.has_top_level(target):
            return generator.reference(column.name, target)
    return constant(None if column.nullable else f"{column.name}_0")


def _choice(weights: Mapping[Any, int]) -> Rule:
    return lambda generator, column: generator.choice(column.name, weights)


# Rules for columns of a name, of the kind given or of any kind.
_BY_NAME: Mapping[str, tuple[Kind | None, Rule]] = {
    "id": (None, _id),
    "object": (None, _object),
    "livemode": (None, lambda _generator, _column: constant(value=False)),
    "created": (Kind.TIME, _created),
    "email": (Kind.TEXT, _email),
    "currency": (Kind.TEXT, _choice(_CURRENCIES)),
    "country": (Kind.TEXT, _choice(_COUNTRIES)),
    "metadata": (None, lambda _generator, _column: Field(sample_text.metadata)),
    "address": (Kind.JSON, lambda _generator, _column: Field(sample_text.address)),
}
_BY_KIND: Mapping[Kind, Rule] = {
    Kind.TEXT: _text,
    Kind.BOOLEAN: _boolean,
    Kind.INTEGER: _integer,
    Kind.DECIMAL: _decimal,
    Kind.FLOAT: _float,
    Kind.TIME: _time,
    Kind.REFERENCE: _reference,
    Kind.JSON: _json,
}
