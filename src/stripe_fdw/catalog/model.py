"""What Stripe has, as values: resources, their columns, filters and operations.

A *resource* becomes one table. Everything here is plain data, loaded from the built file; nothing in it
decides how a query is answered (that is ``fdw.plan``) or what is sent (``fdw.modify``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Final


class Kind(StrEnum):
    """How a JSON value of Stripe's becomes a Postgres value."""

    TEXT = "text"
    INTEGER = "integer"  # bigint; amounts are in the currency's minor unit
    BOOLEAN = "boolean"
    DECIMAL = "decimal"  # a decimal string of Stripe's -> numeric
    FLOAT = "float"  # a JSON number with a fraction -> double precision
    TIME = "time"  # seconds since the epoch -> timestamptz
    REFERENCE = "reference"  # an id, or the expanded object whose id is taken -> text
    JSON = "json"  # anything nested -> jsonb

    @property
    def postgres_type(self) -> str:
        """The column's type, as format_type() prints it."""
        return _POSTGRES_TYPES[self]


_POSTGRES_TYPES: Mapping[Kind, str] = {
    Kind.TEXT: "text",
    Kind.INTEGER: "bigint",
    Kind.BOOLEAN: "boolean",
    Kind.DECIMAL: "numeric",
    Kind.FLOAT: "double precision",
    Kind.TIME: "timestamp with time zone",
    Kind.REFERENCE: "text",
    Kind.JSON: "jsonb",
}


class Freshness(StrEnum):
    """How a copy of the resource is kept true."""

    EVENTS = "events"  # Stripe tells of each change
    APPEND = "append"  # objects never change: new ones by created
    RESCAN = "rescan"  # nobody tells: list again


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the resource's table.

    ``path`` says where the value lies in the object, outermost first: usually ``(name,)``. It is empty where
    the object does not know it: a filter without a field, filled from the query's own qual. A path step into
    a list (``("items", "data", "price", "id")``) yields every value found; the column then holds the first,
    unless ``aggregate`` says which.
    """

    name: str
    kind: Kind
    path: tuple[str, ...]
    nullable: bool = True
    references: tuple[str, ...] = ()  # names of the resources an id may belong to
    values: tuple[str, ...] = ()  # the literals that Stripe's types list, for enums
    aggregate: str = ""  # "min" or "max": which of the values that a path through a list yields
    units_per_second: int = 1  # of Kind.TIME: 1000 where Stripe counts milliseconds
    full_list_table: str = (
        ""  # of an embedded list, cut after its first objects: the table that has all of them
    )


@dataclass(frozen=True, slots=True)
class Filter:
    """A parameter of the list operation that selects rows by a column."""

    parameter: str  # as sent: "customer", "created", "recurring[interval]", "shipping[status]"
    column: str
    equal: bool = True  # parameter=value
    range: bool = False  # parameter[gt|gte|lt|lte]=value
    any_of: bool = False  # parameter[]=a&parameter[]=b: any of them
    required: bool = False
    values: tuple[str, ...] = ()  # literals accepted; other values match nothing or are not pushed
    exact: bool = True  # False: returns more rows than the qual selects (then it is checked again)
    extra_parameters: tuple[
        tuple[str, str], ...
    ] = ()  # sent along, in place of a default: owner[type]=customer
    max_values: int = 0  # how many values ``any_of`` takes at most in one request; 0 where no limit is known


@dataclass(frozen=True, slots=True)
class Parent:
    """A path parameter of a list inside an object: ``/v1/invoices/{invoice}/lines`` has ``invoice``."""

    parameter: str
    column: str
    resource: str  # whose ids it takes; "" where no table lists them


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter that an operation accepts in its body."""

    name: str
    kind: Kind
    required: bool = False
    values: tuple[str, ...] = ()
    unsettable: bool = False  # accepts the empty string, which clears it
    is_list: bool = False  # a list
    shape: str = ""  # names what an object takes, or each object of a list; "" where anything may stand
    # Parameters beside it that start anew when it is sent without them, and with which value.
    resets: tuple[tuple[str, str], ...] = ()
    replaced_whole: bool = False  # of an object: Stripe replaces it, so what it shall keep is sent too

    @property
    def fields(self) -> tuple[Parameter, ...]:
        """What the object takes, or each object of the list; () where anything may stand there."""
        from stripe_fdw.catalog.parameter_shapes import fields

        return fields(self.shape) if self.shape else ()

    def accepts(self, column: Column) -> bool:
        """Whether it is the column's value that is sent: jsonb for an object or list, else one value.

        A parameter may be something else than the field of its name (a subscription's
        ``billing_cycle_anchor`` is an object on update, a charge's ``application_fee`` an amount); then only
        ``_params`` can send it.
        """
        if self.name != column.name or (self.kind is Kind.JSON) != (column.kind is Kind.JSON):
            return False
        return column.kind is not Kind.REFERENCE or self.kind is Kind.TEXT


@dataclass(frozen=True, slots=True)
class Operation:
    """One of Stripe's operations: ``finalize_invoice`` is POST /v1/invoices/{invoice}/finalize."""

    name: str  # the SDK's method: create, update, delete, retrieve, search, list, finalize_invoice
    method: str  # GET, POST, DELETE
    path: str  # the template
    parameters: tuple[Parameter, ...] = ()
    one_of: tuple[tuple[str, ...], ...] = ()  # of each group at least one parameter must be given


@dataclass(frozen=True, slots=True)
class Transition:
    """A change of a column that is an operation: an invoice whose ``status`` becomes ``open`` is finalized.

    They are tried in the resource's order; the first whose column, value, sources and needs fit is the one.
    Several operations may lead to one value, each from other states.
    """

    column: str
    # The state it leads to, "true" or "false" for a boolean column, None for NULL, ANY_VALUE for whatever is
    # written. A word that is no value of the column asks for an operation that leaves it as it is.
    value: str | None
    operation: Operation
    sources: tuple[str, ...] = ()  # the values of the column from which Stripe accepts it; () for any
    value_parameter: str = ""  # the parameter that gets the value written: "customer" of attach
    extra_parameters: tuple[tuple[str, str], ...] = ()  # sent along always
    before_update: bool = False  # before the update of other columns, not after it
    # Columns that decide whether the operation leads there, each with the values with which it does.
    conditions: tuple[tuple[str, tuple[str, ...]], ...] = ()
    ends_object: bool = False  # of a row that Stripe keeps: what who deletes it may want


ANY_VALUE: Final = "*"  # as a transition's value


@dataclass(frozen=True, slots=True)
class WritePath:
    """Where a column's value goes in create and update, when that is not the parameter of its name.

    The path ``("promotion", "coupon")`` is sent as ``promotion[coupon]``; a number is a place in a list.
    """

    column: str
    path: tuple[str, ...]
    extra_parameters: tuple[tuple[str, str], ...] = ()  # sent along: promotion[type]=coupon
    on_create: bool = True  # whether creation takes it
    on_update: bool = True  # whether an update takes it


@dataclass(frozen=True)
class Resource:
    """One Stripe object and its table."""

    name: str  # the table: "checkout_session"
    object: str  # the API's: "checkout.session"
    area: str  # a remote schema for IMPORT FOREIGN SCHEMA: "billing", "payments"
    list_path: str  # "/v1/subscriptions", "/v1/invoices/{invoice}/lines"
    columns: tuple[Column, ...]
    filters: tuple[Filter, ...] = ()
    parents: tuple[Parent, ...] = ()
    defaults: tuple[tuple[str, str], ...] = ()  # parameters that undo list defaults which hide rows
    # Rows that no value of ``defaults`` shows beside the others: each entry is one more list to read, with
    # these parameters in place of the defaults of the same name. The lists share no row; one that a pushed
    # filter contradicts (another value for its parameter) holds nothing and need not be read.
    further_lists: tuple[tuple[tuple[str, str], ...], ...] = ()
    retrieve: Operation | None = None  # by id (and parents)
    create: Operation | None = None
    update: Operation | None = None
    delete: Operation | None = None
    operations: tuple[Operation, ...] = ()  # all others on this resource
    transitions: tuple[Transition, ...] = ()
    write_paths: tuple[WritePath, ...] = ()
    deleted_when: tuple[tuple[str, str], ...] = ()  # columns and values of rows that DELETE has dealt with
    # What to do where INSERT ("insert"), DELETE ("delete") or a change of a column is refused; {id} is the
    # row's.
    hints: tuple[tuple[str, str], ...] = ()
    search_fields: tuple[str, ...] = ()  # fields of the search API; () if there is none
    search_path: str = ""
    events: tuple[str, ...] = ()
    freshness: Freshness = Freshness.RESCAN
    events_of: str = ""  # the resource inside which these rows lie: its events tell of theirs
    newest_first: bool = True  # lists come by created, newest first
    cursor_field: str = "id"  # field whose last value continues the list: starting_after
    paged: bool = True  # accepts limit and starting_after
    id_prefix: str = ""  # "cus_": for examples and generated objects
    preview: bool = False  # computed by list_path's POST, never listed (upcoming_invoice)
    one_of: tuple[str, ...] = ()  # columns of which one must be given, where no single one is required
    notes: tuple[str, ...] = field(default=())

    @cached_property
    def column(self) -> Mapping[str, Column]:
        """Columns by name."""
        return {column.name: column for column in self.columns}

    @cached_property
    def filter(self) -> Mapping[str, Filter]:
        """Filters by the column they select on."""
        return {item.column: item for item in self.filters}

    @cached_property
    def create_paths(self) -> Mapping[str, tuple[str, ...]]:
        """The columns that creation takes, each with its parameter's path; parents stand in the URL."""
        return self._written(
            self.create, {item.column: item.path for item in self.write_paths if item.on_create}
        )

    @cached_property
    def update_paths(self) -> Mapping[str, tuple[str, ...]]:
        """The columns that an update takes, each with its parameter's path."""
        return self._written(
            self.update, {item.column: item.path for item in self.write_paths if item.on_update}
        )

    def _written(
        self, operation: Operation | None, places: Mapping[str, tuple[str, ...]]
    ) -> Mapping[str, tuple[str, ...]]:
        if operation is None:
            return {}
        parameters = {item.name: item for item in operation.parameters}
        found = {}
        for column in self.columns:
            plain = parameters.get(column.name)
            if column.name in places:
                found[column.name] = places[column.name]
            elif plain is not None and plain.accepts(column):
                found[column.name] = (column.name,)
        return found

    def __str__(self) -> str:
        return f"{self.name} ({self.list_path}, {len(self.columns)} columns)"


@dataclass(frozen=True)
class Catalog:
    """All of Stripe, at one API version."""

    api_version: str  # "2026-10-28.endive"
    sdk_version: str
    resources: tuple[Resource, ...]
    operations: tuple[Operation, ...]  # every operation of the API, for stripe_live.call
    event_types: tuple[str, ...]

    @cached_property
    def resource(self) -> Mapping[str, Resource]:
        """Resources by table name."""
        return {resource.name: resource for resource in self.resources}

    @cached_property
    def areas(self) -> tuple[str, ...]:
        """The product areas, each a remote schema."""
        return tuple(sorted({resource.area for resource in self.resources}))
