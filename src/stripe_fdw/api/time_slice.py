"""A slice of a list, as a value: the unread rest of a range of `created`, and how it is split."""

from __future__ import annotations

import math

from msgspec import Struct
from msgspec.structs import replace

from stripe_fdw.api.pages import earlier_cursors, endless_list_error, next_request, objects
from stripe_fdw.api.request import PAGE, Request
from stripe_fdw.api.responses import Response

FIRST_STEP = 8  # pages that the oldest slice keeps when it is first split
LARGER_STEP = 4
_CREATED = "created"


class Slice(Struct, frozen=True):
    """The unread rest of a range of time. Times are Unix seconds, both ends included."""

    oldest: int | None  # None: no lower bound
    newest: int | None  # None: up to now
    after: str | None = None  # the cursor to continue from
    earlier: tuple[str, ...] = ()  # cursors to use if that object is deleted
    reach: int | None = None  # the oldest ``created`` seen
    density: float = 0.0  # objects a second, estimated
    step: int = FIRST_STEP
    pages_read: int = 0
    milestone: str | None = None  # a cursor that must not come again, to detect cycles

    def request(self, base: Request) -> Request:
        """Return the request for its next page."""
        bounds = {f"{_CREATED}[gte]": self.oldest, f"{_CREATED}[lte]": self.newest}
        params = {name: value for name, value in bounds.items() if value is not None}
        cursor = {"starting_after": self.after} if self.after else {}
        return base.with_params(limit=PAGE, **params, **cursor)

    def read_on(self, page: Response, request: Request) -> Slice | None:
        """Return the rest after this page, which answers this request; None if the slice is read."""
        follow = next_request(request, page)
        if follow is None:
            return None
        after = dict(follow.params)["starting_after"]
        if after in (self.after, self.milestone):
            raise endless_list_error(request, page)
        pages_read = self.pages_read + 1  # a milestone at every power of two finds cycles of any length
        milestone = after if pages_read & (pages_read - 1) == 0 else self.milestone
        rest = replace(
            self, after=after, earlier=earlier_cursors(page), pages_read=pages_read, milestone=milestone
        )
        moments = [item.get(_CREATED) for item in objects(page, request)]
        times = [moment for moment in moments if isinstance(moment, int)]
        if len(times) < len(moments) or (self.after is not None and self.reach is None):
            return replace(rest, reach=None)  # no times to split by
        high = max(times) if self.reach is None else self.reach
        density = len(times) / max(1, high - min(times))
        if self.reach is not None:
            density = (density + self.density) / 2
        reach = min(times) if self.reach is None else min(*times, self.reach)
        return replace(rest, reach=reach, density=density)

    def pages_left(self) -> float:
        """Estimate the pages left; infinite for the slice without a lower bound."""
        if self.after is not None and self.reach is None:
            return 0.0  # no times to split by
        if self.oldest is None:
            return math.inf
        top = self.newest if self.reach is None else self.reach
        return 0.0 if top is None else self.density * (top - self.oldest) / PAGE

    def split(self) -> tuple[Slice, Slice] | None:
        """Return the newer part, which continues at the cursor, and the older; None if it can't be split."""
        if self.reach is None:
            return None
        if self.oldest is None:  # its size is not known
            end = self.reach - max(1, math.ceil(self.step * PAGE / self.density))
        else:
            end = (self.reach + self.oldest) // 2
        if end >= self.reach or (self.oldest is not None and end < self.oldest):
            return None
        older = Slice(self.oldest, end, density=self.density, step=self.step * LARGER_STEP)
        return replace(self, oldest=end + 1), older


def whole_slice(request: Request, since: int | None, until: int | None) -> tuple[Request, Slice | None]:
    """Return the request without its bounds, and the slice that they describe; None if it is empty."""
    oldest = [] if since is None else [since]
    newest = [] if until is None else [until]
    others = []
    for name, value in request.params:
        match name.removeprefix(_CREATED):
            case "[gte]":
                oldest.append(int(value))
            case "[gt]":
                oldest.append(int(value) + 1)
            case "[lte]":
                newest.append(int(value))
            case "[lt]":
                newest.append(int(value) - 1)
            case "":
                oldest.append(int(value))
                newest.append(int(value))
            case _:
                others.append((name, value))
    whole = Slice(max(oldest, default=None), min(newest, default=None))
    empty = whole.oldest is not None and whole.newest is not None and whole.oldest > whole.newest
    return replace(request, params=tuple(others)), None if empty else whole
