"""From quals to the requests of a read, with estimates for Postgres's planner and EXPLAIN's lines."""
