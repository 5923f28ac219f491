"""Support code of the tests, on their import path through pytest's setting ``pythonpath``."""

from pathlib import Path

DIRECTORY = Path(__file__).parent
