"""The program that runs the wrapper in a backend: one protocol, and its implementations."""
