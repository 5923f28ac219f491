-- What applying objects to copies leaves to be done: objects to fetch again, and objects that do not fit their columns.

create table if not exists stripe_sync.refetch (
    schema text not null,        -- of the copies
    resource text not null,
    id text not null,
    account text not null,       -- '' for the account of the key
    parent text,                 -- the id of the object in whose list it is
    doubted_at timestamptz not null,
    primary key (schema, resource, id, account)
);

alter table stripe_sync.refetch
    add column if not exists claimed_until timestamptz,  -- until then a process asks for it
    add column if not exists claimed_by integer,         -- the process id of its session, which holds a lock of that number
    add column if not exists attempts integer not null default 0,  -- that left it in doubt; with eight it is given up
    add column if not exists error text,                 -- why Stripe refused the last one
    add column if not exists only_expanded boolean not null default false,  -- the copy has the rest of its state
    add column if not exists created_since timestamptz;  -- not one object: all that were created since, of which no id is known

comment on table stripe_sync.refetch is
    'Objects to be fetched again: two states were seen at nearly the same time, or a write of theirs was not committed.';

create table if not exists stripe_sync.incomplete (
    schema text not null,
    resource text not null,
    id text not null,            -- of the object that holds the list
    account text not null,
    list text not null,          -- the field: items, lines
    known_at timestamptz,        -- of the object's state
    primary key (schema, resource, id, account, list)
);

alter table stripe_sync.incomplete
    add column if not exists known_at timestamptz,
    add column if not exists next_attempt_at timestamptz;  -- of a worker, after Stripe has refused

comment on table stripe_sync.incomplete is
    'Lists of which an object showed the first entries only: a worker, or the next refresh of the resource, reads the rest.';

create table if not exists stripe_sync.misfit (
    schema text not null,
    resource text not null,
    id text not null,
    account text not null,
    columns text[] not null,     -- NULL in the copy; _raw has what Stripe sent
    at timestamptz not null,
    primary key (schema, resource, id, account)
);

comment on table stripe_sync.misfit is
    'Objects with a field that its column cannot hold: the column is NULL, and _raw has the field.';

-- Returns the object without the fields whose text is no value of their type. A field is given as 'name type'.
create or replace function stripe_sync.without_misfits(object jsonb, fields text[], out cleaned jsonb, out lost text[])
    language plpgsql
    volatile
    set search_path = pg_catalog, pg_temp
as $$
declare
    field text;
    name text;
    unused text;
begin
    cleaned := object;
    lost := '{}';
    foreach field in array fields loop
        name := split_part(field, ' ', 1);
        begin
            if field like '% timestamp with time zone' and jsonb_typeof(object -> name) = 'number' then
                unused := to_timestamp((object ->> name)::double precision);
            else
                execute format('select r.%I from jsonb_to_record($1) as r(%I %s)',
                    name, name, substr(field, length(name) + 2)) into unused using object;
            end if;
        exception when data_exception then
            cleaned := cleaned - name;
            lost := lost || name;
        end;
    end loop;
end $$;

revoke execute on function stripe_sync.without_misfits(jsonb, text[]) from public;

-- Returns the new state of an object with the fields at these paths ('tax', 'fixed_amount.currency_options') from the old
-- state where the new one came without them: Stripe sends them only where a request expands them. NULL is a value.
create or replace function stripe_sync.with_kept_fields(new_state jsonb, old_state jsonb, paths text[])
    returns jsonb
    language plpgsql
    immutable
    set search_path = pg_catalog, pg_temp
as $$
declare
    field text;
    path text[];
    holder jsonb;
begin
    foreach field in array paths loop
        path := string_to_array(field, '.');
        holder := new_state #> path[:cardinality(path) - 1];
        if jsonb_typeof(holder) = 'object' and not holder ? path[cardinality(path)] and old_state #> path is not null then
            new_state := jsonb_set(new_state, path, old_state #> path);
        end if;
    end loop;
    return new_state;
end $$;

revoke execute on function stripe_sync.with_kept_fields(jsonb, jsonb, text[]) from public;
