"""What the SDK's types cannot say. Written by hand, small, each entry with its reason.

Sources: Stripe's API reference as it stands in the SDK's own docstrings, and the pages named beside the
entries. Everything else in the catalog is read from the SDK (``catalog.from_sdk``). An entry that no longer
fits the SDK makes the build fail.
"""
