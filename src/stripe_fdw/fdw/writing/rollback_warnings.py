"""Warnings of a rollback: the changes that stay in Stripe."""

from __future__ import annotations

from stripe_fdw.fdw.backend.hosting import Host
from stripe_fdw.fdw.writing.statement_effects import StatementEffects


def warn_of_rollback(host: Host, effects: StatementEffects, event: str) -> None:
    """Show a WARNING that lists the changes that stay in Stripe; none where there are no changes.

    ``event`` says what was rolled back: "the transaction was rolled back".
    """
    details = []
    if effects.count:
        details.append(f"Changed: {effects.changed_text()}.")
    if effects.unknown_count:
        details.append(f"Outcome unknown: {effects.unknown_text()}.")
    if not details:
        return
    if effects.skipped_rows:
        details.append(f"Not carried out: {effects.skipped_text()}.")
    if not effects.count:
        consequence = "Stripe may have changed something"
    elif effects.count == 1:
        consequence = "1 object remains changed in Stripe"
    else:
        number = f"up to {effects.count}" if effects.untracked_writes else str(effects.count)
        consequence = f"{number} objects remain changed in Stripe"
    hint = "Stripe cannot roll back."
    if effects.is_copied:
        hint += " The copies are as before: a worker brings the changes soon, or the next refresh."
    host.warn(f"{event}, but {consequence}", " ".join(details), hint)
