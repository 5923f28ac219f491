"""Stripe's answers within a statement and across statements, and what makes them stale."""
