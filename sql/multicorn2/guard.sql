-- Under Multicorn2 some statements crash the backend, which ends every session. So each foreign table has a trigger
-- that rejects them. It runs as the writing role: where SET ROLE hides from that role which table the session's COPY is
-- into, any COPY counts.

create or replace function stripe_sync.guard_table()
    returns trigger
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
begin
    if tg_op = 'INSERT' and exists (
        select from pg_catalog.pg_stat_progress_copy as running
         where running.pid = pg_catalog.pg_backend_pid() and coalesce(running.relid, tg_relid) = tg_relid
    ) then
        raise feature_not_supported using
            message = pg_catalog.format('COPY into foreign table "%s" is not possible under Multicorn2', tg_table_name),
            hint = 'COPY into a temporary table, and INSERT from there; or use the bundled host.';
    end if;
    if tg_op = 'UPDATE' and exists (
        select from pg_catalog.pg_attribute where attrelid = tg_relid and attisdropped
    ) then
        raise feature_not_supported using
            message = pg_catalog.format('UPDATE of foreign table "%s" is not possible under Multicorn2, since a column'
                ' of it was dropped', tg_table_name),
            hint = pg_catalog.format('DROP FOREIGN TABLE %s, then run stripe-fdw init, which makes it anew.',
                tg_relid::pg_catalog.regclass);
    end if;
    return null;
end $$;

revoke execute on function stripe_sync.guard_table() from public;  -- creating a trigger needs it, firing one does not

do $$
declare
    unguarded pg_catalog.oid;
begin
    for unguarded in
        select ftrelid
          from pg_catalog.pg_foreign_table
          join pg_catalog.pg_class on pg_class.oid = ftrelid
         where relnamespace = :'live'::pg_catalog.regnamespace
           and not exists (
               select from pg_catalog.pg_trigger where tgrelid = ftrelid and tgname = 'guard_table'
           )
    loop
        execute pg_catalog.format(
            'create trigger guard_table before insert or update on %s for each statement'
            ' execute function stripe_sync.guard_table()', unguarded::pg_catalog.regclass);
    end loop;
end $$;
