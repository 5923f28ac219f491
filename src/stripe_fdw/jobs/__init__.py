"""Jobs in the background: the queue in Postgres, and the worker that runs it."""
