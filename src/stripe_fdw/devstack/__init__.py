"""A private Postgres and a simulated Stripe on this machine, for trying, testing and measuring."""
