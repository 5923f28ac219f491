"""The user's own objects that would be dropped with an installation, since they depend on it or lie in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import psycopg

from stripe_fdw.catalog import load
from stripe_fdw.database.installed_parts import JOBS_SCHEMA, InstalledParts, plain_tables
from stripe_fdw.database.schemas import SYNC_SCHEMA

# What DROP ... CASCADE would reach from the roots, as Postgres follows dependencies: what depends on an
# object or on one of its columns; where it is a part of another, as the rule of a view is, that as well.
_REACHED: Final = """
    with recursive root(classid, objid) as (
        select 'pg_namespace'::regclass::oid, oid from pg_namespace where nspname = any (%(schemas)s)
        union all
        select 'pg_foreign_server'::regclass, oid from pg_foreign_server where srvname = any (%(servers)s)
        union all
        select 'pg_extension'::regclass, oid from pg_extension where extname = %(extension)s
        union all
        select 'pg_proc'::regclass, p.oid from pg_proc p join pg_namespace n on n.oid = pronamespace
         where nspname = any (%(kept)s) and starts_with(proname, '_')
    ), reached(classid, objid, objsubid) as (
        select classid, objid, 0 from root
        union
        select next.*
          from reached r
         cross join lateral (
            select d.classid, d.objid, d.objsubid
              from pg_depend d
             where d.refclassid = r.classid and d.refobjid = r.objid
               and (r.objsubid = 0 or d.refobjsubid = r.objsubid)
            union all
            select d.refclassid, d.refobjid, d.refobjsubid
              from pg_depend d
             where d.classid = r.classid and d.objid = r.objid and d.objsubid = r.objsubid
               and d.deptype in ('i', 'e')
         ) next
    ), part as (
        -- A part of another object that is reached, whole, goes with that: an index, a trigger, a row type.
        select r.classid, r.objid
          from reached r
          join pg_depend d on d.classid = r.classid and d.objid = r.objid
                          and d.deptype in ('a', 'i', 'P', 'S', 'e')
          join reached w on w.classid = d.refclassid and w.objid = d.refobjid and w.objsubid = 0
    )
"""
_OTHERS: Final = f"""{_REACHED}
    select pg_describe_object(r.classid, r.objid, r.objsubid),
           case i.type
               when 'table column' then format('ALTER TABLE %%s DROP COLUMN %%I', r.objid::regclass, (
                   select attname from pg_attribute where attrelid = r.objid and attnum = r.objsubid))
               when 'table constraint' then (
                   select format('ALTER TABLE %%s DROP CONSTRAINT %%I', conrelid::regclass, conname)
                     from pg_constraint where oid = r.objid)
               when 'default value' then (
                   select format('ALTER TABLE %%s ALTER COLUMN %%I DROP DEFAULT', adrelid::regclass, attname)
                     from pg_attrdef join pg_attribute on attrelid = adrelid and attnum = adnum
                    where pg_attrdef.oid = r.objid)
               when 'server' then format('DROP SERVER %%s CASCADE', i.identity)  -- with its foreign tables
               else format('DROP %%s %%s', upper(i.type), i.identity)
           end
      from (select distinct classid, objid, objsubid from reached) r
     cross join pg_identify_object(r.classid, r.objid, r.objsubid) i
      left join pg_class c on r.classid = 'pg_class'::regclass and c.oid = r.objid
      left join pg_proc p on r.classid = 'pg_proc'::regclass and p.oid = r.objid
      left join pg_trigger t on r.classid = 'pg_trigger'::regclass and t.oid = r.objid
      left join pg_foreign_table f on f.ftrelid = c.oid
      left join pg_foreign_server s on s.oid = f.ftserver
      left join pg_class table_of on table_of.oid = t.tgrelid
      left join pg_namespace n on n.oid = coalesce(c.relnamespace, p.pronamespace, table_of.relnamespace)
     where not exists (select from root where root.classid = r.classid and root.objid = r.objid)
       and not exists (select from part where part.classid = r.classid and part.objid = r.objid)
       and not exists (select from reached w where r.objsubid <> 0
                          and w.classid = r.classid and w.objid = r.objid and w.objsubid = 0)
       and r.classid not in ('pg_user_mapping'::regclass, 'pg_default_acl'::regclass)
       and not (r.classid = 'pg_foreign_data_wrapper'::regclass)
       -- Foreign tables of a server of the user's go with that, which is listed.
       and not coalesce(c.relkind = 'f' and (n.nspname = any (%(own)s)
               or s.srvname <> all (%(servers)s) and exists (select from reached w
                     where w.classid = 'pg_foreign_server'::regclass and w.objid = s.oid)), false)
       and not (c.relkind is distinct from 'm' and exists (select from pg_depend d
                  join pg_namespace m on d.refclassid = 'pg_namespace'::regclass and m.oid = d.refobjid
                 where d.classid = r.classid and d.objid = r.objid and m.nspname = any (%(shared)s)))
       and not coalesce(c.relname = any (%(names)s) and (
               n.nspname = any (%(copies)s) and c.relkind in ('r', 'p')
               or n.nspname = any (%(views)s) and c.relkind = 'v'), false)
       and not coalesce(n.nspname = any (%(live)s) and p.proname = 'call'
               or n.nspname = any (%(views)s) and p.proname = 'refuse_write'
               or n.nspname = any (%(copies)s) and starts_with(p.proname, '_'), false)
       and not coalesce(n.nspname = any (%(kept)s) and t.tgname in ('write_view', 'refuse_write'), false)
     order by r.objid desc, 1
"""  # noqa: S608 - of the constants above


@dataclass(frozen=True, slots=True)
class Dependent:
    """An object of the user's, as Postgres describes it, and the statement that drops it."""

    description: str
    statement: str


def dependent_objects(
    connection: psycopg.Connection, parts: InstalledParts, kept: tuple[str, ...] = ()
) -> list[Dependent]:
    """Return what is the user's own and would be dropped with the parts, the newest first.

    What depends on another object was made after it, as a rule. Names are qualified if the search path is
    that of ``catalog_names``. What belongs to our tables is not listed: their indexes, triggers, constraints,
    policies and privileges, and the user mappings of our servers. Nor is what uses our objects only in the
    text of a function, which Postgres does not record.

    Args:
        connection: the database.
        parts: what is to be dropped.
        kept: those of its schemas that are to be left, with their tables and views.
    """
    names = {resource.name for resource in load().resources}
    if plain_tables(connection, "resource"):
        rows = connection.execute("select name from stripe_sync.resource").fetchall()
        names |= {name for (name,) in rows}
    extension = parts.extension
    found = connection.execute(
        _OTHERS.encode(),
        {
            "schemas": [name for name in parts.schemas if name not in kept],
            "servers": list(parts.foreign_servers),
            "extension": extension.name if extension is not None and extension.is_own else None,
            "own": [name for item in parts.servers for name in item.all],
            "copies": [item.copies for item in parts.servers],
            "views": [item.views for item in parts.servers],
            "live": [item.live for item in parts.servers],
            "shared": [SYNC_SCHEMA, JOBS_SCHEMA],
            "kept": list(kept),
            "names": list(names),
        },
    ).fetchall()
    return [Dependent(*row) for row in found]
