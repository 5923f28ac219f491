"""From the plan of a read to pages of objects, and from pages to rows."""
