-- Writes through a view of copies: the row's copy is locked and compared, then Stripe is asked, in one request for a
-- row. The trigger on the foreign table _view_write of the server copies the answer.
--
-- It runs as its owner, with the owner's key, so that an application needs rights on the view alone. Its arguments
-- are the schema of the copies, the resource, and the columns that have a second name, <column>_id.

create or replace function stripe_sync.write_view()
    returns trigger
    language plpgsql
    security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    copies constant text := tg_argv[0];
    resource constant text := tg_argv[1];
    view constant text := format('%I.%I', tg_table_schema, tg_table_name);
    live constant text := (select s.live from stripe_sync.server s where s.copies = tg_argv[0]);
    before jsonb := '{}';
    changes jsonb := '{}';
    name text;
    key text;
    locked record;
    answered_id text;
    parent_column constant text := (
        select r.parent_column from stripe_sync.resource r
         where r.schema = copies and r.name = resource and r.has_word_ids);
    parent text;  -- whose words the ids are; NULL where ids are unique
    result record;
    foreign_trigger constant text := stripe_sync.trigger_of_others(copies);
begin
    if foreign_trigger is not null then
        raise insufficient_privilege using
            message = format('view %s cannot be written: %s', view, foreign_trigger),
            detail = format('It would run with the rights of role "%s". Nothing was sent to Stripe.', current_user),
            hint = 'Drop the trigger, or have that role own its function.';
    end if;
    if tg_op <> 'INSERT' then
        before := to_jsonb(old);
        parent := before ->> parent_column;
    end if;
    if tg_op <> 'DELETE' then
        -- A column that INSERT leaves out is NULL here, so NULL is not sent.
        -- The others are taken out: jsonb_object_agg reads a long value again for each text in it.
        changes := to_jsonb(new);
        changes := changes - array(
            select c.key from jsonb_each(changes) c
             where c.value is not distinct from coalesce(before -> c.key, 'null'));
        foreach name in array tg_argv[2:] loop
            if changes ? (name || '_id') then
                if changes -> name <> changes -> (name || '_id') then
                    raise invalid_parameter_value using
                        message = format('columns "%s" and "%s_id" of view %s are one and got two values',
                            name, name, view),
                        hint = 'Set one of them.';
                end if;
                changes := jsonb_set(changes - (name || '_id'), array[name], changes -> (name || '_id'));
            end if;
        end loop;
        foreach name in array array['_raw', '_event', '_account', '_as_of'] loop
            if changes ? name then
                raise feature_not_supported using
                    message = format('column "%s" of view %s cannot be written', name, view);
            end if;
        end loop;
        if tg_op = 'UPDATE' and changes = '{}' then
            return new;
        end if;
    end if;
    if before ->> '_account' <> '' then
        raise feature_not_supported using
            message = format('%s belongs to the connected account %s: it cannot be written through view %s',
                before ->> 'id', before ->> '_account', view);
    end if;
    if to_regclass(format('%I._view_write', live)) is null then
        raise undefined_table using
            message = format('view %s cannot be written: the foreign table %I._view_write, which leads to Stripe, was'
                ' dropped', view, live),
            hint = 'stripe-fdw init makes it again; stripe-fdw uninstall removes what is left.';
    end if;
    -- The CONTEXT of an error does not quote the statement of a loop.
    for key in execute format('select a.key from %I._account a', live) loop
    end loop;
    if not stripe_sync.is_key_of_copies(copies, key) then
        raise object_not_in_prerequisite_state using
            message = format('view %s shows another account than that of the key that writes', view),
            hint = format('User mapping of role "%s".', current_user);
    end if;
    if tg_op <> 'INSERT' then
        execute format('select _raw from %I.%I where id = $1 and _account = '''' and not _deleted for update',
            copies, resource) into locked
            using case when parent is null then before ->> 'id' else stripe_sync.copy_key(before ->> 'id', parent) end;
        if locked._raw is distinct from before -> '_raw' then
            raise serialization_failure using
                message = format('%s has changed since the statement read it from view %s', before ->> 'id', view),
                detail = 'Another session, or an earlier row of the statement, has written it.'
                    ' Nothing was sent to Stripe for this row.',
                hint = 'Run the transaction again.';
        end if;
    end if;
    for answered_id in
        execute format('insert into %I._view_write as w (resource, operation, old, changes)'
            ' values ($1, $2, $3, $4) returning w.id', live)
        using resource, tg_op, before::text, changes::text
    loop
    end loop;
    if tg_op = 'DELETE' then
        return old;
    end if;
    if coalesce(nullif(current_setting('stripe_fdw.dry_run', true), ''), 'off')::boolean then  -- nothing was sent
        new.id := answered_id;
        return new;
    end if;
    execute format('select * from %s where id = $1 and _account = ''''', view)
        || case when parent is null then '' else format(' and %I = $2', parent_column) end
        into result using answered_id, parent;
    if result.id is null then  -- not copied, as a warning says, or not shown
        new.id := answered_id;
        return new;
    end if;
    return result;
end $$;

revoke execute on function stripe_sync.write_view() from public;
