-- The refreshes of copies: what the last one did, and where one that was interrupted goes on.

create table if not exists stripe_sync.run (
    schema text not null,                       -- of the copies
    resource text not null,
    account text not null,                      -- '' for the account of the key
    began_at timestamptz,                       -- by the clock of Stripe; NULL before the first response
    started_at timestamptz not null default now(),
    heartbeat_at timestamptz not null default now(),
    holder uuid,                                -- the process that runs it; NULL when it has ended
    position jsonb,                             -- what is left to read; NULL when all is read
    requests bigint not null default 0,
    objects bigint not null default 0,
    inserted bigint not null default 0,
    updated bigint not null default 0,
    deleted bigint not null default 0,
    unchanged bigint not null default 0,
    stale bigint not null default 0,
    finished_at timestamptz,
    finished_full_at timestamptz,               -- of the last refresh that read the whole list
    error text,
    primary key (schema, resource, account)
);

alter table stripe_sync.run
    add column if not exists job bigint,              -- of the queue; NULL without a worker
    add column if not exists changed_at timestamptz,  -- when a refresh last changed a row
    add column if not exists confirmed_at timestamptz,  -- rows were true then: when the last complete run began
    add column if not exists expected bigint,         -- how many objects the last complete list had
    add column if not exists lacks text;              -- why it failed: no list, permission, product or confirmation

comment on table stripe_sync.run is 'The last refresh of each resource. Its position says where to go on.';

-- The ids that a refresh has met. Lost with a crash of the server: then the refresh begins anew, since the row with the id
-- '' is lost with them.
create unlogged table if not exists stripe_sync.met (
    schema text not null,
    resource text not null,
    account text not null,
    id text not null,
    primary key (schema, resource, account, id)
);

alter table stripe_sync.met
    add column if not exists at timestamptz;  -- when the object was so, which its row does not say if it has not changed

-- Returns the last time at which a refresh has found a row that is not deleted as it should be. It is volatile to see
-- what was committed while the caller waited for the row's lock.
create or replace function stripe_sync.confirmed_at(schema text, resource text, id text)
    returns timestamptz
    language sql
    volatile
    set search_path = pg_catalog, pg_temp
as $$
    select greatest(
        (select r.confirmed_at from stripe_sync.run r
          where r.schema = confirmed_at.schema and r.resource = confirmed_at.resource and r.account = ''),
        (select m.at from stripe_sync.met m
          where m.schema = confirmed_at.schema and m.resource = confirmed_at.resource and m.account = ''
            and m.id = confirmed_at.id))
$$;

revoke execute on function stripe_sync.confirmed_at(text, text, text) from public;

-- Columns that were added to a copy, and the row after which they are still to be filled.
create table if not exists stripe_sync.new_columns (
    schema text not null,
    resource text not null,
    columns text[] not null,
    after_id text not null default '',
    after_account text not null default '',
    primary key (schema, resource)
);

-- Columns that were added to a copy, and whose index is still to be made.
create table if not exists stripe_sync.new_index (
    schema text not null,
    resource text not null,
    name text not null,              -- of the column
    primary key (schema, resource, name)
);

comment on table stripe_sync.new_index is 'Columns that a newer catalog has added, until they have their index.';

comment on table stripe_sync.new_columns is 'Columns that a newer catalog has added, until rows from before have their values.';
