-- A refresh inside Postgres, through the foreign table, in the transaction of the caller.

-- Applies objects that a list had, without locking the rows of those that have not changed.
create or replace function stripe_sync.apply_listed(
    schema text, resource text, objects jsonb[], parent text, at timestamptz
)
    returns void
    language plpgsql
    volatile
    parallel unsafe
    set search_path = pg_catalog, pg_temp
as $$
declare
    changed jsonb[];
    keys text[];  -- the ids of the copies
    listed constant integer := cardinality(apply_listed.objects);
begin
    select array_agg(case when r.has_word_ids then stripe_sync.copy_key(o ->> 'id', apply_listed.parent) else o ->> 'id' end
                     order by position)
      into keys
      from unnest(apply_listed.objects) with ordinality as u(o, position)
      left join stripe_sync.resource r on r.schema = apply_listed.schema and r.name = apply_listed.resource;
    execute format(
        'select coalesce(array_agg(o), ''{}'') from unnest($1, $2) as u(o, k) where not exists ('
        ' select from %I.%I t where t.id = k and t._account = '''' and not t._deleted and t._raw = o)',
        apply_listed.schema, apply_listed.resource) into changed using apply_listed.objects, keys;
    execute format(
        'update stripe_sync.run r set objects = objects + $6, inserted = r.inserted + a.inserted,'
        ' updated = r.updated + a.updated, deleted = r.deleted + a.deleted, stale = r.stale + a.stale,'
        ' unchanged = r.unchanged + a.unchanged + $6 - cardinality($1)'
        '  from (select count(*) filter (where outcome = ''inserted'') as inserted,'
        '               count(*) filter (where outcome = ''updated'') as updated,'
        '               count(*) filter (where outcome = ''deleted'') as deleted,'
        '               count(*) filter (where outcome = ''stale'') as stale,'
        '               count(*) filter (where outcome = ''unchanged'') as unchanged'
        '          from %I.%I($1, '''', $2, null, $3)) a'
        ' where r.schema = $4 and r.resource = $5 and r.account = ''''',
        apply_listed.schema, '_apply_' || apply_listed.resource)
        using changed, apply_listed.at, apply_listed.parent, apply_listed.schema, apply_listed.resource, listed;
    insert into stripe_sync.met (schema, resource, account, id, at)
    select apply_listed.schema, apply_listed.resource, '', k, apply_listed.at
      from unnest(keys) k
     where k is not null
        on conflict do nothing;
exception
    when lock_not_available then
        raise lock_not_available using
            message = format('another transaction has locked rows of %s.%s', apply_listed.schema, apply_listed.resource),
            hint = 'Nothing was changed. Run it again, or use a worker, which waits: stripe_sync.refresh.';
end $$;

revoke execute on function stripe_sync.apply_listed(text, text, jsonb[], text, timestamptz) from public;

create or replace function stripe_sync.refresh_now(
    resource text, server text default 'stripe', confirm_deletions boolean default false,
    out inserted bigint, out updated bigint, out deleted bigint, out unchanged bigint, out stale bigint
)
    returns record
    language plpgsql
    volatile
    parallel unsafe
    set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    known record;  -- of stripe_sync.resource
    installed constant stripe_sync.server := stripe_sync.require_server(refresh_now.server);
    copies constant text := installed.copies;
    live constant text := format('%I.%I', installed.live, refresh_now.resource);
    copy constant text := format('%I.%I', copies, refresh_now.resource);
    -- Pages are read ahead, so that none is known to be later than this.
    began constant timestamptz := clock_timestamp() - interval '2 seconds';
    previous_timeout constant text := current_setting('lock_timeout');
    query text;
    object jsonb;
    parent text;
    last_parent text;
    batch jsonb[] := '{}';
    missing text[];
    alive text[];
    total bigint;
    lacked bigint;
    has_parent boolean;
    unused text;  -- PERFORM would have the CONTEXT of an error quote a statement
begin
    unused := stripe_sync.require_resource(refresh_now.resource, copies);
    select * into known from stripe_sync.resource r
     where r.schema = copies and r.name = refresh_now.resource;
    if known.not_listed is not null then
        raise feature_not_supported using
            message = format('%s cannot be refreshed: %s', refresh_now.resource, known.not_listed);
    end if;
    if to_regclass(live) is null then
        raise object_not_in_prerequisite_state using
            message = format('there is no foreign table %s', live),
            hint = 'Install it with stripe-fdw init, or have a worker refresh the copy: stripe_sync.refresh.';
    end if;
    if current_setting('transaction_isolation') <> 'read committed' then
        raise object_not_in_prerequisite_state using
            message = 'stripe_sync.refresh_now needs the isolation level READ COMMITTED';
    end if;
    -- It gives way to every other transaction, before Postgres looks for deadlocks.
    perform set_config('lock_timeout', '200ms', true);
    begin
        insert into stripe_sync.run as r (schema, resource, account, holder, began_at)
        values (copies, refresh_now.resource, '', gen_random_uuid(), began)
            on conflict on constraint run_pkey do update
           set holder = excluded.holder, began_at = began, started_at = now(), heartbeat_at = now(), position = null,
               requests = 0, objects = 0, inserted = 0, updated = 0, deleted = 0, unchanged = 0, stale = 0,
               finished_at = null, error = null
         where r.holder is null or r.heartbeat_at < now() - interval '1 minute';
        if not found then
            raise lock_not_available;
        end if;
    exception when lock_not_available then
        raise lock_not_available using
            message = format('%s is being refreshed already', refresh_now.resource),
            hint = 'stripe_sync.status shows how far it is.';
    end;
    delete from stripe_sync.met m
     where m.schema = copies and m.resource = refresh_now.resource and m.account = '';
    perform stripe_sync.invalidate(refresh_now.resource, null, installed.name);  -- an answer of the cache is no evidence of now

    if known.parent is null then
        query := format('select _raw, null from %s', live);
    else
        unused := stripe_sync.require_resource(known.parent, copies);
        query := format(
            'select l._raw, p.id from %I.%I p cross join lateral (select _raw from %s l where l.%I = p.id) l'
            ' where p._account = '''' and not p._deleted',
            copies, known.parent, live, known.parent_column);
    end if;
    for object, parent in execute query loop
        if cardinality(batch) = 100 or parent is distinct from last_parent then
            unused := stripe_sync.apply_listed(copies, refresh_now.resource, batch, last_parent, began);
            batch := '{}';
        end if;
        batch := batch || object;
        last_parent := parent;
    end loop;
    unused := stripe_sync.apply_listed(copies, refresh_now.resource, batch, last_parent, began);

    -- Rows that the list does not have are asked for by their ids.
    has_parent := known.parent is not null and exists (
        select from pg_attribute a where a.attrelid = copy::regclass and a.attname = known.parent_column and not a.attisdropped);
    execute format(
        'select array(select t.id from %1$s t where t._account = '''' and not t._deleted'
        ' and (t._as_of is null or t._as_of < $1) and not exists (select from stripe_sync.met m'
        ' where m.schema = $2 and m.resource = $3 and m.account = '''' and m.id = t.id)'
        '%2$s order by t.id),'
        ' (select count(*) from %1$s t where t._account = '''' and not t._deleted)', copy,
        concat(
            case when known.listed_days > 0 then format(' and t.created > $1 - interval ''%s days''', known.listed_days - 1) end,
            case when has_parent then format(' and t.%I is not null', known.parent_column) end))
        into missing, total using began, copies, refresh_now.resource;
    if cardinality(missing) > 0 then
        lacked := cardinality(missing);
        if has_parent then  -- deleted objects have no lists
            execute format(
                'select count(*) from %s t where t._account = '''' and t.id = any ($1) and not exists ('
                'select from %I.%I p where p.id = t.%I and p._account = '''' and p._deleted)',
                copy, copies, known.parent, known.parent_column) into lacked using missing;
        end if;
        if not refresh_now.confirm_deletions and (lacked > 1000 or (lacked > 100 and lacked > 0.05 * total)) then
            raise object_not_in_prerequisite_state using
                message = format('the list of %s lacks %s objects of the copy', refresh_now.resource, lacked),
                detail = format('That is %s%% of its rows. The key may see less than before.',
                    round(100.0 * lacked / total)),
                hint = 'If they are deleted, run it again with confirm_deletions => true.';
        end if;
        if known.has_retrieve then
            execute format('select array(select _raw from %s l where l.id = any ($1))', live) into batch using missing;
            unused := stripe_sync.apply_listed(copies, refresh_now.resource, batch, null, began);
            select coalesce(array_agg(o ->> 'id'), '{}') into alive from unnest(batch) o;
        end if;
        select array_agg(jsonb_build_object('id', id, 'object', known.object, 'deleted', true)) into batch
          from unnest(missing) as m(id)
         where id <> all (coalesce(alive, '{}'));
        unused := stripe_sync.apply_listed(copies, refresh_now.resource, coalesce(batch, '{}'), null, began);
    end if;

    update stripe_sync.run r
       set holder = null, job = null, confirmed_at = began, expected = r.objects,
           changed_at = case when r.inserted + r.updated + r.deleted > 0 then clock_timestamp() else r.changed_at end,
           finished_at = clock_timestamp(), finished_full_at = clock_timestamp(), heartbeat_at = clock_timestamp()
     where r.schema = copies and r.resource = refresh_now.resource and r.account = ''
    returning r.inserted, r.updated, r.deleted, r.unchanged, r.stale into inserted, updated, deleted, unchanged, stale;
    delete from stripe_sync.met m
     where m.schema = copies and m.resource = refresh_now.resource and m.account = '';
    -- Once a refresh, as workers do.
    if inserted + updated + deleted > 0 then
        perform pg_notify('stripe_changes', json_build_object(
            'server', installed.name, 'resource', refresh_now.resource, 'account', '')::text);
    end if;
    perform set_config('lock_timeout', previous_timeout, true);
end $$;

comment on function stripe_sync.refresh_now(text, text, boolean) is
    'Refreshes a copy within the transaction, through the foreign table. Returns how many rows were changed.';

revoke execute on function stripe_sync.refresh_now(text, text, boolean) from public;
