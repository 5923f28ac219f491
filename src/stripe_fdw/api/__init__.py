"""Talks to Stripe: requests, pages, slices, limits, errors."""
