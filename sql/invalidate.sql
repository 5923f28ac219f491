-- Invalidates the cached responses of every session that hold an object, or any object of a resource.

create or replace function stripe_sync.invalidate(resource text, id text default null)
    returns void
    language plpgsql
    volatile
    parallel restricted
    set search_path = pg_catalog, pg_temp
as $$
declare
    invalidated boolean;
begin
    if invalidate.resource is null then
        raise null_value_not_allowed using
            message = 'stripe_sync.invalidate needs a resource',
            hint = 'Name a table: select stripe_sync.invalidate(''customer'').';
    end if;
    -- The CONTEXT of an error quotes a statement that runs by itself, and does not quote that of a loop.
    for invalidated in
        insert into stripe_live._invalidation (resource, id)
        values (invalidate.resource, invalidate.id)
        returning true
    loop
        return;
    end loop;
end $$;

comment on function stripe_sync.invalidate(text, text) is
    'Forgets cached answers: about one object of a resource (''customer'', ''cus_...''), or about all of them.';

revoke execute on function stripe_sync.invalidate(text, text) from public;
