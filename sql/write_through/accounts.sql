-- Whose key writes: what is written with the key of another account must not land in the copies.

-- Returns true if the key with this fingerprint belongs to the account of the copies. Where it is not known yet,
-- Stripe is asked and the key noted, as a refresh notes its key. The account of copies that were never refreshed is
-- that of the current role's key.
create or replace function stripe_sync.is_key_of_copies(copies text, key text)
    returns boolean
    language plpgsql
    volatile
    parallel unsafe
    set search_path = pg_catalog, pg_temp
as $$
declare
    known stripe_sync.account;
    live constant text := (select s.live from stripe_sync.server s where s.copies = is_key_of_copies.copies);
    asked record;
begin
    select * into known from stripe_sync.account a where a.schema = copies;
    if is_key_of_copies.key = any (known.keys) then
        return true;
    end if;
    if known.schema is null then
        execute format('select * from %I._account', live) into asked;
        insert into stripe_sync.account (schema, account_id, livemode, keys)
        values (copies, asked.account_id, asked.livemode, array[asked.key])
            on conflict (schema) do nothing;
        return asked.key = is_key_of_copies.key or stripe_sync.is_key_of_copies(copies, is_key_of_copies.key);
    end if;
    execute format('select * from %I._account a where a.key = $1', live) into asked using is_key_of_copies.key;
    if asked.account_id is distinct from known.account_id or asked.livemode is distinct from known.livemode then
        return false;
    end if;
    -- Without waiting for a session that notes a key too.
    begin
        update stripe_sync.account a set keys = (array[is_key_of_copies.key] || a.keys)[:20]
         where a.ctid in (select l.ctid from stripe_sync.account l where l.schema = copies for update skip locked);
    exception when serialization_failure then
        return true;  -- another session has noted one since the snapshot of this transaction
    end;
    return true;
end $$;

revoke execute on function stripe_sync.is_key_of_copies(text, text) from public;
