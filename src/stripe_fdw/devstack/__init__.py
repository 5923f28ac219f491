"""A private Postgres and a simulated Stripe on this machine, for trials, tests and measurements."""
