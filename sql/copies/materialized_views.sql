-- The materialized views that workers refresh, and what has changed of what they read.

create table if not exists stripe_sync.view_refresh (
    view text primary key,               -- its qualified name, as SQL writes it
    name text[] not null,                -- its schema and its name
    chosen text[],                       -- the resources that were given; NULL: those that its query reads
    follows boolean not null,            -- refreshed when these change; false: on a schedule alone
    at_most_every interval,              -- from one start to the next; NULL for the default
    cron text,                           -- as in stripe_sync.schedule
    since timestamptz not null default now(),
    scheduled_at timestamptz,            -- when its schedule last made it stale
    reads_live boolean not null default false,  -- foreign tables, whose changes are not observed
    sources text[] not null default '{}',       -- other views in this table that its query reads
    settles_at xid8,                     -- older transactions may not know that it follows their changes
    is_settled boolean not null default false,
    stale_since timestamptz,             -- when it was first known to be older than what it reads
    is_running boolean not null default false,  -- or its session is gone, if it holds no lock
    started_at timestamptz,              -- of the last attempt
    finished_at timestamptz,
    refreshed_at timestamptz,            -- of the last one that succeeded
    duration interval,                   -- of the same
    failures integer not null default 0,  -- since then
    next_attempt_at timestamptz,         -- after a failure
    error text,
    constraint view_refresh_name check (cardinality(name) = 2),
    constraint view_refresh_at_most_every check (at_most_every between interval '0' and interval '100 years')
);

comment on table stripe_sync.view_refresh is 'The materialized views that workers refresh.';

create table if not exists stripe_sync.view_resource (
    view text not null references stripe_sync.view_refresh on delete cascade,
    schema text not null,                -- of the copies
    resource text not null,
    primary key (schema, resource, view)
);

comment on table stripe_sync.view_resource is 'The resources whose changes a materialized view follows.';

-- Without a key, so that transactions which change the same copy do not wait for each other. Workers empty it.
create table if not exists stripe_sync.resource_change (
    schema text not null,
    resource text not null,
    at timestamptz not null default clock_timestamp()
);

comment on table stripe_sync.resource_change is 'Changes of copies that no worker has applied to the materialized views yet.';

-- Notes that a copy has changed, for the materialized views that follow it. A transaction with a snapshot from its start
-- may not see that there is one.
create or replace function stripe_sync.note_change(schema text, resource text)
    returns void
    language plpgsql
    volatile
    set search_path = pg_catalog, pg_temp
as $$
begin
    if current_setting('transaction_isolation') <> 'read committed' or exists (
        select from stripe_sync.view_resource v
         where v.schema = note_change.schema and v.resource = note_change.resource
    ) then
        insert into stripe_sync.resource_change (schema, resource) values (note_change.schema, note_change.resource);
    end if;
end $$;

revoke execute on function stripe_sync.note_change(text, text) from public;

-- Returns what the query of a materialized view reads, also through views and functions whose body Postgres has parsed: a
-- copy, a foreign table of a server, or a materialized view that workers refresh, whose query is not looked at.
create or replace function stripe_sync.view_reads(view oid, out kind text, out schema text, out resource text, out source text)
    returns setof record
    language plpgsql
    stable
    set search_path = pg_catalog, pg_temp
as $$
begin
    return query
    with recursive refreshed as (
        select c.oid, r.view
          from stripe_sync.view_refresh r
          join pg_namespace n on n.nspname = r.name[1]
          join pg_class c on c.relnamespace = n.oid and c.relname = r.name[2] and c.relkind = 'm'
         where c.oid <> view_reads.view
    ), node(class, object) as (
        select 'pg_class'::regclass::oid, view_reads.view
         union
        select d.refclassid, d.refobjid
          from node
         cross join lateral (
            select 'pg_rewrite'::regclass::oid as class, r.oid as object
              from pg_rewrite r
              join pg_class c on c.oid = r.ev_class and c.relkind in ('v', 'm')
             where node.class = 'pg_class'::regclass and r.ev_class = node.object
             union all
            select node.class, node.object
             where node.class = 'pg_proc'::regclass
          ) dependent
          join pg_depend d on d.classid = dependent.class and d.objid = dependent.object
         where d.refclassid in ('pg_class'::regclass, 'pg_proc'::regclass)
           and not exists (select from refreshed f where f.oid = node.object and node.class = 'pg_class'::regclass)
    )
    select 'copy', r.schema, r.name, null::text
      from node
      join pg_class c on c.oid = node.object and node.class = 'pg_class'::regclass
      join pg_namespace n on n.oid = c.relnamespace
      join stripe_sync.resource r on r.schema = n.nspname and r.name = c.relname
     union
    select 'live', s.copies, coalesce(
               (select o.option_value from pg_options_to_table(t.ftoptions) o where o.option_name = 'object'), c.relname), null
      from node
      join pg_class c on c.oid = node.object and node.class = 'pg_class'::regclass
      join pg_foreign_table t on t.ftrelid = c.oid
      join pg_foreign_server f on f.oid = t.ftserver
      join stripe_sync.server s on s.name = f.srvname
     union
    select 'view', null, null, f.view
      from node
      join refreshed f on f.oid = node.object and node.class = 'pg_class'::regclass;
end $$;

revoke execute on function stripe_sync.view_reads(oid) from public;

-- Looks up again what registered views read: their queries, or views below them, may have changed.
create or replace function stripe_sync.relate_views()
    returns void
    language plpgsql
    volatile
    set search_path = pg_catalog, pg_temp
as $$
declare
    known record;
    found_sources text[];
    found_live boolean;
    added bigint;
begin
    for known in
        select v.view, v.chosen, v.follows, c.oid
          from stripe_sync.view_refresh v
          join pg_namespace n on n.nspname = v.name[1]
          join pg_class c on c.relnamespace = n.oid and c.relname = v.name[2] and c.relkind = 'm'
         order by v.view
    loop
        select coalesce(array_agg(r.source order by r.source) filter (where r.kind = 'view'), '{}'),
               coalesce(bool_or(r.kind = 'live'), false)
          into found_sources, found_live
          from stripe_sync.view_reads(known.oid) r;
        found_live := found_live and known.chosen is null;
        added := 0;
        if known.follows and known.chosen is null then
            delete from stripe_sync.view_resource d
             where d.view = known.view
               and not exists (select from stripe_sync.view_reads(known.oid) r where r.schema = d.schema and r.resource = d.resource);
            insert into stripe_sync.view_resource (view, schema, resource)
            select distinct known.view, c.schema, c.name
              from stripe_sync.view_reads(known.oid) r
              join stripe_sync.resource c on c.schema = r.schema and c.name = r.resource
                on conflict do nothing;
            get diagnostics added = row_count;
        end if;
        update stripe_sync.view_refresh v
           set sources = found_sources, reads_live = found_live,
               settles_at = case when added > 0 then null else v.settles_at end,
               is_settled = v.is_settled and added = 0
         where v.view = known.view
           and (v.sources <> found_sources or v.reads_live <> found_live or added > 0);
    end loop;
end $$;

revoke execute on function stripe_sync.relate_views() from public;
