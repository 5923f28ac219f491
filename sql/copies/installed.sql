-- What is installed, so that only what differs is installed again: that locks tables and views.

create table if not exists stripe_sync.installed (
    schema text not null,        -- of the copies
    name text not null,          -- of the resource; '' for what all share
    digest text not null,        -- of the statements that made it, and of the columns that it has
    primary key (schema, name)
);

comment on table stripe_sync.installed is 'What is installed of each copy, to be compared with what should be.';
