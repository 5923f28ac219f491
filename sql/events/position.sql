-- How far the events that Stripe lists are in the inbox.

create table if not exists stripe_sync.event_position (
    schema text primary key,            -- of the copies of the server
    position timestamptz,               -- all events that Stripe showed then are stored, by the clock of Stripe
    overlapped_at timestamptz,          -- when a poll last looked back an hour for events that became visible late
    polled_at timestamptz,              -- when a poll was last complete, by the clock of the database
    error text                          -- of the last poll
);

alter table stripe_sync.event_position alter column position drop not null;  -- a first poll may fail

comment on table stripe_sync.event_position is 'How far the events that Stripe lists are in the inbox.';

-- Has events applied again that have ended: one, or all that have failed. Returns how many.
create or replace function stripe_sync.replay(id text, server text default 'stripe') returns bigint
    language plpgsql
    volatile
    set search_path = pg_catalog, pg_temp
as $$
declare
    replayed bigint;
begin
    update stripe_sync.inbox i
       set outcome = null, reason = null, attempts = 0, next_attempt_at = now(), done_at = null
      from stripe_sync.server s
     where s.name = replay.server and i.schema = s.copies and i.id = replay.id;
    get diagnostics replayed = row_count;
    if replayed = 0 then
        raise no_data_found using
            message = format('the inbox of server "%s" has no event "%s"', left(replay.server, 100), left(replay.id, 100)),
            hint = 'Events are kept for 90 days. stripe_sync.inbox lists them.';
    end if;
    perform pg_notify('stripe_inbox', '');
    return replayed;
end $$;

create or replace function stripe_sync.replay_failed(server text default 'stripe') returns bigint
    language plpgsql
    volatile
    set search_path = pg_catalog, pg_temp
as $$
declare
    replayed bigint;
begin
    update stripe_sync.inbox i
       set outcome = null, reason = null, attempts = 0, next_attempt_at = now(), done_at = null
      from stripe_sync.server s
     where s.name = replay_failed.server and i.schema = s.copies and i.outcome = 'failed';
    get diagnostics replayed = row_count;
    perform pg_notify('stripe_inbox', '');
    return replayed;
end $$;

comment on function stripe_sync.replay(text, text) is 'Has an event of the inbox applied again.';
comment on function stripe_sync.replay_failed(text) is 'Has all events of the inbox applied again that have failed.';
revoke execute on function stripe_sync.replay(text, text) from public;
revoke execute on function stripe_sync.replay_failed(text) from public;

-- Drops the weeks of the inbox whose events are all older than that and have ended. Returns the names of their tables.
-- It waits briefly for those who read the inbox: whatever arrives meanwhile waits behind it.
create or replace function stripe_sync.trim_inbox(age interval default '90 days') returns setof text
    language plpgsql
    volatile
    set search_path = pg_catalog, pg_temp
    set lock_timeout = '1s'
as $$
declare
    week record;
    is_open boolean;
begin
    for week in
        select c.relname as name, to_date(substr(c.relname, 7), 'YYYY_MM_DD') + 7 as ends
          from pg_inherits h
          join pg_class c on c.oid = h.inhrelid
         where h.inhparent = 'stripe_sync.inbox'::regclass
         order by c.relname
    loop
        continue when week.ends::timestamp at time zone 'UTC' > now() - age;
        execute format('select exists (select from stripe_sync.%I where outcome is null or next_attempt_at is not null)',
            week.name) into is_open;
        continue when is_open;
        execute format('drop table stripe_sync.%I', week.name);
        return next week.name;
    end loop;
end $$;

comment on function stripe_sync.trim_inbox(interval) is 'Drops the weeks of the inbox that are older than that.';
revoke execute on function stripe_sync.trim_inbox(interval) from public;
