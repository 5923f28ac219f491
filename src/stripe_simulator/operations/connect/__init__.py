"""Stripe Connect: accounts, external accounts, links, transfers, application fees."""
