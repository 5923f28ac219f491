"""``python -m bench.bare_receiver``: uvicorn that reads bodies and answers 200."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import uvicorn
import uvloop


async def answer(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answer 200 to a request, once its body is read."""
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body"})


def main() -> None:
    """Listen on a free port and print it."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        print(listening.getsockname()[1], flush=True)
        config = uvicorn.Config(
            answer, http="httptools", ws="none", lifespan="off", access_log=False, log_level="warning"
        )
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(uvicorn.Server(config).serve([listening]))


if __name__ == "__main__":
    main()
