-- The secrets that sign webhooks. Stripe shows the secret of an endpoint once, when it is made.

do $$
declare
    role text;
begin
    if to_regclass('stripe_sync.webhook_secret') is not null then
        return;  -- its privileges stay as they were granted
    end if;
    create table stripe_sync.webhook_secret (
        endpoint text primary key,   -- Stripe's id of it
        server text not null,
        url text not null,
        secret text not null,
        created_at timestamptz not null default now(),
        valid_until timestamptz      -- of an endpoint that is replaced: what it has sent may still be under way
    );
    comment on table stripe_sync.webhook_secret is
        'The signing secrets of webhook endpoints. A role that can read them can forge events.';
    -- Default privileges grant tables to others.
    for role in
        select distinct case a.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end
          from pg_class c, aclexplode(c.relacl) a
         where c.oid = to_regclass('stripe_sync.webhook_secret') and a.grantee <> c.relowner
    loop
        execute format('revoke all on stripe_sync.webhook_secret from %s', role);
    end loop;
end $$;
