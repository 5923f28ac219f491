"""Installation into a database with SQL."""
