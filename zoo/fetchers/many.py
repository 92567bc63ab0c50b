"""Many files at once: a pool of connections where one after the other would wait for the network."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

from zoo.fetchers.options import FetchOptions
from zoo.fetchers.progress import progress_of
from zoo.fetchers.small import quick
from zoo.fetchers.sources import fetch
from zoo.transfer.connections import POOL

if TYPE_CHECKING:
    from zoo.fetchers.options import Progress
    from zoo.records import FileSpec
    from zoo.store import Blob, Store

LARGE = 16 * 2**20
"""Bytes from which a file is given several connections itself, and comes after the small ones."""


def fetch_many(
    files: Sequence[FileSpec],
    store: Store,
    options: FetchOptions = FetchOptions(),  # noqa: B008
) -> list[Blob]:
    """The blobs of `files`, in their order; small ones over a pool of keep-alive connections.

    Raises the error of the first file that fails; what came before stays in the store.
    """
    small = [file for file in files if file.size is not None and file.size < LARGE]
    with progress_of(options, f"{len(files)} files") as progress:
        total = _Total(files, progress)
        came = quick(small, store, options, total.arrived)
        blobs = {id(file): came[file.sha256] for file in small if file.sha256 in came}
        rest = [file for file in small if id(file) not in blobs]
        blobs |= _pooled(rest, store, options, total)
        for file in files:
            if id(file) not in blobs:
                blobs[id(file)] = fetch(file, store, total.options_for(file, options))
    return [blobs[id(file)] for file in files]


def _pooled(files: list[FileSpec], store: Store, options: FetchOptions, total: _Total) -> dict[int, Blob]:
    if not files:
        return {}
    with ThreadPoolExecutor(min(POOL, len(files)), thread_name_prefix="zoo-fetch") as pool:
        futures = {pool.submit(fetch, file, store, total.options_for(file, options)): file for file in files}
        done, waiting = wait(futures, return_when=FIRST_EXCEPTION)
        for future in waiting:
            future.cancel()
    return {id(futures[future]): future.result() for future in done}


class _Total:
    """The progress of several files as one."""

    def __init__(self, files: Sequence[FileSpec], progress: Progress) -> None:
        sizes = [file.size for file in files]
        self._total = None if None in sizes else sum(size or 0 for size in sizes)
        self._progress = progress
        self._done: dict[int, int] = {}
        self._sum = 0
        self._lock = threading.Lock()

    def options_for(self, file: FileSpec, options: FetchOptions) -> FetchOptions:
        """`options` whose progress is that of `file` within the total."""
        return dataclasses.replace(options, progress=self._of(id(file)))

    def arrived(self, file: FileSpec) -> None:
        """All of `file` came."""
        self._of(id(file))(file.size or 0, file.size)

    def _of(self, key: int) -> Callable[[int, int | None], None]:
        def update(done: int, total: int | None) -> None:
            with self._lock:
                self._sum += done - self._done.get(key, 0)
                self._done[key] = done
                self._progress(self._sum, self._total)

        return update
