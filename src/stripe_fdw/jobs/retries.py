"""When a job that failed is tried again."""

from __future__ import annotations

from typing import Final

import psycopg
from procrastinate import BaseRetryStrategy, RetryDecision
from procrastinate.jobs import Job

from stripe_fdw.copies.accounts import OtherAccountError
from stripe_fdw.copies.refresh import DeletionsNotConfirmedError
from stripe_fdw.errors import AuthenticationError, Interrupted, StripeFdwError

MAX_ATTEMPTS: Final = 10
_FIRST_SECONDS: Final = 15
_MAX_SECONDS: Final = 3600
# Nothing but a person can change what these say.
_FINAL: Final = (AuthenticationError, OtherAccountError, DeletionsNotConfirmedError)


class LeaseNotOverError(StripeFdwError):
    """The run is still held in the name of an earlier attempt of this job, whose worker is gone."""

    def __init__(self, resource: str, seconds: float) -> None:
        super().__init__(f"the refresh of {resource} was interrupted, and goes on in {seconds:.0f} s")
        self.seconds = seconds


class Backoff(BaseRetryStrategy):
    """Failed jobs wait for 15 seconds, 30 seconds and so on up to an hour; interrupted ones go on at once."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        """Return when the job is tried again; None if it is not."""
        match exception:
            case Interrupted():
                return RetryDecision(retry_in={"seconds": 0})
            case LeaseNotOverError(seconds=seconds):
                return RetryDecision(retry_in={"seconds": int(seconds) + 1})
            case StripeFdwError() | psycopg.Error() if not isinstance(exception, _FINAL):
                if job.attempts + 1 < MAX_ATTEMPTS:
                    return RetryDecision(retry_in={"seconds": delay_seconds(job.attempts)})
        return None


def delay_seconds(attempts: int) -> int:
    """Return how long a job waits that has failed once more than ``attempts`` times."""
    return int(min(_FIRST_SECONDS * 2**attempts, _MAX_SECONDS))
