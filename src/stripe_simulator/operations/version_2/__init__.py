"""Version 2 of the API: its lists, objects, writes and errors."""
