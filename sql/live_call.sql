-- Runs any operation of Stripe's API, also one without a table: select stripe_live.call('GET', '/v1/balance').
-- The foreign table stripe_live._call sends the request: a SELECT for operations that read, an INSERT for those that
-- write. Its privileges decide who may read and who may write.

drop function if exists :"live".call(text, text, jsonb);  -- of earlier versions, which only read

create or replace function :"live".call(
    method text, path text, params jsonb default '{}', idempotency_key text default null
)
    returns jsonb
    language plpgsql
    volatile
    parallel unsafe
    set search_path = pg_catalog, pg_temp
as $$
declare
    wanted text := pg_catalog.upper(call.method);
    given text := coalesce(call.params, '{}')::text;
    answer jsonb;
    needed constant text := $name$:"live"._call$name$;
begin
    if wanted is null or call.path is null then
        return null;
    end if;
    if to_regclass(needed) is null then
        raise undefined_table using
            message = format('the foreign table %s, through which Stripe is asked, was dropped', replace(needed, '"', '')),
            hint = 'stripe-fdw init makes it again; stripe-fdw uninstall removes what is left.';
    end if;
    -- The CONTEXT of an error quotes a statement that runs by itself, and does not quote that of a loop.
    if wanted = 'GET' then
        for answer in
            select operation.response
              from :"live"._call as operation
             where operation.method = wanted and operation.path = call.path and operation.params = given
        loop
            return answer;
        end loop;
    else
        for answer in
            insert into :"live"._call as operation (method, path, params, idempotency_key)
            values (wanted, call.path, given, call.idempotency_key)
            returning operation.response
        loop
            return answer;
        end loop;
    end if;
    return null;
end $$;

comment on function :"live".call(text, text, jsonb, text) is
    'Runs an operation of the Stripe API and returns its answer: method, path, parameters, idempotency key.';

revoke execute on function :"live".call(text, text, jsonb, text) from public;
