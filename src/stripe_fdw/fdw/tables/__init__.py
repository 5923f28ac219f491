"""The kinds of foreign tables: Stripe's objects, and the tables behind functions."""
