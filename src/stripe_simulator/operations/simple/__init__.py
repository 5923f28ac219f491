"""Areas of the API of which only a few operations are simulated, each in one module."""
