"""Measurements of speed and memory against simpler programs: ``make bench``."""
