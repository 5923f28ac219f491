"""Fields of generated objects, by resource and by the name or kind of a column."""
