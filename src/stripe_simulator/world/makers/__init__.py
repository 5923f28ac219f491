"""makers."""
