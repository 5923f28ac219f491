"""Local copies: Stripe's objects in tables of the database, and the statements that keep them."""
