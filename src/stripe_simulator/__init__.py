"""A stateful Stripe on this machine, built from the catalog: for demos, tests and benchmarks.

It knows nothing of the product. Its populations are pure functions from an index to an object, so millions of
objects cost no memory until they are touched; what is written lies above them in an overlay.

    app         one HTTP request, from its bytes to its answer      control     /_simulator/…
    lists       pages, cursors                                      faults      what goes wrong on demand
    filters     parameters that select                              limits      429s
    search      the query language, and its delay                   journal     the log of requests
    writes      create, update, delete                              events      the event log
    lifecycle   all other operations, and how to add one            handlers    which of them there are
    generator   an object from its index                            webhooks    deliveries, with retries
    population  how many, since when, with which ids                world       all collections of one account
"""

from __future__ import annotations
