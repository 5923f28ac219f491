-- Waiting for one object: it is read through the foreign table and applied in the statement, so no worker is needed.
--
-- The row is locked before Stripe is asked, as in a write through the views: whatever the copy had by then was known before, and the
-- answer is later. It gives way to every other transaction, before Postgres looks for deadlocks.

create or replace function stripe_sync.wait(
    resource text, id text, timeout interval default '10 seconds', server text default 'stripe'
)
    returns void
    language plpgsql
    volatile
    parallel unsafe
    security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    installed constant stripe_sync.server := stripe_sync.require_server(wait.server);
    copies constant text := installed.copies;
    live constant text := format('%I.%I', installed.live, coalesce(wait.resource, ''));  -- NULL is refused below
    asked_at constant timestamptz := clock_timestamp();
    ends_at constant timestamptz := asked_at + least(wait.timeout, interval '1 hour');
    previous_timeout constant text := current_setting('lock_timeout');
    known stripe_sync.resource;
    foreign_trigger text;
    key text;
    unused text;  -- PERFORM would have the CONTEXT of an error quote a statement
begin
    unused := stripe_sync.refuse_wait(wait.timeout);
    unused := stripe_sync.require_resource(wait.resource, copies);
    if wait.id is null then
        raise null_value_not_allowed using
            message = 'the id of an object is needed',
            hint = 'select stripe_sync.wait(''customer'', ''cus_123'')';
    end if;
    select * into known from stripe_sync.resource r where r.schema = copies and r.name = wait.resource;
    if not known.has_retrieve then
        raise feature_not_supported using
            message = format('Stripe answers no request for one %s by its id alone', wait.resource),
            hint = case when known.parent is null then 'Wait for all events: stripe_sync.wait(''10 seconds'').'
                else format('Wait for the object that holds it: stripe_sync.wait(%L, ...).', known.parent) end;
    end if;
    if to_regclass(live) is null or to_regclass(format('%I._account', installed.live)) is null then
        raise object_not_in_prerequisite_state using
            message = format('there is no foreign table %s', live),
            hint = 'Install the foreign tables with stripe-fdw init, or wait for a worker: stripe_sync.wait(''10 seconds'').';
    end if;
    foreign_trigger := stripe_sync.trigger_of_others(copies);
    if foreign_trigger is not null then
        raise insufficient_privilege using
            message = format('%s cannot be copied: %s', wait.id, foreign_trigger),
            detail = format('It would run with the rights of role "%s".', current_user),
            hint = 'Drop the trigger, or have that role own its function.';
    end if;
    -- The CONTEXT of an error does not quote the statement of a loop.
    for key in execute format('select a.key from %I._account a', installed.live) loop
    end loop;
    if not stripe_sync.is_key_of_copies(copies, key) then
        raise object_not_in_prerequisite_state using
            message = format('the copies in schema %s are of another account than the key', copies),
            hint = format('User mapping of role "%s".', current_user);
    end if;
    perform set_config('lock_timeout', '200ms', true);
    while not stripe_sync.read_object(installed, known, wait.id) loop
        if not stripe_sync.sleep_until_next_look(asked_at, ends_at) then
            raise lock_not_available using
                message = format('another transaction has kept %s of %s.%s locked for %s',
                    left(wait.id, 100), copies, wait.resource, wait.timeout),
                hint = 'Nothing was changed. Wait again when it has ended.';
        end if;
    end loop;
    perform set_config('lock_timeout', previous_timeout, true);
    perform set_config('stripe_sync.waited_in', coalesce(pg_current_xact_id_if_assigned()::text, ''), true);
end $$;

comment on function stripe_sync.wait(text, text, interval, text) is
    'Reads one object from Stripe, and returns when its copy is as Stripe has it.';

revoke execute on function stripe_sync.wait(text, text, interval, text) from public;

-- Reads an object through the foreign table and applies it. Returns false, having changed nothing, where another transaction
-- has locked a row, or has inserted the row meanwhile.
create or replace function stripe_sync.read_object(installed stripe_sync.server, known stripe_sync.resource, id text)
    returns boolean
    language plpgsql
    volatile
    parallel unsafe
    set search_path = pg_catalog, pg_temp
as $$
declare
    live constant text := format('%I.%I', installed.live, known.name);
    has_row boolean;
    known_at timestamptz;
    began timestamptz;
    object jsonb;
    outcome text;
    name text;
    columns text := '';
begin
    execute format(
        'select true, case when t._as_of is null or t._deleted then t._as_of'
        '                  else greatest(t._as_of, stripe_sync.confirmed_at(%1$L, %2$L, t.id)) end'
        '  from (select c.id, c._as_of, c._deleted from %1$I.%2$I c where c.id = $1 and c._account = '''' for update) t',
        known.schema, known.name)
        into has_row, known_at using read_object.id;
    began := clock_timestamp() - interval '2 seconds';
    perform stripe_sync.invalidate(known.name, read_object.id, installed.name);  -- an answer of the cache is no evidence of now
    foreach name in array known.expanded loop
        columns := columns || format(', l.%I', name);  -- a column that is named is asked for
    end loop;
    begin
        for object in execute format('select l._raw%s from %s l where l.id = $1', columns, live) using read_object.id loop
        end loop;
    exception when insufficient_privilege then  -- the key may not read what would be expanded
        for object in execute format('select l._raw from %s l where l.id = $1', live) using read_object.id loop
        end loop;
    end;
    if object is null then
        if has_row is null then
            return true;  -- neither Stripe nor the copy has it
        end if;
        object := jsonb_build_object('id', read_object.id, 'object', known.object, 'deleted', true);
    end if;
    for outcome in
        execute format('select a.outcome from %I.%I(array[$1], '''', $2, null, null) a', known.schema, '_apply_' || known.name)
        using object, greatest(began, known_at + interval '1 microsecond')
    loop
    end loop;
    if outcome = 'stale' and has_row is null then
        raise lock_not_available;  -- the row has come meanwhile, perhaps with an older state
    end if;
    return true;
exception when lock_not_available then
    return false;
end $$;

revoke execute on function stripe_sync.read_object(stripe_sync.server, stripe_sync.resource, text) from public;
