"""The quick way for many small files: whole bodies in memory, one lock, one flush.

It takes what goes right at the first try of the first source. Everything else (a failure of any
kind, a scheme that needs more than one request, a limit) is left to `fetch`, which knows causes,
tries again, and goes to other sources.
"""

from __future__ import annotations

import hashlib
import itertools
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

from zoo.errors import DigestMismatchError, FetchError, UsageError
from zoo.fetchers import health
from zoo.fetchers.sources import alone, find, in_order, scheme_fetcher, settings_for, settings_of
from zoo.transfer import using
from zoo.transfer.connections import POOL
from zoo.transfer.diagnosis import shown
from zoo.transfer.errors import BusyError
from zoo.transfer.streaming import INLINE
from zoo.transfer.whole import read_whole

if TYPE_CHECKING:
    from zoo.fetchers.options import FetchOptions
    from zoo.records import FileSpec
    from zoo.store import Batch, Blob, Store
    from zoo.transfer import Request

log = logging.getLogger(__name__)

AT_ONCE = 1000
"""Files of one flush: a killed process loses no more."""
WAITED = 0.005
"""Seconds; a lock that nobody held is there sooner."""
Arrived = Callable[["FileSpec"], None]


def quick(
    files: Iterable[FileSpec], store: Store, options: FetchOptions, arrived: Arrived
) -> dict[str, Blob]:
    """The blobs of those `files` that come without any trouble, by digest.

    `arrived` is called, from any thread, for each file that came.
    """
    wanted = list({file.sha256: file for file in files if _is_simple(file, options)}.values())
    found: dict[str, Blob] = {}
    for group in _groups(wanted):
        if len(group) > 1:
            found |= _group(group, store, options, arrived)
    return found


def _is_simple(file: FileSpec, options: FetchOptions) -> bool:
    bounded = options.max_rate is not None or options.deadline is not None or options.is_offline
    return file.sha256 is not None and file.size is not None and file.size <= INLINE and not bounded


def _groups(files: list[FileSpec]) -> Iterator[list[FileSpec]]:
    items = iter(files)
    while group := list(itertools.islice(items, AT_ONCE)):
        yield group


def _group(files: list[FileSpec], store: Store, options: FetchOptions, arrived: Arrived) -> dict[str, Blob]:
    missing = [file for file in files if find(file, store) is None]
    if len(missing) < 2:
        return {}
    key = hashlib.sha256("".join(sorted(str(file.sha256) for file in missing)).encode()).hexdigest()
    began = time.monotonic()
    with alone(key, store, options):
        if time.monotonic() - began > WAITED:  # for another process, which may have brought them
            missing = [file for file in missing if find(file, store) is None]
        with store.batch(sum(file.size or 0 for file in missing)) as batch:
            _all(missing, batch, options, arrived)
        return dict(batch.blobs)


def _all(files: list[FileSpec], batch: Batch, options: FetchOptions, arrived: Arrived) -> None:
    if not files:
        return
    with ThreadPoolExecutor(min(POOL, len(files)), thread_name_prefix="zoo-fetch") as pool:
        futures = [pool.submit(_one, file, batch, options, arrived) for file in files]
        try:
            wait(futures)
        finally:
            for future in futures:  # an interrupt: those at work end, the others do not begin
                future.cancel()
    for future in futures:
        future.result()


def _one(file: FileSpec, batch: Batch, options: FetchOptions, arrived: Arrived) -> None:
    sources = in_order(file, options)
    try:
        request = _request(sources[0]) if sources else None
        if request is None or file.sha256 is None or file.size is None:
            return
        with using(settings_for(sources[0], settings_of(file, options), options, len(sources) - 1)):
            batch.put(file.sha256, read_whole(request, file.size))
        arrived(file)
    except (FetchError, DigestMismatchError, UsageError) as error:
        log.info("%s failed at its first try: %s", shown(sources[0]), error.message)
        if isinstance(error, BusyError):
            _be_patient(sources[0], error, options)


def _be_patient(source: str, error: BusyError, options: FetchOptions) -> None:
    seconds = options.backoff if error.retry_after is None else error.retry_after
    if seconds <= options.settings().longest_wait:  # a longer one is a failure, as `fetch` will say
        health.note_busy(source, seconds)


def _request(source: str) -> Request | None:
    """The one request that gives a source's bytes; None where its scheme needs more."""
    made: Request | None = getattr(scheme_fetcher(source), "request", lambda source: None)(source)
    return made
