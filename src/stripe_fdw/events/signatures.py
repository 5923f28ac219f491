"""The signatures of webhooks, verified by the ``stripe`` package."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from stripe import SignatureVerificationError, WebhookSignature

from stripe_fdw.redaction import Secret

TOLERANCE: Final = 300  # seconds that a signature is valid


def is_signed(body: bytes, header: str | None, secrets: Iterable[Secret]) -> bool:
    """Return True if the header has a signature of the body by one of the secrets, of the last five minutes.

    Other schemes than ``v1`` do not count.
    """
    return _is_signed_within(TOLERANCE, body, header, secrets)


def was_signed(body: bytes, header: str | None, secrets: Iterable[Secret]) -> bool:
    """Return True if the header has a signature of the body by one of the secrets, however old it is."""
    return _is_signed_within(None, body, header, secrets)


def _is_signed_within(
    tolerance: int | None, body: bytes, header: str | None, secrets: Iterable[Secret]
) -> bool:
    if not header or not header.isascii():
        return False
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return any(_is_signed(text, header, secret, tolerance) for secret in secrets)


def _is_signed(text: str, header: str, secret: Secret, tolerance: int | None) -> bool:
    try:
        return bool(WebhookSignature.verify_header(text, header, secret.reveal(), tolerance))
    except SignatureVerificationError:
        return False
