-- Writes to Stripe whose transaction did not commit, or whose backend was killed: their objects are read again. They are
-- noted outside of the database, in files that the foreign table _lost_write of each server shows.

drop function if exists stripe_sync.queue_lost_writes(text);  -- of earlier versions, for one server

-- Queues what the files say, and returns their names. Those with another account's key, or with one that the copies do not
-- know yet, are left to the next refresh.
create or replace function stripe_sync.queue_lost_writes()
    returns text[]
    language plpgsql
    volatile
    parallel unsafe
    set search_path = pg_catalog, pg_temp
as $$
declare
    server stripe_sync.server;
    lost record;
    shown text[];
    files text[];  -- that the tables of all servers have shown: a file may have writes to several
    now constant timestamptz := clock_timestamp();
begin
    for server in
        select * from stripe_sync.server s where to_regclass(format('%I._lost_write', s.live)) is not null order by s.name
    loop
        shown := '{}';
        for lost in
            execute format(
                'select w.file, w.resource, w.parent, w.sent_at,'
                '       case when r.has_word_ids then stripe_sync.copy_key(w.id, w.parent) else w.id end as id,'
                '       r.name is not null and exists ('
                '           select from stripe_sync.account a where a.schema = $1 and w.key = any (a.keys)) as is_copied'
                '  from %I._lost_write w'
                '  left join stripe_sync.resource r on r.schema = $1 and r.name = w.resource', server.live)
            using server.copies
        loop
            if lost.file <> all (shown) then
                shown := shown || lost.file;
            end if;
            if not lost.is_copied then
                continue;
            end if;
            if lost.id is null and lost.sent_at is null then
                -- Too many for their ids to be noted.
                if to_regclass('stripe_jobs.procrastinate_jobs') is not null then
                    perform stripe_sync.refresh(lost.resource, server.name);
                end if;
                continue;
            end if;
            insert into stripe_sync.refetch as r (schema, resource, id, account, parent, doubted_at, created_since)
            values (server.copies, lost.resource, coalesce(lost.id, concat(lost.parent, '/')), '', lost.parent, now,
                    case when lost.id is null then lost.sent_at - interval '1 minute' end)
                on conflict on constraint refetch_pkey do update
               set doubted_at = greatest(r.doubted_at, excluded.doubted_at), attempts = 0,
                   only_expanded = false,
                   created_since = least(r.created_since, excluded.created_since);
        end loop;
        -- What came since the first table was read is left to the next time.
        files := coalesce(files, shown);
    end loop;
    return coalesce(files, '{}');
end $$;

revoke execute on function stripe_sync.queue_lost_writes() from public;

-- Removes files whose writes are queued. In a transaction of its own: the files do not come back with a rollback.
create or replace function stripe_sync.forget_lost_writes(files text[])
    returns void
    language plpgsql
    volatile
    parallel unsafe
    set search_path = pg_catalog, pg_temp
as $$
declare
    live constant text := (
        select s.live from stripe_sync.server s
         where to_regclass(format('%I._lost_write', s.live)) is not null order by s.name limit 1);
begin
    execute format('insert into %I._lost_write (file) select unnest($1)', live) using files;
end $$;

revoke execute on function stripe_sync.forget_lost_writes(text[]) from public;
