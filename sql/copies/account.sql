-- The account whose objects a schema of copies holds. A key of another account or mode is refused.

create table if not exists stripe_sync.account (
    schema text primary key,     -- of the copies
    account_id text not null,    -- of the key
    livemode boolean not null,
    known_since timestamptz not null default now()
);

-- Fingerprints of keys that belong to the account, so that not every session asks Stripe.
alter table stripe_sync.account add column if not exists keys text[] not null default '{}';

comment on table stripe_sync.account is 'The account and mode of each schema of copies.';
