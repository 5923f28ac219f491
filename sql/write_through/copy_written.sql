-- Copies what a statement has written to Stripe, at its end. The answers come from the foreign table _written of the
-- server, which waits for the requests under way; an error of theirs fails the statement. After that nothing does,
-- since Stripe has changed: what cannot be copied is a warning, and is queued to be read again.

create or replace function stripe_sync.copy_written()
    returns trigger
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    written record;
begin
    -- Many at a time: each call has a savepoint, and a transaction of many savepoints slows others down.
    for written in
        execute format(
            'select w.resource, w.parent, w.known_at, w.key, array_agg(w.id) as ids,'
            '       array_agg(w.object) filter (where w.object is not null) as objects'
            '  from (select *, (row_number() over () - 1) / 200 as batch from %I._written) w'
            ' group by w.batch, w.resource, w.parent, w.known_at, w.key, w.object is null'
            ' order by w.batch, w.known_at', tg_table_schema)
    loop
        perform stripe_sync.copy_answers(
            tg_argv[0], written.resource, written.parent, written.known_at, written.key, written.ids, written.objects);
    end loop;
    return null;
end $$;

revoke execute on function stripe_sync.copy_written() from public;

-- Copies answers of one time. Their objects are NULL where they are to be read again.
create or replace function stripe_sync.copy_answers(
    copies text, resource text, parent text, known_at timestamptz, key text, ids text[], objects text[]
)
    returns void
    language plpgsql
    volatile
    parallel unsafe
    set search_path = pg_catalog, pg_temp
as $$
declare
    half constant integer := cardinality(ids) / 2;
    described constant text := ids[1]
        || case when cardinality(ids) > 1 then format(' and %s more', cardinality(ids) - 1) else '' end;
    doubted text[] := ids;
    is_copied boolean := false;
    problem text;
    hint text;
    foreign_trigger constant text := stripe_sync.trigger_of_others(copies);
begin
    if foreign_trigger is not null then
        raise warning using
            message = format('%s changed in Stripe, but not copied: %s', described, foreign_trigger),
            detail = format('It would run with the rights of role "%s".', current_user),
            hint = 'Drop the trigger, or have that role own its function; a refresh brings the copy up to date.';
        return;
    end if;
    if to_regclass(format('%I.%I', copies, resource)) is null then
        return;
    end if;
    begin
        is_copied := stripe_sync.is_key_of_copies(copies, key);
        if not is_copied then
            raise warning using
                message = format('%s not copied: the copies belong to another account', described),
                hint = 'The user mapping of the role that writes has a key of another account or mode.';
            return;
        end if;
    exception when others then
        problem := sqlerrm;
    end;
    if is_copied and objects is not null then
        begin
            doubted := stripe_sync.copy_own_writes(copies, resource, objects::jsonb[], known_at, parent);
        exception when others then
            problem := sqlerrm;
        end;
        if problem is not null and half > 0 then
            perform stripe_sync.copy_answers(
                copies, resource, parent, known_at, key, ids[:half], objects[:half]);
            perform stripe_sync.copy_answers(
                copies, resource, parent, known_at, key, ids[half + 1:], objects[half + 1:]);
            return;
        end if;
    end if;
    if doubted = '{}' then
        return;
    end if;
    begin
        insert into stripe_sync.refetch as r (schema, resource, id, account, parent, doubted_at)
        select copies, copy_answers.resource, d.id, '', copy_answers.parent, known_at
          from (select distinct unnest(doubted) as id order by 1) d
            on conflict on constraint refetch_pkey do update
           set doubted_at = greatest(r.doubted_at, excluded.doubted_at), only_expanded = false;
        hint := 'It is noted in stripe_sync.refetch. A refresh brings the copy up to date.';
    exception when others then
        problem := coalesce(problem, sqlerrm);
        hint := 'A refresh brings the copy up to date.';
    end;
    if problem is not null then
        raise warning using
            message = format('%s changed in Stripe, but not copied', described), detail = problem, hint = hint;
    end if;
end $$;

revoke execute on function
    stripe_sync.copy_answers(text, text, text, timestamptz, text, text[], text[]) from public;

-- Applies the answers to one's own writes. Of two states at nearly the same time it is the later one: the other was
-- known before. It is read again all the same, since an event may have come in between. Returns the ids of those of
-- which the copy has a state that is later still: it may be that of before a slow request.
create or replace function stripe_sync.copy_own_writes(
    copies text, resource text, objects jsonb[], known_at timestamptz, parent text
)
    returns text[]
    language plpgsql
    volatile
    parallel unsafe
    set search_path = pg_catalog, pg_temp
as $$
declare
    apply constant text := format('%I.%I', copies, '_apply_' || resource);
    close text[];
    latest timestamptz;
    has_word_ids constant boolean := exists (
        select from stripe_sync.resource r
         where r.schema = copies and r.name = copy_own_writes.resource and r.has_word_ids);
    key constant text := case when has_word_ids then 'stripe_sync.copy_key(o ->> ''id'', $3)' else 'o ->> ''id''' end;
    stale text[];
begin
    execute format(
        'select coalesce(array_agg(id), ''{}''), max(at)'
        '  from (select t.id, case when t._as_of is null or t._deleted then t._as_of'
        '                     else greatest(t._as_of, stripe_sync.confirmed_at(%1$L, %2$L, t.id)) end as at'
        '          from (select c.id, c._as_of, c._deleted from %1$I.%2$I c'
        '                 where c.id in (select %3$s from unnest($1) o) and c._account = '''''
        '                 order by c.id for update) t'
        '        offset 0) known'
        ' where at between $2 and $2 + interval ''2 seconds''', copies, resource, key)
       into close, latest using objects, known_at, parent;
    execute format(
        'select coalesce(array_agg(id) filter (where outcome = ''stale''), ''{}'') from ('
        ' select * from %1$s(array(select o from unnest($1) o where %2$s <> all ($4)), '''', $2, null, $3)'
        ' union all'
        ' select * from %1$s(array(select o from unnest($1) o where %2$s = any ($4)), '''', $5, null, $3)) a',
        apply, key)
       into stale using objects, known_at, parent, close, latest + interval '1 microsecond';
    return stale;
end $$;

revoke execute on function stripe_sync.copy_own_writes(text, text, jsonb[], timestamptz, text) from public;
