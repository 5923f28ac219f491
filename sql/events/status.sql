-- What became of the events of each server. Columns are added at its end alone: views of users may depend on it.
create or replace view stripe_sync.event_status as
    select s.name as server,
           count(i.id) filter (where i.outcome is null) as waiting,
           count(i.id) filter (where i.outcome = 'applied') as applied,
           count(i.id) filter (where i.outcome = 'stale') as stale,
           count(i.id) filter (where i.outcome = 'refetched') as refetched,
           count(i.id) filter (where i.outcome = 'ignored') as ignored,
           count(i.id) filter (where i.outcome = 'failed') as failed,
           max(i.received_at) filter (where i.source = 'webhook') as last_webhook_at,
           min(i.received_at) filter (where i.outcome is null) as waiting_since,
           p.position, p.polled_at, p.error as poll_error,
           now() - min(i.received_at) filter (where i.outcome is null) as waiting_for,
           (select format('%s (%s): %s', f.id, f.type, f.reason)
              from stripe_sync.inbox f
             where f.schema = s.copies and f.outcome = 'failed'
             order by f.done_at desc
             limit 1) as last_failure,
           (select count(*) from stripe_sync.connected_account c where c.schema = s.copies) as connected_accounts,
           (select format('%s: %s', c.account, c.error)
              from stripe_sync.connected_account c
             where c.schema = s.copies and c.error is not null
             order by c.polled_at desc
             limit 1) as connected_error
      from stripe_sync.server s
      left join stripe_sync.inbox i on i.schema = s.copies
      left join stripe_sync.event_position p on p.schema = s.copies
     group by s.name, s.copies, p.position, p.polled_at, p.error;

comment on view stripe_sync.event_status is 'For each server: what became of its events, and how far they are read.';
