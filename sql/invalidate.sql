-- Invalidates the cached responses of every session that hold an object, or any object of a resource.

create or replace function stripe_sync.invalidate(resource text, id text default null, server text default 'stripe')
    returns void
    language plpgsql
    volatile
    parallel restricted
    set search_path = pg_catalog, pg_temp
as $$
declare
    live text;
    invalidated boolean;
begin
    if invalidate.resource is null then
        raise null_value_not_allowed using
            message = 'stripe_sync.invalidate needs a resource',
            hint = 'Name a table: select stripe_sync.invalidate(''customer'').';
    end if;
    select s.live into live
      from stripe_sync.server s
     where s.name = invalidate.server or s.schema = invalidate.server;
    if live is null then
        raise undefined_object using
            message = format('server "%s" is not installed', left(invalidate.server, 100)),
            hint = 'stripe_sync.server lists the servers.';
    end if;
    if to_regclass(format('%I._invalidation', live)) is null then
        raise undefined_table using
            message = format('stripe_sync.invalidate needs the foreign table %I._invalidation, which was dropped', live),
            hint = 'stripe-fdw init makes it again; stripe-fdw uninstall removes what is left.';
    end if;
    -- The CONTEXT of an error quotes a statement that runs by itself, and does not quote that of a loop.
    for invalidated in
        execute format('insert into %I._invalidation (resource, id) values ($1, $2) returning true', live)
        using invalidate.resource, invalidate.id
    loop
        return;
    end loop;
end $$;

comment on function stripe_sync.invalidate(text, text, text) is
    'Forgets cached answers: about one object of a resource (''customer'', ''cus_...''), or about all of them.';

revoke execute on function stripe_sync.invalidate(text, text, text) from public;
