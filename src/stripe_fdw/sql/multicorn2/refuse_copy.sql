-- COPY into a foreign table of Multicorn2 ends the backend, and with it every session. So each has a trigger that looks
-- first whether a COPY runs. It sees what the session does whoever asks: as its owner.

create or replace function stripe_sync.refuse_copy()
    returns trigger
    language plpgsql
    security definer
    set search_path = pg_catalog
as $$
begin
    if exists (select from pg_stat_progress_copy where pid = pg_backend_pid() and relid = tg_relid) then
        raise feature_not_supported using
            message = format('COPY into foreign table "%s" is not possible under Multicorn2', tg_table_name),
            hint = 'COPY into a temporary table, and INSERT from there; or use the bundled host.';
    end if;
    return null;
end $$;

do $$
declare
    unguarded oid;
begin
    for unguarded in
        select ftrelid
          from pg_foreign_table
          join pg_class on pg_class.oid = ftrelid
         where relnamespace = 'stripe_live'::regnamespace
           and not exists (select from pg_trigger where tgrelid = ftrelid and tgname = 'refuse_copy')
    loop
        execute format(
            'create trigger refuse_copy before insert on %s for each statement'
            ' execute function stripe_sync.refuse_copy()', unguarded::regclass);
    end loop;
end $$;
