"""The SQL functions that write copies: one for each resource, generated from the catalog.

``apply`` is the only writer of a copy, whatever brought the objects. It decides under the row's lock which
evidence is later, so that two sessions may apply the same object at the same time in any order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from stripe_fdw.catalog.model import Resource
from stripe_fdw.copies.changes import note_change_statement
from stripe_fdw.copies.copied_columns import (
    AT,
    AT_KEY,
    BEFORE_KEY,
    CARRIED,
    EVENT,
    EVENT_KEY,
    PARENT,
    copied_columns,
    copy_key_expression,
    expanded_columns,
    record_definition,
    secret_fields,
    with_kept_fields,
)
from stripe_fdw.copies.owned_lists import OwnedList, apply_entries, delete_entries
from stripe_fdw.database.schemas import Schemas
from stripe_fdw.sql_quoting import quote_identifier, quote_literal

SAME_TIME_SECONDS: Final = 2  # two pieces of evidence this close are not ordered by their times alone
# A plan is kept from when a table was empty, and does not know the sizes of arrays: left to itself it would
# read whole tables, or join every object with every row. The rest seems so dear that it would be compiled.
_SETTINGS: Final = (
    "language plpgsql volatile parallel unsafe set search_path = pg_catalog, pg_temp"
    " set enable_seqscan = off set enable_nestloop = off set jit = off"
)
_PARAMETERS: Final = (
    "given_objects jsonb[], given_account text, given_at timestamptz, given_event text, given_parent text"
)


def create_functions(
    resource: Resource, schemas: Schemas, lists: tuple[OwnedList, ...] = ()
) -> Iterator[str]:
    """Yield the statements that create or replace the resource's functions.

    They apply the lists that its objects own as well.
    """
    apply, strict = (
        f"{quote_identifier(schemas.copies)}.{quote_identifier(f'_{verb}_{resource.name}')}"
        for verb in ("apply", "write")
    )
    for name, parameters, body in (
        (strict, f"{_PARAMETERS}, given_fields jsonb[]", _write_body(resource, schemas, lists)),
        (apply, _PARAMETERS, _apply_body(resource, schemas, apply, strict)),
    ):
        yield (
            f"create or replace function {name}({parameters}) returns table (id text, outcome text)"
            f" {_SETTINGS} as {quote_literal(body)}"
        )
        yield f"revoke execute on function {name} from public"


def _apply_body(resource: Resource, schemas: Schemas, apply: str, strict: str) -> str:
    """Return the body of the function that applies objects, whatever their fields hold.

    An object with a field that does not fit its column is found by halving. It keeps its row: that column is
    NULL and the object is noted, while ``_raw`` has the field as it came.
    """
    fields = ", ".join(
        quote_literal(f"{column.name} {column.type_name}")
        for column in copied_columns(resource)
        if column.record_type and column.name != "id"
    )
    copies, name = quote_literal(schemas.copies), quote_literal(resource.name)
    key, key_of_first = (copy_key_expression(resource, item) for item in ("o", "given_objects[1]"))
    evidence = "given_account, given_at, given_event, given_parent"
    return f"""
#variable_conflict use_column
declare
    half integer := cardinality(given_objects) / 2;
    cleaned jsonb;
    lost text[];
begin
    if cardinality(given_objects) = 0 then
        return;
    end if;
    begin
        return query select * from {strict}(given_objects, {evidence}, given_objects);
        if exists (select from stripe_sync.misfit m where m.schema = {copies} and m.resource = {name}) then
            delete from stripe_sync.misfit m using unnest(given_objects) o
             where m.schema = {copies} and m.resource = {name}
               and m.id = {key} and m.account = given_account;
        end if;
        return;
    exception when data_exception then
        null;
    end;
    if half > 0 then
        return query select * from {apply}(given_objects[:half], {evidence});
        return query select * from {apply}(given_objects[half + 1:], {evidence});
        return;
    end if;
    select c.cleaned, c.lost into cleaned, lost
      from stripe_sync.without_misfits(given_objects[1], array[{fields}]) c;
    insert into stripe_sync.misfit as m (schema, resource, id, account, columns, at)
    values ({copies}, {name}, {key_of_first}, given_account, lost, given_at)
    on conflict (schema, resource, id, account) do update set columns = excluded.columns, at = excluded.at;
    return query select * from {strict}(given_objects, {evidence}, array[cleaned]);
end"""


def _write_body(resource: Resource, schemas: Schemas, lists: tuple[OwnedList, ...]) -> str:
    """Return the body of the function that writes objects whose ``fields`` fit their columns.

    Rows are locked in the order of their ids, so that sessions with the same objects wait for each other and
    do not deadlock. A row that another session inserts meanwhile is met by ON CONFLICT, which decides alike.
    """
    table = schemas.table(resource)
    copies, name = quote_literal(schemas.copies), quote_literal(resource.name)
    columns = copied_columns(resource)
    names = [quote_identifier(column.name) for column in columns]
    expressions = ", ".join("i.id" if column.name == "id" else column.expression for column in columns)
    key = copy_key_expression(resource, "o")
    # Objects stay in their arrays, and are taken from there by their position: they are large to be sorted.
    # OFFSET has each taken once and not for each mention of it.
    internal = (*secret_fields(resource), *CARRIED)
    raw = _without_fields("raw", internal)
    before = _without_fields(f"(raw || (raw -> '{BEFORE_KEY}'))", internal)
    objects = "lateral (select given_objects[i.position] as raw, given_fields[i.position] as o offset 0) e"
    # Of what Stripe sends only on request, an object that came without it keeps what the row has.
    expanded = expanded_columns(resource)
    incoming_raw, new_raw, before = (
        with_kept_fields(each, expanded) for each in (raw, "excluded._raw", before)
    )
    values = {name: f"excluded.{name}" for name in names if name != '"id"'}
    for column in expanded:
        values[quote_identifier(column.name)] = f"nullif({new_raw} -> {quote_literal(column.name)}, 'null')"
    updated = ", ".join(f"{name} = {value}" for name, value in values.items())
    # The lists of the objects that are applied, and of no others, are applied with them.
    applied = ", array_agg(given_objects[i.position]) filter (where w.id is not null)" if lists else ""
    entries = "".join(apply_entries(resource, lists, schemas.copies, "_applied"))
    # A complete list that is later did not have the object: either it is deleted, or the list hides it.
    unlisted = """union all
        select i.id, i._parent, i._at
          from incoming i
          left join locked l on l.id = i.id
         where i._at <= _confirmed_at and (l.id is null or (l.was_deleted and not l.is_same))"""
    noted = note_change_statement(schemas.copies, resource)
    entries_of_deleted = "".join(delete_entries(lists, schemas.copies, "_stubs"))
    return f"""
#variable_conflict use_column
declare
    _given_ids text[] := array(select {key} from unnest(given_objects) o);
    _ids text[];
    _outcomes text[];
    _applied jsonb[];
    _stubs jsonb[];
    _confirmed_at timestamptz;
    _is_open boolean;
begin
    select r.confirmed_at, r.holder is not null or r.position is not null into _confirmed_at, _is_open
      from stripe_sync.run r
     where r.schema = {copies} and r.resource = {name} and r.account = given_account;
    if _is_open then
        -- What the run has confirmed is read once the rows are locked: it does so under their locks.
        perform from {table} t
          where t.id = any (_given_ids) and t._account = given_account
          order by t.id
            for update;
    end if;
    with incoming as materialized (
        select distinct on ({key}) {key} as id, position, {PARENT} as _parent, {AT} as _at, {EVENT} as _event
          from unnest(given_objects) with ordinality as e(o, position)
         where {_IS_STUB} is not true
         order by {key}, position desc
    ), locked as materialized (
        select t.id, i._parent, i._at, is_same, t._deleted as was_deleted,
               {_known_at(resource, schemas)} as _as_of,
               -- The event follows upon the one that the row came from: it has the state that was before.
               coalesce(t._event is not null and not t._deleted
                        and (raw ? '{BEFORE_KEY}' and i._at >= t._as_of
                             -- An event that is much later is applied, whatever was before it.
                             and (_is_open or i._at <= greatest(t._as_of, _confirmed_at)
                                                       + interval '{SAME_TIME_SECONDS} s')
                             and t._raw = {before}
                             -- Two events of one second have no known order: their ranks decide, for now.
                             or i._event is not null and i._at = t._as_of
                                and {_rank(resource, schemas, "raw", "i._event", "i._at")}
                                    > {_rank(resource, schemas, "t._raw", "t._event", "t._as_of")}),
                        false) as is_next
          from {table} t
          join incoming i on i.id = t.id
         cross join {objects}
         cross join lateral (select t._raw = {incoming_raw} and not t._deleted as is_same) same
         where t.id = any (_given_ids) and t._account = given_account
         order by t.id
           for update of t
    ), written as (
        insert into {table} as t ({", ".join(names)}, _raw, _event, _account, _as_of)
        select {expressions}, {raw}, i._event, given_account, i._at
          from incoming i
          left join locked l on l.id = i.id
         cross join {objects}
         cross join lateral jsonb_to_record(o) as r({record_definition(columns)})
         where l.id is null or (not l.is_same and (l.is_next or {_is_later("i._at", "l._as_of")}))
         order by i.id
            on conflict (id, _account) do update
           set {updated}, _raw = {new_raw}, _event = excluded._event, _as_of = excluded._as_of,
               _deleted = false
         where {_is_later("excluded._as_of", "t._as_of")}
            or exists (select from locked l where l.id = t.id and l.is_next)
        returning t.id, xmax = 0 as is_new
    ), doubtful as ({_note_doubt(resource, schemas, unlisted)})
    select array_agg(i.id), array_agg(case when w.is_new then 'inserted' when w.id is not null then 'updated'
                                           when l.is_same then 'unchanged' else 'stale' end){applied}
      into _ids, _outcomes{", _applied" if lists else ""}
      from incoming i
      left join locked l on l.id = i.id
      left join written w on w.id = i.id;
    if _outcomes && array['inserted', 'updated'] then
        {noted}
    end if;
    return query select * from unnest(_ids, _outcomes);
    {entries}
    if not exists (select from unnest(given_objects) o where {_IS_STUB}) then
        return;
    end if;
    -- Of a deleted object Stripe sends its id alone: the row keeps its values.
    with incoming as materialized (
        select distinct on ({key}) {key} as id, {_without_fields("o", CARRIED)} as _raw,
               given_parent as _parent, {AT} as _at, {EVENT} as _event
          from unnest(given_objects) as e(o)
         where {_IS_STUB}
         order by {key}
    ), locked as materialized (
        select t.id, i._parent, i._at, is_same, false as was_deleted,
               -- Of two events of one second the deletion stands, until the object is asked for.
               coalesce(t._event is not null and i._event is not null and i._at = t._as_of, false) as is_next,
               {_known_at(resource, schemas)} as _as_of
          from {table} t
          join incoming i on i.id = t.id
         cross join lateral (select t._deleted as is_same) same
         where t.id = any (_given_ids) and t._account = given_account
         order by t.id
           for update of t
    ), written as (
        insert into {table} as t (id, _raw, _event, _account, _as_of, _deleted)
        select i.id, i._raw, i._event, given_account, i._at, true
          from incoming i
          left join locked l on l.id = i.id
         where l.id is null or l.is_next or {_is_later("i._at", "l._as_of")}
         order by i.id
            on conflict (id, _account) do update
           set _event = excluded._event, _as_of = excluded._as_of, _deleted = true
         where not t._deleted
           and ({_is_later("excluded._as_of", "t._as_of")}
                or exists (select from locked l where l.id = t.id and l.is_next))
        returning t.id
    ), doubtful as ({_note_doubt(resource, schemas)})
    select array_agg(i.id), array_agg(case when w.id is not null then 'deleted'
                                           when l.is_same then 'unchanged' else 'stale' end),
           array_agg(jsonb_build_object('id', i.id, '{AT_KEY}', i._at, '{EVENT_KEY}', i._event))
               filter (where w.id is not null)
      into _ids, _outcomes, _stubs
      from incoming i
      left join locked l on l.id = i.id
      left join written w on w.id = i.id;
    if 'deleted' = any (_outcomes) then
        {noted}
    end if;
    return query select * from unnest(_ids, _outcomes);
    {entries_of_deleted}
end"""


def _without_fields(value: str, names: Sequence[str]) -> str:
    """Return the expression for a jsonb object without these fields. Nearly no object has one of them."""
    fields = f"array[{', '.join(map(quote_literal, names))}]::text[]"
    return f"case when {value} ?| {fields} then {value} - {fields} else {value} end"


_IS_STUB: Final = "o @> '{\"deleted\": true}'"


def _is_later(at: str, as_of: str) -> str:
    """Return the condition that evidence is later than that of a row."""
    return f"({as_of} is null or {at} > {as_of})"


def _rank(resource: Resource, schemas: Schemas, raw: str, event: str, at: str) -> str:
    """Return the expression for the rank of an event's state among those of the same second.

    The creation of an object comes first, and a state that the object does not leave last.
    """
    states = ", ".join(map(quote_literal, resource.final_states)) or "null"
    copies = quote_literal(schemas.copies)
    return f"""case when stripe_sync.is_creation({copies}, {event}, {at}) then 0
                     when {raw} ->> 'status' in ({states}) then 2 else 1 end"""


def _known_at(resource: Resource, schemas: Schemas) -> str:
    """Return the expression for when the row ``t`` was known to be true.

    A refresh leaves a row as it is whose object has not changed. Its run has the time of all rows when it has
    ended, and until then the ids that it has met.
    """
    return f"""
               case when t._as_of is null or is_same then t._as_of
                    else greatest(t._as_of, case when not t._deleted then _confirmed_at end, (
                        select m.at from stripe_sync.met m
                         where _is_open and not t._deleted and m.schema = {quote_literal(schemas.copies)}
                           and m.resource = {quote_literal(resource.name)}
                           and m.account = given_account and m.id = t.id)) end"""


def _note_doubt(resource: Resource, schemas: Schemas, others: str = "") -> str:
    """Return the statement that queues objects whose two states have nearly the same time, and others."""
    return f"""
        insert into stripe_sync.refetch (schema, resource, id, account, parent, doubted_at)
        select {quote_literal(schemas.copies)}, {quote_literal(resource.name)}, d.id, given_account,
               d._parent, max(d._at)
          from (
            select l.id, l._parent, l._at
              from locked l
             where not l.is_same
               and not (l.is_next and l._at > l._as_of)
               and abs(extract(epoch from l._at - l._as_of)) <= {SAME_TIME_SECONDS}
                   {others}
          ) d
         group by d.id, d._parent
            on conflict (schema, resource, id, account) do update
           set doubted_at = greatest(refetch.doubted_at, excluded.doubted_at), only_expanded = false
    """
