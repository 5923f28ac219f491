-- The connected accounts whose events workers read from Stripe's lists, and how far. Those that webhooks bring need no choice.

create table if not exists stripe_sync.connected_account (
    schema text not null,               -- of the copies of the server
    account text not null,              -- acct_...
    since timestamptz not null default now(),
    position timestamptz,               -- as in stripe_sync.event_position; NULL before the first poll
    overlapped_at timestamptz,
    polled_at timestamptz,              -- when it was last polled, by the clock of the database, with success or without
    polled_from timestamptz,
    error text,                         -- of the last poll
    primary key (schema, account)
);

comment on table stripe_sync.connected_account is 'The connected accounts whose events workers read, and how far they are read.';

-- Has all objects of a connected account asked for that were created since then, and all that are copied: for them there is no
-- refresh. Lists inside objects come with these objects, where they live with them.
create or replace function stripe_sync.refetch_account(schema text, account text, since timestamptz)
    returns void
    language plpgsql
    volatile
    set search_path = pg_catalog, pg_temp
as $$
declare
    resource text;
begin
    for resource in
        select r.name from stripe_sync.resource r
         where r.schema = refetch_account.schema and r.not_listed is null and r.parent is null
         order by r.name
    loop
        insert into stripe_sync.refetch as r (schema, resource, id, account, doubted_at, created_since)
        values (refetch_account.schema, resource, '/', refetch_account.account, now(), refetch_account.since)
            on conflict on constraint refetch_pkey do update
           set doubted_at = excluded.doubted_at, attempts = 0, created_since = least(r.created_since, excluded.created_since);
        execute format(
            'insert into stripe_sync.refetch as r (schema, resource, id, account, doubted_at)'
            ' select %1$L, %2$L, t.id, t._account, now() from %1$I.%2$I t where t._account = $1 and not t._deleted'
            '     on conflict on constraint refetch_pkey do update'
            '    set doubted_at = excluded.doubted_at, attempts = 0, only_expanded = false',
            refetch_account.schema, resource) using refetch_account.account;
    end loop;
end $$;

revoke execute on function stripe_sync.refetch_account(text, text, timestamptz) from public;

create or replace function stripe_sync.follow_account(account text, server text default 'stripe')
    returns boolean
    language plpgsql
    volatile
    set search_path = pg_catalog, pg_temp
as $$
declare
    known constant stripe_sync.server := stripe_sync.require_server(follow_account.server);
    copies constant text := known.copies;
    unused text;  -- PERFORM would have the CONTEXT of an error quote a statement
begin
    if follow_account.account is null or follow_account.account !~ '^acct_[A-Za-z0-9]{1,100}$' then
        raise invalid_parameter_value using
            message = format('%s is no id of an account', coalesce(quote_literal(left(follow_account.account, 100)), 'NULL')),
            hint = format('It is acct_ and letters or digits. %I.account lists the connected accounts.', known.live);
    end if;
    if exists (select from stripe_sync.account a where a.schema = copies and a.account_id = follow_account.account) then
        raise invalid_parameter_value using
            message = format('%s is the account of the key', follow_account.account),
            hint = 'Workers read its events in any case.';
    end if;
    insert into stripe_sync.connected_account (schema, account) values (copies, follow_account.account)
        on conflict do nothing;
    if not found then
        return false;
    end if;
    unused := stripe_sync.refetch_account(copies, follow_account.account, 'epoch');
    return true;
end $$;

comment on function stripe_sync.follow_account(text, text) is
    'Has workers copy the objects of a connected account, and read its events. Returns false if they do already.';

revoke execute on function stripe_sync.follow_account(text, text) from public;

create or replace function stripe_sync.unfollow_account(account text, server text default 'stripe')
    returns boolean
    language plpgsql
    volatile
    set search_path = pg_catalog, pg_temp
as $$
declare
    copies constant text := (stripe_sync.require_server(unfollow_account.server)).copies;
begin
    delete from stripe_sync.connected_account c where c.schema = copies and c.account = unfollow_account.account;
    return found;
end $$;

comment on function stripe_sync.unfollow_account(text, text) is
    'Has workers read the events of a connected account no more; its rows stay. Returns false if they did not.';

revoke execute on function stripe_sync.unfollow_account(text, text) from public;
