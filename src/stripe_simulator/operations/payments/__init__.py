"""Payments: intents, charges, refunds, disputes, payouts, the balance."""
