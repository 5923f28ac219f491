-- The views show copies of Stripe's objects. A write to them would change the copy alone.

create or replace function stripe_sync.refuse_write()
    returns trigger
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
begin
    raise feature_not_supported using
        message = format('view "%s.%s" shows copies and cannot be written', tg_table_schema, tg_table_name),
        hint = 'Where the foreign tables are installed as well, stripe-fdw init lets writes through to Stripe.';
end $$;

revoke execute on function stripe_sync.refuse_write() from public;
