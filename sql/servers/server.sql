-- The foreign servers that are installed, each for an account of its own, and their schemas.

create table if not exists stripe_sync.server (
    name text primary key,
    schema text not null unique,  -- of the views that applications read
    live text not null unique generated always as (schema || '_live') stored,    -- of the foreign tables
    copies text not null unique generated always as (schema || '_copy') stored,  -- of the tables of copies
    since timestamptz not null default now()
);

comment on table stripe_sync.server is 'The servers that are installed, and the schemas of each.';

-- Returns the row of a server: the one of this name, or the one whose views are in the schema of this name.
create or replace function stripe_sync.require_server(server text)
    returns stripe_sync.server
    language plpgsql
    stable
    set search_path = pg_catalog, pg_temp
as $$
declare
    known stripe_sync.server;
begin
    if require_server.server is null then
        raise null_value_not_allowed using
            message = 'the name of a server is needed',
            hint = 'stripe_sync.server lists them.';
    end if;
    select * into known
      from stripe_sync.server s
     where s.name = require_server.server or s.schema = require_server.server;
    if known.name is null then
        raise undefined_object using
            message = format('server "%s" is not installed', left(require_server.server, 100)),
            hint = coalesce(
                (select format('Installed: %s.', string_agg(s.name, ', ' order by s.name)) from stripe_sync.server s),
                'stripe-fdw init installs it.');
    end if;
    return known;
end $$;

revoke execute on function stripe_sync.require_server(text) from public;

-- Functions of earlier versions, which knew one server, or took a schema in its place.
do $$
declare
    old regprocedure;
begin
    for old in
        select p.oid::regprocedure
          from pg_proc p
         where p.pronamespace = 'stripe_sync'::regnamespace
           and p.proname in ('invalidate', 'refresh', 'refresh_now', 'schedule_refresh', 'unschedule_refresh')
           and not 'server' = any (p.proargnames)
    loop
        execute format('drop function %s', old);
    end loop;
end $$;
