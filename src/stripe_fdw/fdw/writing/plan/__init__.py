"""From a written row to its requests, as a value."""
