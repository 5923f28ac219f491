-- A role with TRIGGER on a table has its functions run by the roles that write to it. What is written through a view is
-- copied with the rights of the owner, so no trigger on the way may run a function of another role.

-- Returns what a warning says of a trigger on the copies, on the tables of their state, or on what views write to, whose
-- function belongs neither to the current role nor to a superuser; NULL if there is none.
create or replace function stripe_sync.trigger_of_others(copies text)
    returns text
    language sql
    stable
    set search_path = pg_catalog, pg_temp
as $$
    select format('trigger "%s" on %s runs a function of role "%s"', tgname, tgrelid::regclass, rolname)
      from pg_trigger
      join pg_class on pg_class.oid = tgrelid
      join pg_proc on pg_proc.oid = tgfoid
      join pg_roles on pg_roles.oid = proowner
     where (relnamespace in (to_regnamespace(quote_ident(copies)), to_regnamespace('stripe_sync'))
            or tgrelid = to_regclass(format('%I._view_write',
                (select s.live from stripe_sync.server s where s.copies = trigger_of_others.copies))))
       and not tgisinternal and not (rolname = current_user or rolsuper)
     limit 1
$$;

revoke execute on function stripe_sync.trigger_of_others(text) from public;
