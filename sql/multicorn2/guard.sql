-- Under Multicorn2 some statements crash the backend, which ends every session. So each foreign table has a trigger
-- that rejects them. It runs as its owner, so that it sees the COPY of the session, whichever role is set.

create or replace function stripe_sync.guard_table()
    returns trigger
    language plpgsql
    security definer
    set search_path = pg_catalog
as $$
begin
    if tg_op = 'INSERT' and exists (
        select from pg_stat_progress_copy where pid = pg_backend_pid() and relid = tg_relid
    ) then
        raise feature_not_supported using
            message = format('COPY into foreign table "%s" is not possible under Multicorn2', tg_table_name),
            hint = 'COPY into a temporary table, and INSERT from there; or use the bundled host.';
    end if;
    if tg_op = 'UPDATE' and exists (select from pg_attribute where attrelid = tg_relid and attisdropped) then
        raise feature_not_supported using
            message = format('UPDATE of foreign table "%s" is not possible under Multicorn2, since a column of it'
                ' was dropped', tg_table_name),
            hint = format('DROP FOREIGN TABLE %s, then run stripe-fdw init, which makes it anew.', tg_relid::regclass);
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
           and not exists (select from pg_trigger where tgrelid = ftrelid and tgname = 'guard_table')
    loop
        execute format(
            'create trigger guard_table before insert or update on %s for each statement'
            ' execute function stripe_sync.guard_table()', unguarded::regclass);
    end loop;
end $$;
