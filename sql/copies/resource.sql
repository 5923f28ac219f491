-- The copies that are installed, and what functions here have to know of their resources.

create table if not exists stripe_sync.resource (
    schema text not null,        -- of the copies
    name text not null,
    object text not null,        -- the API's name
    parent text,                 -- the resource whose ids its lists take; NULL if one list has all
    parent_column text,          -- the column with that id
    not_listed text,             -- why no list can be read as a whole; NULL if one can
    has_retrieve boolean not null,  -- whether Stripe answers a request for one object by its id alone
    primary key (schema, name)
);

alter table stripe_sync.resource
    add column if not exists has_word_ids boolean not null default false,  -- copies have '<id of the parent>/<id>'
    add column if not exists expanded text[] not null default '{}',  -- columns that Stripe sends only on request
    add column if not exists listed_days integer not null default 0;       -- an older object is not listed; 0: all are

comment on table stripe_sync.resource is 'The resources of which a schema has copies.';

-- Returns the id under which a copy is kept whose id in Stripe is a word that repeats in each parent.
create or replace function stripe_sync.copy_key(id text, parent text)
    returns text
    language sql
    immutable
    set search_path = pg_catalog, pg_temp
as $$
    select case when strpos(id, '/') > 0 or parent is null then id else parent || '/' || id end
$$;

revoke execute on function stripe_sync.copy_key(text, text) from public;

-- Returns at most three of the schema's resources with names like the given one, the closest first: names that have at
-- least half of their pairs of letters in common.
create or replace function stripe_sync.closest_resources(name text, schema text)
    returns text
    language sql
    stable
    set search_path = pg_catalog, pg_temp
as $$
    with pairs as (
        select r.name, substr(r.name, n, 2) as pair
          from stripe_sync.resource r, generate_series(1, greatest(length(r.name) - 1, 1)) n
         where r.schema = closest_resources.schema
    ), given as (
        select substr(left(closest_resources.name, 100), n, 2) as pair
          from generate_series(1, greatest(least(length(closest_resources.name), 100) - 1, 1)) n
    ), scored as (
        select p.name, 2.0 * count(*) filter (where p.pair in (select g.pair from given g))
                           / (count(*) + (select count(*) from given)) as score
          from pairs p
         group by p.name
    )
    select string_agg(s.name, ', ' order by s.score desc, s.name)
      from (select * from scored where score >= 0.5 order by score desc, name limit 3) s
$$;

revoke execute on function stripe_sync.closest_resources(text, text) from public;

-- Raises an error unless the schema has copies of the resource.
create or replace function stripe_sync.require_resource(resource text, schema text)
    returns void
    language plpgsql
    stable
    set search_path = pg_catalog, pg_temp
as $$
declare
    closest text := stripe_sync.closest_resources(require_resource.resource, require_resource.schema);
    refresh text;
begin
    if require_resource.resource is null or require_resource.schema is null then
        raise null_value_not_allowed using
            message = 'the name of a resource is needed',
            hint = 'Name a copy: select stripe_sync.refresh(''customer'').';
    end if;
    if exists (
        select from stripe_sync.resource r
         where r.schema = require_resource.schema and r.name = require_resource.resource
    ) then
        return;
    end if;
    -- Names that a shell would read as something else are left out.
    select concat_ws(' ', 'stripe-fdw refresh', '--server ' || min(s.name),
               substring(require_resource.resource from '^[a-z0-9_]+$'))
      from stripe_sync.server s
     where s.copies = require_resource.schema and 'stripe' not in (s.name, s.schema) and s.name ~ '^[A-Za-z0-9_]+$'
      into refresh;
    raise undefined_table using
        message = format('schema "%s" has no copy of "%s"', require_resource.schema, left(require_resource.resource, 100)),
        hint = case
            when closest is not null then format('Closest: %s.', closest)
            when not exists (select from stripe_sync.resource r where r.schema = require_resource.schema)
                then format('It has no copies at all. To make it: %s', refresh)
            else format('To make it, if stripe-fdw catalog lists it: %s', refresh)
        end;
end $$;

revoke execute on function stripe_sync.require_resource(text, text) from public;
