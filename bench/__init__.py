"""Measurements: ratios against a limit or an alternative in the same run. ``make bench`` prints the table."""
