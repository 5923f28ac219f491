"""The scan on whose behalf requests are made, its check for a cancel, and the cost of requests."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct, field

from stripe_fdw.api.responses import Response


class RequestCost(Struct):
    """Requests and answers of one scan, or of one plan node that writes, so far."""

    requests: int = 0
    retries: int = 0
    cache_hits: int = 0  # pages that this executor run, or the cache, had already
    bytes_received: int = 0
    seconds_waited: float = 0.0  # on rate limits
    answers: int = 0
    seconds_answering: float = 0.0  # from sending requests to the end of their answers, added up
    widened_lists: int = 0  # read without a filter, because Stripe refused it

    def add_response(self, response: Response) -> None:
        """Count a response and the requests that it took."""
        self.requests += 1
        self.retries += response.attempts - 1
        self.bytes_received += response.size
        self.seconds_waited += response.waited
        self.answers += 1
        self.seconds_answering += response.seconds

    def add_error(self) -> None:
        """Count a request whose error only means that no row matches, or that a row is deleted already."""
        self.requests += 1

    def add_cache_hit(self) -> None:
        """Count a page that was there already."""
        self.cache_hits += 1

    def add_widened_list(self) -> None:
        """Count a list that is read without a filter that Stripe refused."""
        self.widened_lists += 1

    def lines(self) -> list[tuple[str, str]]:
        """Return the lines that EXPLAIN ANALYZE adds, each a label and a text."""
        lines = [
            ("Stripe Requests Made", str(self.requests)),
            ("Stripe Retries", str(self.retries)),
            ("Stripe Cache Hits", str(self.cache_hits)),
            ("Stripe Time Waiting on Limits", f"{self.seconds_waited * 1000:.1f} ms"),
            ("Stripe Bytes Received", str(self.bytes_received)),
        ]
        if self.widened_lists:
            lines.append(("Stripe Lists Without a Refused Filter", str(self.widened_lists)))
        return lines


class Requester(Struct, frozen=True):
    """A scan that reads pages."""

    check: Callable[[], object]  # raises Interrupted when the scan's query is cancelled
    cost: RequestCost = field(default_factory=RequestCost)


class ActiveReader(Struct, eq=False):
    """Of several scans that read one page buffer, the one that waits for its next page.

    Requests that are under way are checked for a cancel, and counted, on behalf of this scan.
    """

    requester: Requester

    def check(self) -> None:
        """Raise Interrupted when the query of this scan is cancelled."""
        self.requester.check()

    @property
    def cost(self) -> RequestCost:
        """The cost of this scan."""
        return self.requester.cost

    def add_response(self, response: Response) -> None:
        """Count a response as this scan's."""
        self.requester.cost.add_response(response)
