"""Lists whose entries live and die with the object that holds them, such as the items of a subscription."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass

from stripe_fdw.catalog.model import Catalog, Resource
from stripe_fdw.copies.changes import note_change_statement
from stripe_fdw.copies.copied_columns import AT, AT_KEY, EVENT, EVENT_KEY, PARENT_KEY
from stripe_fdw.sql_quoting import quote_identifier, quote_literal


@dataclass(frozen=True, slots=True)
class OwnedList:
    """A list in the field ``name``, whose entries have a copy with the id of their parent in a column."""

    name: str
    entries: Resource
    parent_column: str


def owned_lists(resource: Resource, catalog: Catalog, installed: Container[str]) -> tuple[OwnedList, ...]:
    """Return the lists that objects of the resource own, of which the entries have an installed copy.

    Other lists inside objects, such as a charge's refunds, hold objects that exist without it: an object
    that such a list lacks may be anywhere.
    """
    return tuple(
        OwnedList(column.name, entries, _parent_column(entries))
        for column in resource.columns
        if column.full_list_table in installed
        for entries in [catalog.resource[column.full_list_table]]
        if entries.events_of == resource.name
    )


def owner(entries: Resource, catalog: Catalog) -> Resource | None:
    """Return the resource whose objects own the list that these objects are in; None if they are in none."""
    parent = catalog.resource.get(entries.events_of)
    if parent is None or all(column.full_list_table != entries.name for column in parent.columns):
        return None
    return parent


def refreshed_with(resources: Iterable[Resource], catalog: Catalog) -> dict[str, list[Resource]]:
    """Return the resources whose refreshes read these, each with those of them that it brings as entries."""
    refreshed: dict[str, list[Resource]] = {}
    for resource in resources:
        parent = owner(resource, catalog)
        entries = refreshed.setdefault((parent or resource).name, [])
        if parent is not None:
            entries.append(resource)
    return refreshed


def _parent_column(entries: Resource) -> str:
    if entries.parents:
        return entries.parents[0].column
    return next(item.column for item in entries.filters if item.required)


def apply_entries(
    resource: Resource, lists: tuple[OwnedList, ...], copies: str, objects: str
) -> Iterator[str]:
    """Yield the PL/pgSQL statements that apply the lists in applied objects.

    An entry that a complete list lacks is deleted. A list of which ``has_more`` is true shows only what is in
    it, and is noted as incomplete. ``objects`` is the name of the variable with the objects that hold the
    lists, as ``jsonb[]``; the entries have their evidence.
    """
    literals = ", ".join(map(quote_literal, (copies, resource.name)))
    for item in lists:
        path = quote_literal(f'$."{item.name}".data[*] ? (@.id.type() == "string")')
        entries = f"jsonb_path_query(o, {path}) v"
        apply = f"{quote_identifier(copies)}.{quote_identifier(f'_apply_{item.entries.name}')}"
        keys = (AT_KEY, EVENT_KEY)
        carried = ", ".join([f"'{PARENT_KEY}', o ->> 'id'", *(f"'{key}', o -> '{key}'" for key in keys)])
        yield f"""
    perform from {apply}(
        array(select v || jsonb_build_object({carried}) from unnest({objects}) o, {entries}),
        given_account, given_at, given_event, null);"""
        ids = f"array(select v ->> 'id' from {entries})"
        yield _delete(item, copies, objects, ids, f"o -> {quote_literal(item.name)} -> 'has_more' = 'false'")
        name = quote_literal(item.name)
        yield f"""
    insert into stripe_sync.incomplete (schema, resource, id, account, list, known_at)
    select {literals}, o ->> 'id', given_account, {name}, {AT}
      from unnest({objects}) o
     where o -> {name} -> 'has_more' = 'true'
     order by o ->> 'id'
        on conflict (schema, resource, id, account, list) do update set known_at = excluded.known_at;
    delete from stripe_sync.incomplete i
     using unnest({objects}) o
     where (i.schema, i.resource) = ({literals}) and i.id = o ->> 'id' and i.account = given_account
       and i.list = {name} and o -> {name} -> 'has_more' = 'false';"""


def delete_entries(lists: tuple[OwnedList, ...], copies: str, objects: str) -> Iterator[str]:
    """Yield the PL/pgSQL statements that mark the entries of deleted objects, which a variable has."""
    for item in lists:
        yield _delete(item, copies, objects, "'{}'::text[]", "true")


def _delete(item: OwnedList, copies: str, objects: str, kept: str, condition: str) -> str:
    """Return the statement that marks entries of objects as deleted, with the evidence of the object.

    Entries are found by an array of ids: a join alone would read the whole table, however few there are, and
    so would an index on all rows of the account, or one that has them in their order.

    Args:
        item: the list that holds the entries.
        copies: the schema of the copies.
        objects: the variable with the objects.
        kept: the expression for the ids of the entries that an object ``o`` still has.
        condition: says of which objects ``o`` that is known.
    """
    table = f"{quote_identifier(copies)}.{quote_identifier(item.entries.name)}"
    parent_column = quote_identifier(item.parent_column)
    return f"""
    with parents as materialized (
        select o ->> 'id' as id, {AT} as at, {EVENT} as event, {kept} as kept
          from unnest({objects}) o
         where {condition}
    ), gone as materialized (
        select t.id, p.at, p.event
          from {table} t
          join parents p on p.id = t.{parent_column}
         where t.id = any (array(
                select c.id
                  from {table} c
                 where c.{parent_column} = any (array(select id from parents))
                   and c._account is not distinct from given_account))
           and t._account = given_account and not t._deleted and (t._as_of is null or p.at >= t._as_of)
           and t.id <> all (p.kept)
         order by t.id
           for update of t
    )
    update {table} t
       set _deleted = true, (_event, _as_of) = (select g.event, g.at from gone g where g.id = t.id)
     where t.id = any (array(select id from gone)) and t._account = given_account;
    if found then
        {note_change_statement(copies, item.entries)}
    end if;"""
