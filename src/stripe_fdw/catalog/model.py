"""The catalog's values: resources with their columns, filters, operations and transitions.

A *resource* becomes one foreign table. All of this is plain data, read from the built files. How a query is
answered is decided in ``fdw.planning``, and which requests a write needs in ``fdw.writing.plan``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from typing import Final

from msgspec import Struct


class Kind(StrEnum):
    """Kinds of JSON values, each with one Postgres type."""

    TEXT = "text"
    INTEGER = "integer"  # bigint; amounts are in the currency's minor unit
    BOOLEAN = "boolean"
    DECIMAL = "decimal"  # a number that Stripe sends as a string -> numeric
    FLOAT = "float"  # a JSON number with a fraction -> double precision
    TIME = "time"  # a Unix timestamp -> timestamptz
    TIMESTAMP = "timestamp"  # a time as text (RFC 3339), with milliseconds: in version 2 of the API
    REFERENCE = "reference"  # an id, or the expanded object, whose id is taken -> text
    JSON = "json"  # an object or a list -> jsonb

    @property
    def postgres_type(self) -> str:
        """Return the type's name as format_type() prints it."""
        return _POSTGRES_TYPES[self]


_POSTGRES_TYPES: Mapping[Kind, str] = {
    Kind.TEXT: "text",
    Kind.INTEGER: "bigint",
    Kind.BOOLEAN: "boolean",
    Kind.DECIMAL: "numeric",
    Kind.FLOAT: "double precision",
    Kind.TIME: "timestamp with time zone",
    Kind.TIMESTAMP: "timestamp with time zone",
    Kind.REFERENCE: "text",
    Kind.JSON: "jsonb",
}


class Freshness(StrEnum):
    """Ways to keep a copy of the resource up to date."""

    EVENTS = "events"  # Stripe sends an event for every change
    APPEND = "append"  # objects never change; new ones are found by created
    RESCAN = "rescan"  # changes send no event, so the list is read again


class Column(Struct, frozen=True):
    """A column of the resource's table.

    ``path`` holds the keys that lead to the value in the object, outermost first: usually ``(name,)``. It is
    empty where the object has no such field: a filter without a field, whose value is the query's own. A key
    that leads through a list (``("items", "data", "price", "id")``) yields the values of all its objects; the
    column then holds the first one, or the one that ``aggregate`` chooses.
    """

    name: str
    kind: Kind
    path: tuple[str, ...]
    nullable: bool = True
    references: tuple[str, ...] = ()  # names of the resources an id may belong to
    values: tuple[str, ...] = ()  # the literals that Stripe's types list, for enums
    aggregate: str = ""  # "min" or "max" of the values that a path through a list yields
    units_per_second: int = 1  # of Kind.TIME: 1000 where Stripe counts milliseconds
    # Of a list of which the object holds only the first entries: the table that has all of them.
    full_list_table: str = ""
    expand: str = ""  # what a request has to expand for the object to hold all of the value: "tiers"
    expanded_in_lists: bool = True  # False where Stripe expands it only when it retrieves one object
    is_secret: bool = False  # never asked for unless it is named: a whole row does without it

    @property
    def is_selective(self) -> bool:
        """True if few objects share a value of the column: ids and free texts, unlike states and flags."""
        return self.kind is Kind.REFERENCE or (self.kind is Kind.TEXT and not self.values)


class Filter(Struct, frozen=True):
    """A parameter of the list operation that selects rows by a column."""

    parameter: str  # as sent: "customer", "created", "recurring[interval]", "shipping[status]"
    column: str
    equal: bool = True  # parameter=value
    range: bool = False  # parameter[gt|gte|lt|lte]=value
    any_of: bool = False  # parameter[]=a&parameter[]=b: rows with any of these values
    required: bool = False
    values: tuple[str, ...] = ()  # the literals accepted; other values match nothing or are not pushed
    exact: bool = True  # False: the list may hold more rows than the qual selects, so they are checked again
    extra_parameters: tuple[
        tuple[str, str], ...
    ] = ()  # sent with it instead of a default: owner[type]=customer
    substitute: str = ""  # where it is required: a column whose filter may stand for it
    reveals: bool = False  # the list hides some of the objects that it shows with this filter
    max_values: int = 0  # the most values that ``any_of`` takes in one request; 0 where no limit is known


class Parent(Struct, frozen=True):
    """A path parameter of a list inside an object: ``/v1/invoices/{invoice}/lines`` has ``invoice``."""

    parameter: str
    column: str
    resource: str  # whose ids it takes; "" where no table lists them


def _no_fields(_shape: str) -> tuple[Parameter, ...]:
    return ()


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter that an operation accepts in its body."""

    name: str
    kind: Kind
    required: bool = False
    values: tuple[str, ...] = ()
    unsettable: bool = False  # accepts the empty string, which clears it
    is_list: bool = False
    shape: str = ""  # names the fields of an object, or of each object of a list; "" where any are accepted
    # Parameters next to it that Stripe resets when it is sent without them, each with the value they get.
    resets: tuple[tuple[str, str], ...] = ()
    replaced_whole: bool = False  # of an object: Stripe replaces all of it, so keys to keep are sent too
    # Null unsets it, and the empty string is a value: in version 2 of the API. The loader sets it.
    null_unsets: bool = field(default=False, repr=False, compare=False)
    # Returns the fields of a shape. The loader passes the function that knows the built file.
    fields_of_shape: Callable[[str], ParameterFields] = field(default=_no_fields, repr=False, compare=False)

    @property
    def fields(self) -> ParameterFields:
        """Return the fields of the object, or of each object of the list; () where any are accepted."""
        fields = self.fields_of_shape(self.shape) if self.shape else ()
        return tuple(replace(item, null_unsets=True) for item in fields) if self.null_unsets else fields

    def accepts(self, column: Column) -> bool:
        """Return True if the column's value can be sent as this parameter.

        That takes the same name, and for jsonb an object or a list. A parameter may differ from the field of
        its name: a subscription's ``billing_cycle_anchor`` is an object on update, a charge's
        ``application_fee`` an amount. Then only ``_params`` can send it.
        """
        if self.name != column.name or (self.kind is Kind.JSON) != (column.kind is Kind.JSON):
            return False
        return column.kind is not Kind.REFERENCE or self.kind is Kind.TEXT


ParameterFields = tuple[Parameter, ...]
"""The fields of an object inside a request's body."""


class Operation(Struct, frozen=True):
    """An operation of Stripe's API: ``finalize_invoice`` is POST /v1/invoices/{invoice}/finalize."""

    name: str  # the SDK's method: create, update, delete, retrieve, search, list, finalize_invoice
    method: str  # GET, POST, DELETE
    path: str  # with placeholders: /v1/invoices/{invoice}
    parameters: tuple[Parameter, ...] = ()
    one_of: tuple[tuple[str, ...], ...] = ()  # groups of parameters; each needs at least one of its own


class Transition(Struct, frozen=True):
    """A change of a column that is an operation: an invoice whose ``status`` becomes ``open`` is finalized.

    The first of the resource's transitions whose column, value, sources and conditions fit is taken. Several
    operations may lead to one value, each from other states.
    """

    column: str
    # The value it leads to: "true" or "false" for a boolean column, None for NULL, ANY_VALUE for any value.
    # A value that is no state of the column's asks for an operation that leaves the state as it is.
    value: str | None
    operation: Operation
    sources: tuple[str, ...] = ()  # the values of the column from which Stripe accepts it; () for any
    value_parameter: str = ""  # the parameter that gets the value written: "customer" of attach
    extra_parameters: tuple[tuple[str, str], ...] = ()  # always sent with it
    before_update: bool = False  # sent before the update of other columns, not after it
    # Columns that decide if the operation leads there, each with the values for which it does.
    conditions: tuple[tuple[str, tuple[str, ...]], ...] = ()
    answers_object: bool = False  # it is a POST, and its response is the object
    ends_object: bool = False  # suggested where a row is deleted that Stripe keeps


ANY_VALUE: Final = "*"  # as a transition's value
VERSION_2: Final = "/v2/"  # how the paths of version 2 of the API begin
OBJECTS_OF_VERSION_2: Final = "v2."  # how the names of its objects begin


class WritePath(Struct, frozen=True):
    """The parameter that takes a column's value on create and update, where their names differ.

    The path ``("promotion", "coupon")`` is sent as ``promotion[coupon]``; a number is an index of a list.
    """

    column: str
    path: tuple[str, ...]
    extra_parameters: tuple[tuple[str, str], ...] = ()  # always sent with it: promotion[type]=coupon
    on_create: bool = True
    on_update: bool = True


class Holder(Struct, frozen=True):
    """A request whose answer has the objects of a table that has no list of its own, for a value of a column.

    A customer's discount lies in the customer: ``GET /v1/customers/{customer}`` has it as ``discount``.
    """

    column: str  # the column whose value the request takes
    path: str  # of the request: "/v1/customers/{customer}"
    parameter: str  # of the path or the query, which takes the value
    resource: str  # whose ids the column has
    is_list: bool = False  # the answer is a list, read page by page
    # The field that has the object or the list of objects, in the answer or in each object of its list; ""
    # where the answer's list is the objects themselves.
    field: str = ""
    expand: str = ""  # what the request expands, so that the field has whole objects
    extra_parameters: tuple[tuple[str, str], ...] = ()  # always sent with it
    delete: str = ""  # the path of the DELETE that takes the object out of this one, with the same parameter

    @property
    def in_path(self) -> bool:
        """Return True if the value is a part of the path."""
        return "{" + self.parameter + "}" in self.path


class Resource(Struct, frozen=True, dict=True):
    """A type of Stripe object and its table."""

    name: str  # the table: "checkout_session"
    object: str  # the API's: "checkout.session"
    area: str  # a remote schema for IMPORT FOREIGN SCHEMA: "billing", "payments"
    # "/v1/subscriptions", "/v1/invoices/{invoice}/lines"; "" where Stripe has no such list
    list_path: str
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
    deleted_when: tuple[tuple[str, str], ...] = ()  # columns and values of rows that are deleted already
    final_states: tuple[str, ...] = ()  # of the column status: an object stays in such a one
    # Hints for a refused INSERT ("insert"), DELETE ("delete"), UPDATE ("update") or change of a column.
    # DELETE and UPDATE may have one for a status ("delete paid"). {id} stands for the row's id.
    hints: tuple[tuple[str, str], ...] = ()
    search_fields: tuple[str, ...] = ()  # fields of the search API; () if there is none
    substring_fields: tuple[str, ...] = ()  # of these, those that a search finds by a part of a word
    search_path: str = ""
    events: tuple[str, ...] = ()
    freshness: Freshness = Freshness.RESCAN
    events_of: str = ""  # the resource that contains these rows and whose events report their changes
    newest_first: bool = True  # lists are ordered by created, newest first
    cursor_field: str = "id"  # field whose last value continues the list: starting_after
    paged: bool = True  # accepts limit, and starting_after or page
    page_size: int = 100  # the most objects that a page may have
    id_prefix: str = ""  # "cus_": for examples and generated objects
    preview: bool = False  # computed by list_path's POST, never listed (upcoming_invoice)
    one_of: tuple[str, ...] = ()  # columns of which one must be given, where no single one is required
    notes: tuple[str, ...] = ()
    volatile: tuple[str, ...] = ()  # columns that Stripe makes anew for each response
    listed_days: int = 0  # an older object is not listed any more; 0: all are
    # list_path answers with one object, not with a list: the account's balance, a customer's cash balance.
    single: bool = False
    wraps: str = ""  # the column whose value the answer is: the list that a summary of entitlements has
    holders: tuple[Holder, ...] = ()  # where the objects lie that Stripe shows inside others alone
    ids_in: tuple[str, ...] = ()  # columns in which ids of objects without a list lie: "setup_intent.mandate"

    @property
    def is_listed(self) -> bool:
        """Return True if Stripe has a list of the objects, of all or of those inside another object."""
        return bool(self.list_path) and not self.single and not self.preview

    @property
    def has_copy(self) -> bool:
        """True if copies may have the resource: Stripe lists its objects, and events contain them.

        Version 2 of the API reports changes by thin events, which are not applied yet.
        """
        return self.is_listed and not self.is_version_2

    @property
    def is_told_by_events(self) -> bool:
        """True if there are events for every change: those of the object, or of the one that contains it."""
        return self.freshness is Freshness.EVENTS or bool(self.events_of)

    @cached_property
    def column(self) -> Mapping[str, Column]:
        """Map names to columns."""
        return {column.name: column for column in self.columns}

    @cached_property
    def filter(self) -> Mapping[str, Filter]:
        """Map names of columns to the filters that select on them."""
        return {item.column: item for item in self.filters}

    @cached_property
    def create_paths(self) -> Mapping[str, tuple[str, ...]]:
        """Map the columns that create accepts to their parameters' paths; parents are in the URL."""
        differing = {item.column: item.path for item in self.write_paths if item.on_create}
        return self._parameter_paths(self.create, differing)

    @cached_property
    def update_paths(self) -> Mapping[str, tuple[str, ...]]:
        """Map the columns that update accepts to their parameters' paths."""
        differing = {item.column: item.path for item in self.write_paths if item.on_update}
        return self._parameter_paths(self.update, differing)

    def _parameter_paths(
        self, operation: Operation | None, differing: Mapping[str, tuple[str, ...]]
    ) -> Mapping[str, tuple[str, ...]]:
        if operation is None:
            return {}
        parameters = {item.name: item for item in operation.parameters}
        paths = {}
        for column in self.columns:
            same_name = parameters.get(column.name)
            if column.name in differing:
                paths[column.name] = differing[column.name]
            elif same_name is not None and same_name.accepts(column):
                paths[column.name] = (column.name,)
        return paths

    @property
    def is_version_2(self) -> bool:
        """True if the resource is one of version 2 of the API: other pages, times, errors and bodies."""
        return self.list_path.startswith(VERSION_2)

    def __str__(self) -> str:
        return f"{self.name} ({self.list_path}, {len(self.columns)} columns)"


class ThinEvent(Struct, frozen=True):
    """A type of thin event: it names the object that it is about, and does not contain it."""

    type: str  # "v2.core.account.created", "v1.customer.created"
    object: str  # the API's name of the object: "v2.core.account", "customer"; "" where it names none


@dataclass(frozen=True)
class Catalog:
    """All resources and operations of one version of Stripe's API."""

    api_version: str  # "2026-10-28.endive"
    sdk_version: str
    resources: tuple[Resource, ...]
    operations: tuple[Operation, ...]  # every operation of the API, for stripe_live.call
    event_types: tuple[str, ...]
    thin_events: tuple[ThinEvent, ...] = ()  # what /v2/core/events lists

    @cached_property
    def resource(self) -> Mapping[str, Resource]:
        """Map names of tables to resources."""
        return {resource.name: resource for resource in self.resources}

    @cached_property
    def areas(self) -> tuple[str, ...]:
        """The product areas in alphabetical order; each is a remote schema."""
        return tuple(sorted({resource.area for resource in self.resources}))
