"""A stateful simulation of Stripe, built from the catalog, for demos, tests and benchmarks.

It imports nothing of stripe_fdw but the catalog. Generated objects are pure functions of an index, so
millions of objects take no memory until they are used. Written objects overlay them.

    server      HTTP: dispatch, API keys, rate limits, faults, idempotency, webhooks, the control endpoint
    operations  the operations of each area of the API, and their registry
    objects     what operations share: reads, the run of an operation, related objects, events
    requests    parameters, filters, pages, searches, expansion
    world       accounts, collections, generated objects
    process     a simulator as a child process
"""

from __future__ import annotations
