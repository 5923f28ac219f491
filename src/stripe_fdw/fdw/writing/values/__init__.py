"""Column values as the parameters that Stripe takes."""
