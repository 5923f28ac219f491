-- Copies what a statement has written to Stripe, at its end. The answers come from the foreign table
-- stripe_live._written, which waits for the requests under way; an error of theirs fails the statement. After that
-- nothing does, since Stripe has changed: what cannot be copied is a warning, and is queued to be read again.

create or replace function stripe_sync.copy_written()
    returns trigger
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    copies constant text := tg_argv[0];
    written record;
    problem text;
    hint text;
begin
    for written in select * from stripe_live._written loop
        problem := null;
        begin
            if to_regclass(format('%I.%I', copies, written.resource)) is null then
                continue;
            elsif not stripe_sync.is_key_of_copies(copies, written.key) then
                raise warning using
                    message = format('%s is not copied: the copies belong to another account', written.id),
                    hint = 'The user mapping of the role that writes has a key of another account or mode.';
                continue;
            elsif written.object is not null and stripe_sync.copy_own_write(
                copies, written.resource, written.object::jsonb, written.known_at, written.parent
            ) then
                continue;
            end if;
        exception when others then
            problem := sqlerrm;
        end;
        begin
            insert into stripe_sync.refetch as r (schema, resource, id, account, parent, doubted_at)
            values (copies, written.resource, written.id, '', written.parent, written.known_at)
                on conflict (schema, resource, id, account) do update
               set doubted_at = greatest(r.doubted_at, excluded.doubted_at);
            hint := 'It is noted in stripe_sync.refetch. A refresh brings the copy up to date.';
        exception when others then
            problem := coalesce(problem, sqlerrm);
            hint := 'A refresh brings the copy up to date.';
        end;
        if problem is not null then
            raise warning using
                message = format('%s is changed in Stripe, but not in its copy', written.id),
                detail = problem, hint = hint;
        end if;
    end loop;
    return null;
end $$;

revoke execute on function stripe_sync.copy_written() from public;

-- Applies the answer to one's own write. Of two states at nearly the same time it is the later one: the other was
-- known before. It is read again all the same, since an event may have come in between. Returns false if the copy has
-- a state that is later still: it may be that of before a slow request.
create or replace function stripe_sync.copy_own_write(
    copies text, resource text, object jsonb, known_at timestamptz, parent text
)
    returns boolean
    language plpgsql
    volatile
    parallel unsafe
    set search_path = pg_catalog, pg_temp
as $$
declare
    at timestamptz := known_at;
    other timestamptz;
    outcome text;
begin
    execute format('select _as_of from %I.%I where id = $1 and _account = '''' for update', copies, resource)
       into other using object ->> 'id';
    if other >= at and other <= at + interval '2 seconds' then
        at := other + interval '1 microsecond';
    end if;
    execute format('select outcome from %I.%I(array[$1], '''', $2, null, $3)', copies, '_apply_' || resource)
       into outcome using object, at, parent;
    return outcome is distinct from 'stale';
end $$;

revoke execute on function stripe_sync.copy_own_write(text, text, jsonb, timestamptz, text) from public;
