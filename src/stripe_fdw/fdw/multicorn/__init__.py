"""multicorn."""
