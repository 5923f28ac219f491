"""Customers, their payment methods, sources, balances and tax IDs."""
