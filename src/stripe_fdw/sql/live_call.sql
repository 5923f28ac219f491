-- Reads with any of Stripe's operations, tables or not: select stripe_live.call('GET', '/v1/balance').
-- The foreign table stripe_live._call runs the request; who may use it is decided by its privileges.

create or replace function stripe_live.call(method text, path text, params jsonb default '{}')
    returns jsonb
    language plpgsql
    volatile
    parallel restricted
as $$
declare
    wanted text := upper(call.method);
    given text := coalesce(call.params, '{}')::text;
    answer jsonb;
begin
    select operation.response into answer
      from stripe_live._call as operation
     where operation.method = wanted and operation.path = call.path and operation.params = given;
    return answer;
end $$;

comment on function stripe_live.call(text, text, jsonb) is
    'Runs an operation of the Stripe API and returns its answer: method, path, parameters.';
