"""Shows Stripe as foreign tables."""
