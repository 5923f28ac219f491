-- Materialized views: which of them workers refresh, and when.

create or replace function stripe_sync.refresh_view(
    view regclass, resources text[] default null, at_most_every interval default null, cron text default null,
    server text default 'stripe'
)
    returns void
    language plpgsql
    volatile
    parallel unsafe
    set search_path = pg_catalog, pg_temp
as $$
declare
    copies constant text := (stripe_sync.require_server(refresh_view.server)).copies;
    full_name text;
    parts text[];
    kind "char";
    is_populated boolean;
    follows constant boolean := case when refresh_view.resources is null
        then refresh_view.cron is null or refresh_view.at_most_every is not null
        else refresh_view.resources <> '{}' end;
    resource text;
    outdated text;
    unused text;  -- PERFORM would have the CONTEXT of an error quote a statement
begin
    if refresh_view.view is null then
        raise null_value_not_allowed using
            message = 'the name of a materialized view is needed',
            hint = 'Name one: select stripe_sync.refresh_view(''revenue_by_month'').';
    end if;
    select format('%I.%I', n.nspname, c.relname), array[n.nspname, c.relname], c.relkind, c.relispopulated
      into full_name, parts, kind, is_populated
      from pg_class c
      join pg_namespace n on n.oid = c.relnamespace
     where c.oid = refresh_view.view;
    if kind is distinct from 'm' then
        raise wrong_object_type using
            message = format('%s is not a materialized view', coalesce(full_name, refresh_view.view::text)),
            detail = case kind
                when 'v' then 'It is a view, which always shows what its tables have.'
                when 'f' then 'It is a foreign table.'
                else 'It is a table, or another kind of relation.' end,
            hint = 'CREATE MATERIALIZED VIEW ... AS keeps the result of a query.';
    end if;
    if refresh_view.at_most_every not between interval '0' and interval '100 years' then
        raise invalid_parameter_value using
            message = format('at_most_every is a time from 0 to 100 years, and not %s', refresh_view.at_most_every),
            hint = 'It is the time from the start of a refresh to that of the next: ''10 s''.';
    end if;
    if refresh_view.cron is not null then
        unused := stripe_sync.require_cron(refresh_view.cron);
    end if;
    foreach resource in array coalesce(refresh_view.resources, '{}') loop
        unused := stripe_sync.require_resource(resource, copies);
    end loop;
    if refresh_view.resources = '{}' and refresh_view.cron is null then
        raise invalid_parameter_value using
            message = format('there is nothing that says when to refresh %s', full_name),
            detail = 'It follows no resource, and has no schedule.',
            hint = 'Give resources, or cron; without resources those are followed that its query reads.';
    end if;
    insert into stripe_sync.view_refresh as v (view, name, chosen, follows, at_most_every, cron, is_settled, stale_since)
    values (full_name, parts, refresh_view.resources, follows, refresh_view.at_most_every, refresh_view.cron, not follows,
            case when follows or not is_populated then clock_timestamp() end)
        on conflict on constraint view_refresh_pkey do update
       set chosen = excluded.chosen, follows = excluded.follows, at_most_every = excluded.at_most_every,
           cron = excluded.cron, since = case when v.cron = excluded.cron then v.since else excluded.since end,
           settles_at = null, is_settled = excluded.is_settled, failures = 0, next_attempt_at = null,
           stale_since = coalesce(v.stale_since, excluded.stale_since);
    delete from stripe_sync.view_resource r where r.view = full_name;
    insert into stripe_sync.view_resource (view, schema, resource)
    select distinct full_name, copies, r from unnest(refresh_view.resources) r;
    unused := stripe_sync.relate_views();
    if follows and not exists (select from stripe_sync.view_resource r where r.view = full_name)
        and not exists (select from stripe_sync.view_refresh v where v.view = full_name and (v.reads_live or v.sources <> '{}'))
    then
        raise invalid_parameter_value using
            message = format('the query of %s reads nothing of Stripe''s', full_name),
            detail = 'No view or copy, no foreign table and no other materialized view that workers refresh was found in it.',
            hint = 'Name what it depends on: resources => ''{customer}''. Or give cron.';
    end if;
    select string_agg(distinct r.resource, ' ' order by r.resource) into outdated
      from stripe_sync.view_resource r
      join pg_namespace n on n.nspname = r.schema
      join pg_proc p on p.pronamespace = n.oid and p.proname = '_write_' || r.resource
     where r.view = full_name and p.prosrc not like '%stripe_sync.note_change(%';
    if outdated is not null then
        raise object_not_in_prerequisite_state using
            message = format('the functions of copies that %s follows do not report changes', full_name),
            detail = format('They are of an earlier version: %s.', outdated),
            hint = format('Bring them up to date: stripe-fdw refresh %s.', outdated);
    end if;
end $$;

comment on function stripe_sync.refresh_view(regclass, text[], interval, text, text) is
    'Has stripe-fdw worker refresh a materialized view soon after what it reads has changed, or on a schedule of cron.';

revoke execute on function stripe_sync.refresh_view(regclass, text[], interval, text, text) from public;

create or replace function stripe_sync.unschedule_view(view text)
    returns boolean
    language plpgsql
    volatile
    parallel unsafe
    set search_path = pg_catalog, pg_temp
as $$
declare
    parts constant text[] := parse_ident(unschedule_view.view);
    names constant text[] := array(
        select v.view from stripe_sync.view_refresh v
         where v.name[3 - cardinality(parts):] = parts
         order by v.view);
    unused text;
begin
    if unschedule_view.view is null then
        raise null_value_not_allowed using
            message = 'the name of a materialized view is needed',
            hint = 'stripe_sync.view_status lists those that workers refresh.';
    end if;
    if cardinality(names) > 1 then
        raise ambiguous_alias using
            message = format('there are several views "%s"', unschedule_view.view),
            hint = format('Name the schema as well: %s.', array_to_string(names, ', '));
    end if;
    delete from stripe_sync.view_refresh v where v.view = any (names);
    unused := stripe_sync.relate_views();
    return cardinality(names) = 1;
end $$;

comment on function stripe_sync.unschedule_view(text) is
    'Has workers refresh a materialized view no more. Returns false if they did not.';

revoke execute on function stripe_sync.unschedule_view(text) from public;
