-- The state of each copy, and of each materialized view that workers refresh: what the last refresh did.

-- Returns the number of a copy's rows that are deleted, or that are not.
create or replace function stripe_sync.count_rows(schema text, resource text, account text, deleted boolean)
    returns bigint
    language plpgsql
    stable
    set search_path = pg_catalog, pg_temp
as $$
declare
    counted bigint;
begin
    if to_regclass(format('%I.%I', count_rows.schema, count_rows.resource)) is null then
        return null;
    end if;
    execute format('select count(*) from %I.%I where _account = $1 and _deleted = $2', count_rows.schema, count_rows.resource)
        into counted using count_rows.account, count_rows.deleted;
    return counted;
end $$;

revoke execute on function stripe_sync.count_rows(text, text, text, boolean) from public;

-- Columns are added at its end alone, as to the next one.
create or replace view stripe_sync.view_status as
    select v.view,
           case when c.oid is null then 'does not exist'
                when v.is_running and exists (
                    select from pg_locks l
                     where l.locktype = 'advisory' and l.database = (select d.oid from pg_database d where d.datname = current_database())
                       and l.classid = hashtext('stripe-fdw view')::oid and l.objid = hashtext(v.view)::oid and l.objsubid = 2
                       and l.granted) then 'running'
                when v.is_running then 'interrupted'
                when v.error is not null then 'failed'
                when v.refreshed_at is null then 'never refreshed'
                else 'finished' end as state,
           v.stale_since, v.started_at, v.finished_at, v.refreshed_at, v.duration, v.error, v.failures, v.next_attempt_at,
           case when v.follows then coalesce(v.at_most_every, case when v.reads_live then interval '1 hour' else interval '10 s' end)
                else v.at_most_every end as at_most_every,
           v.cron as schedule,
           array(select case when s.name = 'stripe' then r.resource else s.name || '.' || r.resource end
                   from stripe_sync.view_resource r
                   join stripe_sync.server s on s.copies = r.schema
                  where r.view = v.view
                  order by s.name <> 'stripe', s.name, r.resource) as resources,
           v.follows and v.reads_live as reads_live,
           v.sources,
           c.relispopulated and exists (
               select from pg_index i
                where i.indrelid = c.oid and i.indisunique and i.indisvalid and i.indimmediate
                  and i.indpred is null and 0 <> all (i.indkey::int2[])) as is_concurrent
      from stripe_sync.view_refresh v
      left join (pg_class c join pg_namespace n on n.oid = c.relnamespace and c.relkind = 'm')
        on n.nspname = v.name[1] and c.relname = v.name[2];

comment on view stripe_sync.view_status is 'For each materialized view that workers refresh: its last refresh, and why and when there is a next one.';

-- Columns are added at its end alone: views of users may depend on it. rows and deleted_rows are counted where a query
-- names them.
create or replace view stripe_sync.status as
    select schema, resource, coalesce(r.account, '') as account,
           case when r.holder is not null and r.heartbeat_at > now() - interval '1 minute' then 'running'
                when r.started_at is null then 'never refreshed'
                when r.error is not null then 'failed'
                when r.finished_at is null then 'interrupted'
                else 'finished' end as state,
           r.requests, r.objects, r.inserted, r.updated, r.deleted, r.unchanged, r.stale,
           r.started_at, r.finished_at, r.finished_full_at, r.error,
           case when r.started_at is null then 'nothing done'
                when r.finished_at is null or r.error is not null then
                    case when r.objects = 0 then 'nothing done' else 'a part done' end
                when r.inserted + r.updated + r.deleted > 0 then 'changes made'
                else 'nothing to do' end as outcome,
           stripe_sync.count_rows(schema, resource, coalesce(r.account, ''), false) as rows,
           stripe_sync.count_rows(schema, resource, coalesce(r.account, ''), true) as deleted_rows,
           r.changed_at,
           r.job,
           case when r.holder is not null and r.heartbeat_at > now() - interval '1 minute' and r.expected > 0
                then least(100, 100 * r.objects / r.expected) end as percent_done,
           jsonb_array_length(r.position) as parts_left,
           s.cron as schedule,
           (select count(*) from stripe_sync.refetch d
             where d.schema = known.schema and d.resource = known.resource and d.account = coalesce(r.account, '')) as in_doubt,
           server.server,
           'copy' as kind,
           r.finished_at - r.started_at as duration,
           r.lacks
      from stripe_sync.run r
      full join (select schema, name as resource from stripe_sync.resource) known using (schema, resource)
      left join stripe_sync.schedule s using (schema, resource)
      left join (select name as server, copies from stripe_sync.server) server on server.copies = schema
     union all
    select r.name[1], r.name[2], '', v.state,
           null, null, null, null, null, null, null,
           v.started_at, v.finished_at, v.refreshed_at, v.error, null, null, null, null, null, null, null,
           v.schedule, null, null, 'materialized view', v.duration, null
      from stripe_sync.view_status v
      join stripe_sync.view_refresh r on r.view = v.view;

comment on view stripe_sync.status is
    'For each copy, and each materialized view that workers refresh: its last refresh, and how far one is that is running.';
comment on column stripe_sync.status.requests is 'Requests of the last refresh';
comment on column stripe_sync.status.objects is 'Objects that the last refresh has seen';
comment on column stripe_sync.status.finished_full_at is 'When a refresh last read the whole list';
comment on column stripe_sync.status.outcome is
    'nothing to do: all was read, and nothing differed; nothing done: nothing was read';
comment on column stripe_sync.status.changed_at is 'When a refresh last changed a row';
comment on column stripe_sync.status.job is 'The job of the queue that runs it, or ran it last; NULL without a worker';
comment on column stripe_sync.status.percent_done is 'Of the objects that the last complete list had';
comment on column stripe_sync.status.parts_left is 'Parts of lists that are left to read';
comment on column stripe_sync.status.schedule is 'When workers refresh it, as cron has it, in UTC';
comment on column stripe_sync.status.in_doubt is 'Objects that are asked for again: stripe_sync.refetch';
comment on column stripe_sync.status.server is 'The server whose account is copied: stripe_sync.server';
comment on column stripe_sync.status.kind is 'copy or materialized view; more of the latter is in stripe_sync.view_status';
comment on column stripe_sync.status.duration is 'How long the last refresh took; of a materialized view the last that succeeded';
comment on column stripe_sync.status.lacks is 'What it failed for: list, permission, product or confirmation; NULL: something else, or nothing';
