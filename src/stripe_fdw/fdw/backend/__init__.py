"""The program that serves foreign tables in a backend: one protocol, and its implementations."""
