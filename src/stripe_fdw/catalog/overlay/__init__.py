"""Corrections and additions to what the SDK's types say, written by hand, each entry with its reason.

Sources: Stripe's API reference as quoted in the SDK's own docstrings, and the pages named beside the entries.
Everything else in the catalog is read from the SDK (``catalog.from_sdk``). An entry that no longer fits the
SDK makes the build fail.
"""
