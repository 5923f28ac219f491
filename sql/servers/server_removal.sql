-- Forgets a server whose schemas are dropped, with the state of its copies: another account may have its names then.

create or replace function stripe_sync.remove_server(server text)
    returns void
    language plpgsql
    volatile
    parallel unsafe
    set search_path = pg_catalog, pg_temp
as $$
declare
    known constant stripe_sync.server := stripe_sync.require_server(remove_server.server);
    schemas constant text := (
        select string_agg(quote_ident(n.nspname), ', ' order by n.nspname)
          from pg_namespace n
         where n.nspname in (known.schema, known.live, known.copies)
           and obj_description(n.oid, 'pg_namespace') is distinct from 'Kept by stripe-fdw uninstall --keep-copies');
    state regclass;
begin
    if schemas is not null then
        raise dependent_objects_still_exist using
            message = format('server "%s" has schemas', known.name),
            hint = format('Drop them first: DROP SCHEMA %s CASCADE.', schemas);
    end if;
    for state in
        select c.oid::regclass
          from pg_class c
          join pg_attribute a on a.attrelid = c.oid and a.attname = 'schema' and not a.attisdropped
         where c.relnamespace = 'stripe_sync'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
           and c.oid <> 'stripe_sync.server'::regclass
    loop
        execute format('delete from %s where schema = $1', state) using known.copies;
    end loop;
    if to_regclass('stripe_jobs.procrastinate_jobs') is not null then
        delete from stripe_jobs.procrastinate_jobs j where j.queue_name = known.copies and j.status = 'todo';
    end if;
    if to_regclass('stripe_sync.webhook_secret') is not null then
        delete from stripe_sync.webhook_secret w where w.server = known.name;
    end if;
    delete from stripe_sync.server s where s.name = known.name;
end $$;

comment on function stripe_sync.remove_server(text) is
    'Forgets a server whose schemas are dropped, with all that is known of its copies.';

revoke execute on function stripe_sync.remove_server(text) from public;
