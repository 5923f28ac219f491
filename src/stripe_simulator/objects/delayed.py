"""Work that Stripe does a moment after it responded, outside of any request."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from stripe_simulator.objects.events import emit_untold

if TYPE_CHECKING:
    from collections.abc import Callable

    from stripe_simulator.requests.request import ApiRequest


def do_later(request: ApiRequest, seconds: float, work: Callable[[ApiRequest], object]) -> None:
    """Call `work` after so many seconds; at once for 0.

    It is called with the request as Stripe's own: the events of the work name no request. It is not called
    once the account was discarded by a reset of the simulator.
    """
    if seconds <= 0:
        work(request)
        return
    own = replace(request, request_id="", idempotency_key=None)

    def do_now() -> None:
        if not request.account.is_discarded:
            work(own)
            emit_untold(own)

    asyncio.get_running_loop().call_later(seconds, do_now)
