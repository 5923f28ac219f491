-- The events that Stripe has sent or listed, and what became of each.

create sequence if not exists stripe_sync.inbox_position;

-- Partitioned by the week in which Stripe created the event, so that old weeks are dropped and not deleted row by row. An
-- event that arrives again has the same time of creation, and so the same key.
create table if not exists stripe_sync.inbox (
    position bigint not null default nextval('stripe_sync.inbox_position'),  -- in the order of arrival
    schema text not null,                        -- of the copies of the server that it was sent to
    id text not null,
    created timestamptz not null,
    account text not null,                       -- '' for the account of the key
    type text not null,
    api_version text,
    livemode boolean not null,
    source text not null,                        -- webhook or poll
    received_at timestamptz not null default clock_timestamp(),
    outcome text,                                -- applied, stale, refetched, ignored, failed; NULL while it waits
    reason text,                                 -- why it was ignored or has failed
    attempts integer not null default 0,         -- that have failed
    next_attempt_at timestamptz,                 -- of an event that has failed, was put off or is replayed
    done_at timestamptz,
    body jsonb not null,
    primary key (schema, id, created),
    constraint inbox_source check (source in ('webhook', 'poll')),
    constraint inbox_outcome check (outcome in ('applied', 'stale', 'refetched', 'ignored', 'failed'))
) partition by range (created);

create index if not exists inbox_waiting on stripe_sync.inbox (position) where outcome is null;
create index if not exists inbox_next_attempt on stripe_sync.inbox (next_attempt_at) where next_attempt_at is not null;

-- An event has some kilobytes. lz4 compresses them in a tenth of the time that the default takes.
do $$
begin
    if exists (select from pg_settings where name = 'default_toast_compression' and 'lz4' = any (enumvals))
        and exists (select from pg_attribute
                     where attrelid = 'stripe_sync.inbox'::regclass and attname = 'body' and attcompression <> 'l')
    then
        alter table stripe_sync.inbox alter column body set compression lz4;  -- which the next weeks take over
    end if;
end $$;

comment on table stripe_sync.inbox is 'Events of Stripe: each ends as applied, stale, refetched, ignored or failed.';

-- Makes the partition of the week of a time of creation, unless it is there. Returns its first day.
create or replace function stripe_sync.make_inbox_partition(at timestamptz) returns date
    language plpgsql
    volatile
    set search_path = pg_catalog, pg_temp
as $$
declare
    first_day date := date_trunc('week', at at time zone 'UTC');
    name text := 'inbox_' || to_char(first_day, 'YYYY_MM_DD');
begin
    if to_regclass('stripe_sync.' || name) is null then
        perform pg_advisory_xact_lock(hashtext('stripe_sync.inbox'));
        -- A query sees what was made while this waited, to_regclass may remember what it has not found.
        if not exists (select from pg_class where relname = name and relnamespace = 'stripe_sync'::regnamespace) then
            execute format('create table stripe_sync.%I (like stripe_sync.inbox including all)', name);
            execute format('alter table stripe_sync.inbox attach partition stripe_sync.%I for values from (%L) to (%L)',
                name, first_day::timestamp at time zone 'UTC', (first_day + 7)::timestamp at time zone 'UTC');
        end if;
    end if;
    return first_day;
end $$;

revoke execute on function stripe_sync.make_inbox_partition(timestamptz) from public;

-- Returns whether an event reports the creation of an object. The query is here and not where it is asked for, so that
-- copies are written without a lock on the inbox.
create or replace function stripe_sync.is_creation(of_schema text, event text, at timestamptz) returns boolean
    language plpgsql
    stable
    set search_path = pg_catalog, pg_temp
as $$
begin
    return exists (select from stripe_sync.inbox i
                    where i.schema = of_schema and i.id = event and i.created = at and i.type like '%.created');
end $$;

revoke execute on function stripe_sync.is_creation(text, text, timestamptz) from public;
