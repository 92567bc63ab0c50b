"""Try again, with back-off and jitter, where the cause says that it can help."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from zoo.transfer.errors import ALWAYS, LAST, DeadlineError, TransferError
from zoo.transfer.settings import Settings, current

T = TypeVar("T")


def retrying(attempt: Callable[[], T], progressed: Callable[[], bool] = lambda: False) -> T:
    """Call `attempt` until it returns, its error says never, or the tries are used up.

    `progressed` tells whether the last try brought bytes that stay; it starts the count anew.
    Raises the last `TransferError`, or `DeadlineError`.
    """
    settings = current()
    tries: dict[type[TransferError], int] = {}
    failures = 0
    while True:
        try:
            return attempt()
        except TransferError as error:
            failures = 1 if progressed() else failures + 1
            tries[type(error)] = tries.get(type(error), 0) + 1
            if not _again(error, failures, tries[type(error)], settings):
                raise
            _pause(error, failures, settings)


def _again(error: TransferError, failures: int, of_kind: int, settings: Settings) -> bool:
    if failures >= settings.attempts or of_kind >= (error.tries or settings.attempts * 1000):
        return False
    if error.retry_after is not None and error.retry_after > settings.longest_wait:
        return False
    return error.retry == ALWAYS or (error.retry == LAST and not settings.alternatives)


def _pause(error: TransferError, failures: int, settings: Settings) -> None:
    # Full jitter (Brooker, 2015), with a floor so that a restarting server is not hit at once.
    ceiling = min(30.0, settings.backoff * 2 ** (failures - 1))
    wait = ceiling * random.uniform(0.5, 1.0)
    if error.retry_after is not None:
        wait = max(wait, error.retry_after)
    if settings.deadline is not None and time.monotonic() + wait >= settings.deadline:
        raise DeadlineError(
            f"the time allowed is over; last: {error.message}", hint="Allow more time (--deadline)."
        ) from error
    time.sleep(wait)
