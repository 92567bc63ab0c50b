"""A progress bar on standard error, or the caller's own function."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from zoo.fetchers.options import FetchOptions, Progress

log = logging.getLogger(__name__)


@contextmanager
def progress_of(options: FetchOptions, title: str) -> Iterator[Progress]:
    """The progress function of a fetch; a bar only on a terminal, unless ``ZOO_PROGRESS=1``."""
    if callable(options.progress):
        yield options.progress
    elif options.progress and (sys.stderr.isatty() or _is_forced()):
        with _bar(title) as update:
            yield update
    else:
        yield lambda done, total: None


def say(options: FetchOptions, text: str) -> None:
    """A line for a person who asked for progress, terminal or not; else for the log."""
    if options.progress is True:
        print(text, file=sys.stderr)
    else:
        log.info(text)


def _is_forced() -> bool:
    import os

    return os.environ.get("ZOO_PROGRESS") == "1"


@contextmanager
def _bar(title: str) -> Iterator[Progress]:
    from tqdm import tqdm

    bar = tqdm(
        desc=title, unit="B", unit_scale=True, unit_divisor=1024, file=sys.stderr, leave=False, delay=0.2
    )

    def update(done: int, total: int | None) -> None:
        bar.total = total
        bar.update(done - bar.n)

    with bar:
        yield update
