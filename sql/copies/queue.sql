-- Refreshes that a worker is asked for: at once, or on a schedule.

create or replace function stripe_sync.refresh(resource text, server text default 'stripe')
    returns bigint
    language plpgsql
    volatile
    parallel unsafe
    set search_path = pg_catalog, pg_temp
as $$
declare
    known constant stripe_sync.server := stripe_sync.require_server(refresh.server);
    arguments constant jsonb := jsonb_build_object('server', known.name, 'resource', refresh.resource);
    job bigint;
    unused text;  -- PERFORM would have the CONTEXT of an error quote a statement
begin
    unused := stripe_sync.require_resource(refresh.resource, known.copies);
    if to_regclass('stripe_jobs.procrastinate_jobs') is null then
        raise object_not_in_prerequisite_state using
            message = 'this database has no queue of jobs',
            hint = 'Start stripe-fdw worker, which makes it; or read within Postgres: stripe_sync.refresh_now.';
    end if;
    -- A job that waits already, perhaps to be tried again later, is the job: it may start at once.
    update stripe_jobs.procrastinate_jobs j
       set scheduled_at = null
     where j.id = (
        select w.id
          from stripe_jobs.procrastinate_jobs w
         where w.status = 'todo' and w.queue_name = known.copies and w.task_name = 'refresh' and w.args = arguments
         order by w.id
         limit 1
           for update skip locked)
    returning j.id into job;
    if job is null then
        select unnest(stripe_jobs.procrastinate_defer_jobs_v1(array[
            row(known.copies, 'refresh', 0, null, null, arguments, null)::stripe_jobs.procrastinate_job_to_defer_v1
        ])) into job;
    end if;
    return job;
end $$;

comment on function stripe_sync.refresh(text, text) is
    'Queues a refresh of a copy for stripe-fdw worker and returns the id of its job.';

revoke execute on function stripe_sync.refresh(text, text) from public;

create table if not exists stripe_sync.schedule (
    schema text not null,        -- of the copies
    resource text not null,
    cron text not null,          -- minute, hour, day of the month, month, day of the week, in UTC
    since timestamptz not null default now(),
    queued_at timestamptz,       -- when its refresh was queued last
    primary key (schema, resource)
);

comment on table stripe_sync.schedule is 'When stripe-fdw worker refreshes copies by itself.';

-- Raises an error unless the text has the five fields of cron, of numbers, *, lists, ranges and steps.
create or replace function stripe_sync.require_cron(cron text)
    returns void
    language plpgsql
    immutable
    set search_path = pg_catalog, pg_temp
as $$
declare
    field_names constant text[] := array['minute', 'hour', 'day of the month', 'month', 'day of the week'];
    lowest constant integer[] := array[0, 0, 1, 1, 0];
    highest constant integer[] := array[59, 23, 31, 12, 7];
    fields constant text[] := string_to_array(left(require_cron.cron, 257), ' ');
    item text;
    parts integer[];
begin
    if length(require_cron.cron) > 256 then
        raise invalid_parameter_value using
            message = format('"%s..." is not a cron expression', left(require_cron.cron, 100)),
            detail = format('It has %s characters, more than 256.', length(require_cron.cron)),
            hint = 'A range with a step is shorter than a list: ''*/5 * * * *'' is each fifth minute.';
    end if;
    if cardinality(fields) is distinct from 5 then
        raise invalid_parameter_value using
            message = format('"%s" is not a cron expression', left(require_cron.cron, 100)),
            detail = format('It has %s fields, not 5.', coalesce(cardinality(fields), 0)),
            hint = 'Minute, hour, day of the month, month, day of the week, in UTC: ''0 3 * * *'' is each day at 03:00.';
    end if;
    for position in 1..5 loop
        foreach item in array string_to_array(fields[position], ',') || array[]::text[] loop
            parts := regexp_match(item, '^(?:\*|(\d{1,2})(?:-(\d{1,2}))?)(?:/(\d{1,2}))?$')::integer[];
            if parts is null
                or parts[1] not between lowest[position] and highest[position]
                or parts[2] not between parts[1] and highest[position]
                or parts[3] not between 1 and highest[position]
            then
                raise invalid_parameter_value using
                    message = format('"%s" is not a cron expression', left(require_cron.cron, 100)),
                    detail = format('"%s" is no %s.', left(item, 100), field_names[position]),
                    hint = format('It is *, a number from %s to %s, a range such as %s-%s, or a list of these; /2 takes every second.',
                        lowest[position], highest[position], lowest[position], highest[position]);
            end if;
        end loop;
        if fields[position] = '' then
            raise invalid_parameter_value using
                message = format('"%s" is not a cron expression', left(require_cron.cron, 100)),
                detail = format('The %s is empty.', field_names[position]),
                hint = 'One space is between two fields.';
        end if;
    end loop;
end $$;

revoke execute on function stripe_sync.require_cron(text) from public;

create or replace function stripe_sync.schedule_refresh(resource text, cron text, server text default 'stripe')
    returns void
    language plpgsql
    volatile
    parallel unsafe
    set search_path = pg_catalog, pg_temp
as $$
declare
    copies constant text := (stripe_sync.require_server(schedule_refresh.server)).copies;
    unused text;  -- PERFORM would have the CONTEXT of an error quote a statement
begin
    unused := stripe_sync.require_resource(schedule_refresh.resource, copies);
    unused := stripe_sync.require_cron(schedule_refresh.cron);
    insert into stripe_sync.schedule as s (schema, resource, cron)
    values (copies, schedule_refresh.resource, schedule_refresh.cron)
    on conflict on constraint schedule_pkey do update
       set cron = excluded.cron,
           since = case when s.cron = excluded.cron then s.since else excluded.since end;
end $$;

comment on function stripe_sync.schedule_refresh(text, text, text) is
    'Has stripe-fdw worker refresh a copy on a schedule of cron, in UTC. A second schedule replaces the first.';

revoke execute on function stripe_sync.schedule_refresh(text, text, text) from public;

create or replace function stripe_sync.unschedule_refresh(resource text, server text default 'stripe')
    returns boolean
    language plpgsql
    volatile
    parallel unsafe
    set search_path = pg_catalog, pg_temp
as $$
declare
    copies constant text := (stripe_sync.require_server(unschedule_refresh.server)).copies;
    unused text;  -- PERFORM would have the CONTEXT of an error quote a statement
begin
    delete from stripe_sync.schedule s
     where s.schema = copies and s.resource = unschedule_refresh.resource;
    if not found then
        unused := stripe_sync.require_resource(unschedule_refresh.resource, copies);
        return false;
    end if;
    return true;
end $$;

comment on function stripe_sync.unschedule_refresh(text, text) is
    'Removes the schedule of a copy. Returns false if there was none.';

revoke execute on function stripe_sync.unschedule_refresh(text, text) from public;

-- Jobs of earlier versions name the schema of the copies in place of the server.
do $$
begin
    if to_regclass('stripe_jobs.procrastinate_jobs') is not null then
        update stripe_jobs.procrastinate_jobs j
           set args = j.args - 'schema' || jsonb_build_object('server', s.name)
          from stripe_sync.server s
         where j.task_name = 'refresh' and j.args ->> 'schema' = s.copies;
    end if;
end $$;
