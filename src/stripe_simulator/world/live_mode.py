"""Live mode: objects are generated and written as in test mode, and say that they are live when shown."""

from __future__ import annotations


def in_live_mode(body: bytes) -> bytes:
    """Return the JSON of objects, as orjson writes it, whose ``livemode`` is true."""
    return body.replace(b'"livemode":false', b'"livemode":true')
