"""Options, columns and clients of foreign tables, and IMPORT FOREIGN SCHEMA."""
