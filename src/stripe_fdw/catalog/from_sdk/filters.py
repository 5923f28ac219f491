"""The parameters of a list operation as filters, and the columns that only a filter knows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

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
        """As it is sent."""
        return self.steps[0] + "".join(f"[{step}]" for step in self.steps[1:])

    @property
    def column(self) -> str:
        """The column it is about, unless the overlay says otherwise."""
        return "_".join(self.steps)


def list_parameters(parameters: Class | None, steps: tuple[str, ...] = ()) -> Iterator[ListParameter]:
    """All parameters that select rows, nested ones flattened."""
    if parameters is None:
        return
    shapes = {name: read_shape(item.annotation, parameters) for name, item in parameters.members.items()}
    kinds = shapes["type"].literals if "type" in shapes and shapes["type"].required else ()
    for name, member in parameters.members.items():
        shape = shapes[name]
        here = (*steps, name)
        if not steps and name in PAGING:
            continue
        bounded = [item for item in shape.classes if set(item.members) <= _BOUNDS]
        if shape.classes and not bounded:
            for item in shape.classes:
                yield from list_parameters(item, here)
            continue
        also = ((f"{steps[0]}[type]", name),) if steps and name in kinds else ()
        yield ListParameter(here, member, shape, shape.required and not steps, bool(bounded), also)


def read_filters(
    table: str, parameters: Class | None, columns: list[Column], references: References
) -> tuple[list[Filter], list[Column]]:
    """The filters of a table's list, and its columns with those added that only filters know."""
    known = {column.name: column for column in columns}
    filters = []
    for parameter in list_parameters(parameters):
        note = FILTERS.get((table, parameter.name), FilterNote())
        if note.left_out or parameter.name in ANY_FILTER_LEFT_OUT:
            continue
        name = note.column or _column_name(parameter, known)
        if name not in known or note.path is not None:
            known[name] = _filter_column(name, parameter, note, known, references)
        filters.append(_filter(parameter, name, known[name], note))
    return filters, list(known.values())


def _column_name(parameter: ListParameter, known: dict[str, Column]) -> str:
    """The field of the same name; for a list of values, the field whose plural it is."""
    name = parameter.column
    if parameter.shape.item and name not in known and name.endswith("s"):
        return name[:-1]
    return name


def _filter_column(
    name: str,
    parameter: ListParameter,
    note: FilterNote,
    known: dict[str, Column],
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
        nested = len(parameter.steps) > 1 and parameter.steps[0] in known
        path = parameter.steps if nested else ()
    values = (
        tuple(value for value in shape.literals if value not in note.not_values) if kind is Kind.TEXT else ()
    )
    return Column(name, kind, path, True, targets, values, note.aggregate)


def _filter(parameter: ListParameter, column: str, known: Column, note: FilterNote) -> Filter:
    shape = parameter.shape.item or parameter.shape
    single = bool(parameter.shape.scalars)
    if known.kind is Kind.JSON:
        raise ValueError(f"{parameter.name} would select on {column}, which is jsonb")
    if parameter.range and not known.path:
        raise ValueError(f"{parameter.name} selects a range of what the object does not say: leave it out")
    values = note.values or tuple(value for value in shape.literals if value and value not in note.not_values)
    if known.values:  # what the list takes beside the column's own values selects nothing
        values = tuple(value for value in values if value in known.values)
    made = Filter(
        parameter=parameter.name,
        column=column,
        equal=single,
        range=parameter.range,
        any_of=parameter.shape.item is not None,
        required=parameter.required and not note.defaulted,
        values=values,
        exact=parameter.steps[-1] not in NEVER_EXACT if note.exact is None else note.exact,
        extra_parameters=parameter.extra_parameters,
        max_values=note.max_values,
    )
    return replace(made, extra_parameters=made.extra_parameters + note.extra_parameters)
