"""Unknown parameters: a request that has one is refused."""

from __future__ import annotations

from collections.abc import Container, Iterable

from stripe_simulator import errors


def reject_unknown_parameters(names: Iterable[str], known: Container[str], *, inside: str = "") -> None:
    """Raise StripeError 400 that names the parameters which are not known.

    Args:
        names: the parameters of the request, or the keys of one of them.
        known: the names that are allowed.
        inside: the parameter whose keys ``names`` are; empty for the parameters of the request.
    """
    unknown = [f"{inside}[{name}]" if inside else name for name in names if name not in known]
    if unknown:
        raise errors.unknown_parameters(unknown)
