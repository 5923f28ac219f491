-- Writes to Stripe whose transaction did not commit, or whose backend was killed: their objects are read again. They are
-- noted outside of the database, in files that the foreign table stripe_live._lost_write shows.

-- Queues what the files say, and returns their names. Those with another account's key, or with one that the copies do not
-- know yet, are left to the next refresh.
create or replace function stripe_sync.queue_lost_writes(copies text)
    returns text[]
    language plpgsql
    volatile
    parallel unsafe
    set search_path = pg_catalog, pg_temp
as $$
declare
    lost record;
    files text[] := '{}';
    now constant timestamptz := clock_timestamp();
begin
    if to_regclass('stripe_live._lost_write') is null then
        return files;
    end if;
    for lost in
        select w.file, w.resource, w.parent, w.sent_at,
               case when r.has_word_ids then stripe_sync.copy_key(w.id, w.parent) else w.id end as id,
               r.name is not null
               and exists (select from stripe_sync.account a where a.schema = copies and w.key = any (a.keys)) as is_copied
          from stripe_live._lost_write w
          left join stripe_sync.resource r on r.schema = copies and r.name = w.resource
    loop
        if lost.file <> all (files) then
            files := files || lost.file;
        end if;
        if not lost.is_copied then
            continue;
        end if;
        if lost.id is null and lost.sent_at is null then
            -- Too many for their ids to be noted.
            if to_regclass('stripe_jobs.procrastinate_jobs') is not null then
                perform stripe_sync.refresh(lost.resource, copies);
            end if;
            continue;
        end if;
        insert into stripe_sync.refetch as r (schema, resource, id, account, parent, doubted_at, created_since)
        values (copies, lost.resource, coalesce(lost.id, concat(lost.parent, '/')), '', lost.parent, now,
                case when lost.id is null then lost.sent_at - interval '1 minute' end)
            on conflict on constraint refetch_pkey do update
           set doubted_at = greatest(r.doubted_at, excluded.doubted_at), attempts = 0,
               created_since = least(r.created_since, excluded.created_since);
    end loop;
    return files;
end $$;

revoke execute on function stripe_sync.queue_lost_writes(text) from public;

-- Removes files whose writes are queued. In a transaction of its own: the files do not come back with a rollback.
create or replace function stripe_sync.forget_lost_writes(files text[])
    returns void
    language sql
    volatile
    parallel unsafe
    set search_path = pg_catalog, pg_temp
as $$
    insert into stripe_live._lost_write (file) select unnest(files)
$$;

revoke execute on function stripe_sync.forget_lost_writes(text[]) from public;
