-- The database for which the copies are kept. Restored elsewhere, they are a clone, which no worker takes for its own.

create table if not exists stripe_sync.home (
    only_row boolean primary key default true check (only_row),
    identity text not null,
    since timestamptz not null default now()
);

comment on table stripe_sync.home is 'The database in which workers keep the copies current; another one is a clone.';

-- Returns what distinguishes this database from its clones, but for those of a file system.
create or replace function stripe_sync.identity()
    returns text
    language plpgsql
    stable
    set search_path = pg_catalog, pg_temp
as $$
declare
    database_oid constant oid := (select d.oid from pg_database d where d.datname = current_database());
begin
    return format('%s %s', (select s.system_identifier from pg_control_system() s), database_oid);
exception when insufficient_privilege then
    return format('unknown %s', database_oid);
end $$;

revoke execute on function stripe_sync.identity() from public;

insert into stripe_sync.home (identity) values (stripe_sync.identity()) on conflict do nothing;
