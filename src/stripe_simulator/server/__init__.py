"""The simulator as an HTTP server: dispatch, keys, limits, faults, idempotency, webhooks, control."""
