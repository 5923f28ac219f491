-- The requests that work in the background may send, shared by all processes on all machines that copy an account.

create table if not exists stripe_sync.budget (
    account text primary key,       -- of the key, with its mode
    next_at timestamptz not null    -- the first moment that no process has leased
);

comment on table stripe_sync.budget is
    'Until when processes have leased the requests that an account allows to work in the background.';
