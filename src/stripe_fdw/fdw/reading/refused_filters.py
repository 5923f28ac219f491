"""Errors that Stripe answers to a filter: which mean that no row matches, and which a wider list avoids."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import unquote

from msgspec import Struct
from msgspec.structs import replace

from stripe_fdw import sqlstates
from stripe_fdw.api import pages
from stripe_fdw.api.request import Request
from stripe_fdw.catalog.model import Column, Filter, Kind, Resource
from stripe_fdw.errors import ApiError, NotFoundError, StripeFdwError
from stripe_fdw.fdw.planning.pushdown import parameter_text
from stripe_fdw.fdw.reading.extraction import Object, value_of
from stripe_fdw.fdw.schema.table_names import TableNames
from stripe_fdw.text_limits import MAX_NAME_CHARACTERS, excerpt

_UNKNOWN_VALUE = "must be one of"  # in Stripe's message about a value that the parameter does not have
_OF_ACCOUNT = "/v1/accounts/{account}"
_RANGE_SUFFIXES = ("[gt]", "[gte]", "[lt]", "[lte]")


class WiderList(Struct, frozen=True):
    """A list without the filter that Stripe refused, and the values that its objects are filtered by here."""

    request: Request
    column: Column
    values: frozenset[str]  # empty: the filter was a range, which Postgres checks

    def matches(self, item: Object) -> bool:
        """Return True if the object has one of the values, so that the filter would have let it pass."""
        value = value_of(self.column, item)
        return not self.values or (value is not None and parameter_text(value) in self.values)


def is_missing_reference(error: NotFoundError, request: Request) -> bool:
    """Return True if the object that is missing is one that a qual named: then no row matches.

    A missing cursor is an object that no qual named.
    """
    if pages.cursor_is_gone(error):
        return False
    if request.path != request.endpoint:
        return True
    return any(error.param == name for name, _ in request.params)


def preview_error(
    request: Request, resources: Iterable[Resource], names: TableNames
) -> StripeFdwError | None:
    """Return the error for a list inside a preview that Stripe does not list; None if it is another list.

    ``names`` are those of the table that is read.
    """
    segments = [unquote(segment) for segment in request.path.split("/")]
    for preview in resources:
        if preview.preview and any(_is_preview(segment, preview.id_prefix) for segment in segments):
            needed = preview.one_of[0]
            table, items = names.qualified(preview.name), segments[-1]
            query = f"SELECT item FROM {table}, jsonb_array_elements({items} -> 'data') AS item"  # noqa: S608 - shown
            return StripeFdwError(
                f"Stripe does not list the {items} of a preview",
                detail=f"GET {excerpt(request.path, MAX_NAME_CHARACTERS)} answered 404.",
                hint=f"The preview itself has the first of them: {query} WHERE {needed} = '...';",
                sqlstate=sqlstates.FEATURE_NOT_SUPPORTED,
            )
    return None


def is_unknown_account(error: ApiError, request: Request, own_account: str | None) -> bool:
    """Return True if a qual names a connected account that does not exist: then no row matches.

    Stripe does not say whether the account exists, and answers 403. An error about the account for which
    the request was made (``own_account``) is another one.
    """
    account = unquote(request.path.split("/")[3]) if request.endpoint.startswith(_OF_ACCOUNT) else None
    return (
        error.code == "account_invalid"
        and account is not None
        and account != own_account
        and (own_account is None or own_account not in error.message)
    )


def no_object_can_match(error: ApiError, request: Request, resource: Resource) -> bool:
    """Return True if Stripe refused a value of a filter, and no object can have that value.

    That is so for ``Invalid type: must be one of …``, if the catalog does not know the value either. Other
    errors may be about anything, such as two parameters that exclude each other. (A value that is the id of
    no object is another error, ``resource_missing``: see ``is_missing_reference``.)
    """
    refused, sent = _refused_filter(error, request, resource)
    column = resource.column.get(refused.column) if refused else None
    return (
        error.status == 400
        and error.type == "invalid_request_error"
        and _UNKNOWN_VALUE in error.message.lower()
        and refused is not None
        and refused.equal
        and refused.exact
        and column is not None
        and column.kind in (Kind.TEXT, Kind.REFERENCE)
        and not any(value in column.values or (name, value) in resource.defaults for name, value in sent)
    )


def without_refused_filter(error: ApiError, request: Request, resource: Resource) -> WiderList | None:
    """Return the list without the filter that the error names; None if the filter cannot be left out.

    A value that Stripe refuses to filter by is one that an object may have all the same.
    """
    refused, sent = _refused_filter(error, request, resource)
    column = resource.column.get(refused.column) if refused else None
    if error.status != 400 or refused is None or refused.required or column is None or not column.path:
        return None
    dropped = {*(name for name, _ in sent), *(name for name, _ in refused.extra_parameters)}
    remaining = tuple(item for item in request.params if item[0] not in dropped)
    defaults = tuple(item for item in resource.defaults if item[0] in dropped)
    wider = replace(request, params=(*defaults, *remaining))
    values = frozenset(value for name, value in sent if not name.endswith(_RANGE_SUFFIXES))
    return None if wider == request else WiderList(wider, column, values)


def _refused_filter(
    error: ApiError, request: Request, resource: Resource
) -> tuple[Filter | None, list[tuple[str, str]]]:
    """Return the filter that the error names, and the parameters by which the request sent it."""
    for item in resource.filters:
        if error.param is None or not _belongs_to(error.param, item):
            continue
        sent = [(name, value) for name, value in request.params if _belongs_to(name, item)]
        if sent:
            return item, sent
    return None, []


def _belongs_to(parameter: str, item: Filter) -> bool:
    """Return True for a parameter of the filter, such as ``created[gte]`` or ``lookup_keys[0]``."""
    suffix = parameter.removeprefix(item.parameter)
    is_prefixed = parameter.startswith(item.parameter)
    return is_prefixed and (suffix in ("", *_RANGE_SUFFIXES) or suffix[1:-1].isdigit())


def _is_preview(segment: str, prefix: str) -> bool:
    """Whether a segment of a path is a preview's id, or the word that stands for all: ``upcoming``."""
    return segment.startswith(prefix) or prefix.startswith(f"{segment}_")
