-- Waiting until the copies have what Stripe knew when the caller began to wait.
--
-- A function cannot commit a request for the worker, so it asks by an advisory lock: the worker that polls the events of the
-- server tries to take that lock ten times a second, finds it held, and polls at once. stripe_sync.event_position says when the
-- last complete poll began, by the clock of the database: one that began after the call has stored all events from before it.

alter table stripe_sync.event_position
    add column if not exists polled_from timestamptz,  -- when the last complete poll began, by the clock of the database
    add column if not exists last_gap_job bigint;      -- of the refreshes that make up for events that Stripe shows no more

-- Raises an error where waiting would see nothing of what others commit, or keep them from it.
create or replace function stripe_sync.refuse_wait(timeout interval)
    returns void
    language plpgsql
    volatile
    set search_path = pg_catalog, pg_temp
as $$
declare
    -- A wait for an object writes, too: another one may follow.
    own_transaction constant text := coalesce(current_setting('stripe_sync.waited_in', true), '');
begin
    if refuse_wait.timeout is null or refuse_wait.timeout <= interval '0' then
        raise invalid_parameter_value using
            message = format('stripe_sync.wait needs a timeout that is more than zero, and got %s',
                coalesce(refuse_wait.timeout::text, 'NULL')),
            hint = 'select stripe_sync.wait(''10 seconds'')';
    end if;
    if pg_is_in_recovery() then
        raise object_not_in_prerequisite_state using
            message = 'stripe_sync.wait cannot be used on a standby server',
            hint = 'Call it on the primary server. What it has waited for arrives here up to pg_current_wal_lsn() of then.';
    end if;
    if current_setting('transaction_isolation') <> 'read committed' then
        raise object_not_in_prerequisite_state using
            message = 'stripe_sync.wait needs the isolation level READ COMMITTED',
            detail = format('In %s, the transaction sees nothing of what is committed after its first query.',
                upper(current_setting('transaction_isolation'))),
            hint = 'Wait in a transaction of its own, before this one.';
    end if;
    if pg_current_xact_id_if_assigned() is not null and pg_current_xact_id_if_assigned()::text <> own_transaction then
        raise object_not_in_prerequisite_state using
            message = 'stripe_sync.wait cannot be used in a transaction that has written',
            detail = 'The worker leaves out the rows that the transaction has locked, so it would wait for itself.',
            hint = 'Commit first, then wait.';
    end if;
end $$;

revoke execute on function stripe_sync.refuse_wait(interval) from public;

-- Sleeps for 20 ms, later for up to 200 ms. Returns false, at once, when the time is over.
create or replace function stripe_sync.sleep_until_next_look(since timestamptz, ends_at timestamptz)
    returns boolean
    language plpgsql
    volatile
    set search_path = pg_catalog, pg_temp
as $$
declare
    left_seconds constant double precision := extract(epoch from ends_at - clock_timestamp());
    waited_seconds constant double precision := extract(epoch from clock_timestamp() - since);
begin
    if left_seconds <= 0 then
        return false;
    end if;
    perform pg_sleep(least(left_seconds, 0.2, 0.02 + greatest(waited_seconds, 0) / 10));
    return true;
end $$;

revoke execute on function stripe_sync.sleep_until_next_look(timestamptz, timestamptz) from public;

-- Returns true if a worker holds a lock of a server: 'stripe-fdw poll' reads its events, 'stripe-fdw events' applies them.
create or replace function stripe_sync.has_worker(lock text, copies text)
    returns boolean
    language sql
    volatile
    set search_path = pg_catalog, pg_temp
as $$
    select exists (
        select from pg_locks l
         where l.locktype = 'advisory' and l.granted and l.objsubid = 2
           and l.database = (select d.oid from pg_database d where d.datname = current_database())
           and l.classid = (hashtext(has_worker.lock)::bigint & 4294967295)::oid
           and l.objid = (hashtext(has_worker.copies)::bigint & 4294967295)::oid)
$$;

revoke execute on function stripe_sync.has_worker(text, text) from public;

-- It runs with the rights of its owner, so that a role that may wait need not read the inbox, which has whole objects.
create or replace function stripe_sync.wait(timeout interval default '10 seconds', server text default 'stripe')
    returns void
    language plpgsql
    volatile
    parallel unsafe
    security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    known constant stripe_sync.server := stripe_sync.require_server(wait.server);
    asked_at constant timestamptz := clock_timestamp();
    ends_at constant timestamptz := asked_at + least(wait.timeout, interval '1 hour');
    has_asked boolean := false;
    last_position bigint;
    failed text;
    waiting bigint;
    doubts jsonb;
    unused text;  -- PERFORM would have the CONTEXT of an error quote a statement
begin
    unused := stripe_sync.refuse_wait(wait.timeout);
    if pg_current_xact_id_if_assigned() is not null then
        raise object_not_in_prerequisite_state using
            message = 'stripe_sync.wait for all events cannot be used in a transaction that has waited for an object',
            detail = 'That keeps the row of the object locked, and the worker leaves it out.',
            hint = 'Commit in between, or wait for all events first.';
    end if;
    begin
        while not exists (
            select from stripe_sync.event_position p where p.schema = known.copies and p.polled_from >= asked_at
        ) loop
            -- The worker holds it for a moment, to see whether it is free.
            has_asked := has_asked
                or pg_try_advisory_xact_lock_shared(hashtext('stripe-fdw wait'), hashtext(known.copies));
            if stripe_sync.sleep_until_next_look(asked_at, ends_at) then
                continue;
            end if;
            select 'The last attempt: ' || left(p.error, 500) into failed
              from stripe_sync.event_position p where p.schema = known.copies;
            if not stripe_sync.has_worker('stripe-fdw poll', known.copies) then
                raise object_not_in_prerequisite_state using
                    message = case when failed is null
                        then format('no worker reads the events of server "%s"', known.name)
                        else format('the events of server "%s" could not be read', known.name) end,
                    detail = coalesce(failed, format('None has within %s.', wait.timeout)),
                    hint = case when failed is null
                        then 'Start stripe-fdw worker, with a key of the server.'
                        else 'A worker tries again after 15 seconds. If none runs, start stripe-fdw worker.' end;
            end if;
            raise object_not_in_prerequisite_state using
                message = format('the events of server "%s" were not read within %s', known.name, wait.timeout),
                detail = coalesce(failed, 'A worker reads them, but Stripe has not answered yet, or not all of its pages.'),
                hint = 'stripe_sync.event_status shows when they were read last.';
        end loop;
        raise sqlstate 'SFW00';  -- the only way to release a transaction's lock
    exception when sqlstate 'SFW00' then
        null;
    end;

    while to_regclass('stripe_jobs.procrastinate_jobs') is not null loop
        select count(*), min(j.args ->> 'resource') into waiting, failed
          from stripe_sync.event_position p
          join stripe_jobs.procrastinate_jobs j on j.queue_name = p.schema and j.id <= p.last_gap_job
         where p.schema = known.copies and j.task_name = 'refresh' and j.status in ('todo', 'doing');
        exit when waiting = 0;
        if not stripe_sync.sleep_until_next_look(asked_at, ends_at) then
            raise object_not_in_prerequisite_state using
                message = format('%s copies of server "%s" were not refreshed within %s', waiting, known.name, wait.timeout),
                detail = format('No worker had read events for 30 days. One of the copies is %s.', failed),
                hint = 'stripe_sync.status shows how far the refreshes are.';
        end if;
    end loop;

    select s.last_value into last_position from stripe_sync.inbox_position s;
    loop
        failed := stripe_sync.failed_events(known.copies, last_position);
        if failed is not null then
            raise object_not_in_prerequisite_state using
                message = format('events of server "%s" cannot be applied', known.name),
                detail = failed,
                hint = 'Fix what refuses them, then stripe_sync.replay_failed(); or refresh the copy.';
        end if;
        select count(*) into waiting from stripe_sync.inbox i
         where i.schema = known.copies and i.account = '' and i.outcome is null and i.position <= last_position;
        exit when waiting = 0;
        if not stripe_sync.sleep_until_next_look(asked_at, ends_at) then
            raise object_not_in_prerequisite_state using
                message = format('%s events of server "%s" were not applied within %s', waiting, known.name, wait.timeout),
                detail = case when stripe_sync.has_worker('stripe-fdw events', known.copies)
                              then 'A worker applies them.' else 'No worker applies them.' end,
                hint = 'stripe_sync.inbox has them, with outcome NULL. Those of a row that a transaction has locked wait for it.';
        end if;
    end loop;

    -- An event of another version of the API, say, has its object asked for.
    select jsonb_agg(jsonb_build_array(r.resource, r.id, r.account)) into doubts
      from stripe_sync.refetch r
     where r.schema = known.copies and r.account = '' and not r.only_expanded;
    loop
        select count(*), min(format('%s %s%s', r.resource, r.id, ': ' || left(r.error, 300))) into waiting, failed
          from stripe_sync.refetch r
         where r.schema = known.copies
           and doubts @> jsonb_build_array(jsonb_build_array(r.resource, r.id, r.account));
        exit when waiting = 0;
        if not stripe_sync.sleep_until_next_look(asked_at, ends_at) then
            raise object_not_in_prerequisite_state using
                message = format('%s objects of server "%s" that are asked for again did not come within %s',
                    waiting, known.name, wait.timeout),
                detail = failed,
                hint = 'They are asked for some seconds after they were in doubt. stripe_sync.refetch lists them.';
        end if;
    end loop;

    -- Their lists may be long, and are read after them.
    select jsonb_agg(jsonb_build_array(c.resource, c.id, c.account, c.list)) into doubts
      from stripe_sync.incomplete c
     where c.schema = known.copies and c.account = ''
       and (c.next_attempt_at is null or c.next_attempt_at < clock_timestamp() + interval '1 minute');  -- others Stripe refuses
    loop
        select count(*), min(format('%s of %s', c.list, c.id)) into waiting, failed
          from stripe_sync.incomplete c
         where c.schema = known.copies
           and doubts @> jsonb_build_array(jsonb_build_array(c.resource, c.id, c.account, c.list));
        exit when waiting = 0;
        if not stripe_sync.sleep_until_next_look(asked_at, ends_at) then
            raise object_not_in_prerequisite_state using
                message = format('%s lists of server "%s" were not read to their end within %s',
                    waiting, known.name, wait.timeout),
                detail = failed,
                hint = 'stripe_sync.incomplete lists them.';
        end if;
    end loop;
end $$;

comment on function stripe_sync.wait(interval, text) is
    'Returns when the copies have all events that Stripe had before the call.';

revoke execute on function stripe_sync.wait(interval, text) from public;

-- Returns what a message says of events that have failed, up to a position of the inbox; NULL if there are none. Those about an
-- object that a complete refresh has read since count no more.
create or replace function stripe_sync.failed_events(copies text, up_to bigint)
    returns text
    language sql
    volatile
    set search_path = pg_catalog, pg_temp
as $$
    select string_agg(format('%s (%s): %s', f.id, f.type, f.reason), '; ')
           || case when max(f.total) > 3 then format('; and %s more', max(f.total) - 3) else '' end
      from (
        select i.id, i.type, left(i.reason, 300) as reason, count(*) over () as total
          from stripe_sync.inbox i
         where i.schema = failed_events.copies and i.account = '' and i.outcome = 'failed'
           and i.position <= failed_events.up_to
           and not exists (
               select from stripe_sync.resource r
                 join stripe_sync.run u on u.schema = r.schema and u.resource = r.name
                where r.schema = i.schema and r.object = i.body #>> '{data,object,object}'
                  and u.account = i.account and u.confirmed_at > i.created + interval '2 seconds')
         order by i.position
         limit 3
      ) f
$$;

revoke execute on function stripe_sync.failed_events(text, bigint) from public;
