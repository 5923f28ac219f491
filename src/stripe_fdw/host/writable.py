"""The statements that Stripe has operations for, by table, as C source that is compiled into the host."""

from __future__ import annotations

from stripe_fdw.catalog import load
from stripe_fdw.catalog.model import Resource


def writable_tables() -> str:
    """Return the entries of ``c/writable_tables.h``: the tables that lack some of the statements."""
    lines = []
    for resource in load().resources:
        commands = writable_commands(resource)
        if len(commands) < len(_BITS):
            bits = " | ".join(_BITS[command] for command in commands) or "0"
            lines.append(f'\t{{"{resource.name}", {bits}}},\n')
    return "".join(lines)


def writable_commands(resource: Resource) -> list[str]:
    """Return those of INSERT, UPDATE and DELETE that may change something in Stripe.

    DELETE is among them where Stripe keeps the object, but has something in its place, such as an operation
    that ends it: the error for the row then says what.
    """
    commands = []
    if resource.create is not None:
        commands.append("INSERT")
    if resource.update is not None or resource.transitions:
        commands.append("UPDATE")
    is_deleted = resource.delete is not None or any(holder.delete for holder in resource.holders)
    is_ended = any(item.ends_object for item in resource.transitions) or "active" in resource.update_paths
    if is_deleted or is_ended or "delete" in dict(resource.hints):
        commands.append("DELETE")
    return commands


_BITS = {"INSERT": "INSERTS", "UPDATE": "UPDATES", "DELETE": "DELETES"}
