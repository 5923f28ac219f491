"""Events of Stripe: received or polled into an inbox, and applied to the copies."""
