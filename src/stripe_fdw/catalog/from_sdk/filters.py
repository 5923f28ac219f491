"""Filters from the parameters of a list operation, and columns for filters without a field."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from stripe_fdw.catalog.from_sdk.annotations import Shape, read_shape
from stripe_fdw.catalog.from_sdk.columns import References, scalar_kind
from stripe_fdw.catalog.from_sdk.operations import PAGING
from stripe_fdw.catalog.from_sdk.source import Class, Member
from stripe_fdw.catalog.model import Column, Filter, Kind
from stripe_fdw.catalog.overlay.filters import ANY_FILTER_LEFT_OUT, FILTERS, NEVER_EXACT, FilterNote

_BOUNDS = frozenset({"gt", "gte", "lt", "lte"})


@dataclass(frozen=True)
class ListParameter:
    """One parameter of a list, nested ones by their full name: ``recurring[interval]``."""

    steps: tuple[str, ...]
    member: Member
    shape: Shape
    required: bool
    range: bool
    extra_parameters: tuple[tuple[str, str], ...]

    @property
    def name(self) -> str:
        """The name as it is sent."""
        return self.steps[0] + "".join(f"[{step}]" for step in self.steps[1:])

    @property
    def column(self) -> str:
        """The name of the column it selects on, unless the overlay has another."""
        return "_".join(self.steps)


def list_parameters(parameters: Class | None, steps: tuple[str, ...] = ()) -> Iterator[ListParameter]:
    """Yield all parameters that select rows, nested ones flattened."""
    if parameters is None:
        return
    shapes = {name: read_shape(item.annotation, parameters) for name, item in parameters.members.items()}
    types = shapes["type"].literals if "type" in shapes and shapes["type"].required else ()
    for name, member in parameters.members.items():
        shape = shapes[name]
        path = (*steps, name)
        if not steps and name in PAGING:
            continue
        bounded = [item for item in shape.classes if set(item.members) <= _BOUNDS]
        if shape.classes and not bounded:
            for item in shape.classes:
                yield from list_parameters(item, path)
            continue
        extra = ((f"{steps[0]}[type]", name),) if steps and name in types else ()
        yield ListParameter(path, member, shape, shape.required and not steps, bool(bounded), extra)


def read_filters(
    table: str, parameters: Class | None, columns: list[Column], references: References
) -> tuple[list[Filter], list[Column]]:
    """Return the filters of a table's list, and its columns with those added that only filters have."""
    by_name = {column.name: column for column in columns}
    filters = []
    for parameter in list_parameters(parameters):
        note = FILTERS.get((table, parameter.name), FilterNote())
        if note.left_out or parameter.name in ANY_FILTER_LEFT_OUT:
            continue
        name = note.column or _column_name(parameter, by_name)
        if name not in by_name or note.path is not None:
            by_name[name] = _filter_column(name, parameter, note, by_name, references)
        filters.append(_filter(parameter, by_name[name], note))
    return filters, list(by_name.values())


def _column_name(parameter: ListParameter, columns: dict[str, Column]) -> str:
    """Return the column of the same name, or of its singular for a list of values."""
    name = parameter.column
    if parameter.shape.item and name not in columns and name.endswith("s"):
        return name[:-1]
    return name


def _filter_column(
    name: str,
    parameter: ListParameter,
    note: FilterNote,
    columns: dict[str, Column],
    references: References,
) -> Column:
    shape = parameter.shape.item or parameter.shape
    if parameter.range:
        shape = Shape(scalars=frozenset({"int"}))
    kind = scalar_kind(shape, name, parameter.member.description)
    targets = note.references
    if not targets and kind is Kind.TEXT:
        targets = references.named(parameter.steps[-1], parameter.member, shape)
    if targets:
        kind = Kind.REFERENCE
    path = note.path
    if path is None:
        nested = len(parameter.steps) > 1 and parameter.steps[0] in columns
        path = parameter.steps if nested else ()
    values = (
        tuple(value for value in shape.literals if value not in note.not_values) if kind is Kind.TEXT else ()
    )
    return Column(name, kind, path, True, targets, values, note.aggregate)


def _filter(parameter: ListParameter, column: Column, note: FilterNote) -> Filter:
    shape = parameter.shape.item or parameter.shape
    single = bool(parameter.shape.scalars)
    if column.kind is Kind.JSON:
        raise ValueError(f"{parameter.name} would select on {column.name}, which is jsonb")
    if parameter.range and not column.path:
        raise ValueError(f"{parameter.name} selects a range of a value that the object lacks: leave it out")
    values = note.values or tuple(value for value in shape.literals if value and value not in note.not_values)
    if column.values:  # other values that the list accepts select nothing
        values = tuple(value for value in values if value in column.values)
    return Filter(
        parameter=parameter.name,
        column=column.name,
        equal=single,
        range=parameter.range,
        any_of=parameter.shape.item is not None,
        required=note.required or (parameter.required and not note.defaulted),
        values=values,
        exact=parameter.steps[-1] not in NEVER_EXACT if note.exact is None else note.exact,
        extra_parameters=parameter.extra_parameters + note.extra_parameters,
        substitute=note.substitute,
        reveals=note.reveals,
        max_values=note.max_values,
    )
