"""Foreign tables: how quals become requests, responses rows, and written rows requests."""
