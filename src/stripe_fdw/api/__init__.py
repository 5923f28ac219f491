"""Client of Stripe's API: requests, pages and slices of lists, rate limits, responses and errors."""
