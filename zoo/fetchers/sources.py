"""Fetch a file: the store, else its sources in order, with one download among all processes."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from zoo import plugins
from zoo.errors import DigestMismatchError, FetchError, OfflineError, StoreError
from zoo.fetchers import health
from zoo.fetchers.options import FetchOptions
from zoo.fetchers.progress import progress_of, say
from zoo.records import FileSpec, record
from zoo.store import Blob
from zoo.transfer import receipts, using
from zoo.transfer.diagnosis import shown
from zoo.transfer.errors import (
    DeadlineError,
    LowSpeedError,
    NameLookupError,
    ProxyError,
    StalledError,
    UnreachableError,
)

if TYPE_CHECKING:
    from zoo.fetchers.options import Progress
    from zoo.store import Incoming, Store
    from zoo.transfer.settings import Settings

log = logging.getLogger(__name__)

SOURCES = "sources"
"""The kind of the records that say which bytes a source without a pinned digest gave."""


@record
class Failure:
    """A source and why it failed."""

    source: str
    error: FetchError


def fetch(file: FileSpec, store: Store, options: FetchOptions = FetchOptions()) -> Blob:  # noqa: B008
    """The blob of `file`: from the store without a socket, else from its sources in order.

    A file without a digest is trusted on first use: what its source gave is recorded, and pinned
    from then on. Raises `OfflineError`, `DigestMismatchError` where a source gave other bytes, or
    `FetchError` naming every source, the reason of each, and what to do.
    """
    file = _pinned(file, store, (*options.extra_sources, *file.sources))
    stored = find(file, store)
    if stored is not None:
        return stored
    if options.is_offline:
        raise _offline(file)
    with alone(_key(file, options), store, options):
        # Another process may have brought it while this one waited.
        return find(file, store) or _fetched(file, store, options)


def _pinned(file: FileSpec, store: Store, sources: tuple[str, ...]) -> FileSpec:
    """`file` with the digest that its source gave at first use, if it has none of its own."""
    if file.sha256 is not None:
        return dataclasses.replace(file, sha256=file.sha256.lower())
    for source in sources:
        known = store.recall(SOURCES, source)
        if isinstance(known, dict) and isinstance(known.get("sha256"), str):
            return dataclasses.replace(file, sha256=known["sha256"], size=known.get("size"))
    return file


def find(file: FileSpec, store: Store) -> Blob | None:
    """The blob of a pinned file where the store has it."""
    found = None if file.sha256 is None else store.find(file.sha256)
    if found is None or file.sha256 is None:
        return None
    return Blob(found, file.sha256, found.stat().st_size)


def _offline(file: FileSpec) -> OfflineError:
    return OfflineError(
        f"{file.path} ({_named(file)}) is not in the store, and offline was asked for",
        hint="Pull it once with a network, or import a bundle (zoo import).",
    )


def _named(file: FileSpec) -> str:
    return f"sha256:{file.sha256[:12]}…" if file.sha256 else ", ".join(map(shown, file.sources))


def _key(file: FileSpec, options: FetchOptions) -> str:
    sources = "\n".join((*options.extra_sources, *file.sources))
    return file.sha256 or hashlib.sha256(sources.encode()).hexdigest()


@contextmanager
def alone(key: str, store: Store, options: FetchOptions) -> Iterator[None]:
    """Hold the lock that makes N processes download once; go on without it after the timeout."""
    lock = store.lock(f"fetch-{key}", options.lock_timeout)
    try:
        lock.__enter__()
    except StoreError as error:
        log.warning("%s; downloading it here too", error.message)
        yield
        return
    try:
        yield
    finally:
        lock.__exit__(None, None, None)


def _fetched(file: FileSpec, store: Store, options: FetchOptions) -> Blob:
    settings = settings_of(file, options)
    with store.receiving(file.sha256, file.size) as incoming, progress_of(options, file.path) as progress:
        source = _from_any(file, incoming, options, (settings, progress))
        received = receipts.receipt(source.receipts, incoming.path)
        blob = incoming.commit(received.digest if received else None)
    if received is not None and received.resumed:
        say(
            options,
            f"{file.path}: resumed, {received.resumed:,} of {received.size:,} bytes were there already",
        )
    _remember(file, source.source, blob, store)
    return blob


@record
class Success:
    """The source that gave the bytes, and the receipts of its transfers."""

    source: str
    receipts: receipts.Receipts


def _from_any(
    file: FileSpec, incoming: Incoming, options: FetchOptions, context: tuple[Settings, Progress]
) -> Success:
    """Try sources until one gives the bytes. Raises the summary of all failures."""
    settings, progress = context
    sources = in_order(file, options)
    failures: list[Failure] = []
    for left, source in zip(range(len(sources) - 1, -1, -1), sources, strict=True):
        health.wait(source, settings.deadline)
        try:
            with using(settings_for(source, settings, options, left)), receipts.collecting() as collected:
                scheme_fetcher(source).fetch(source, file, incoming.path, progress)
            health.note_success(source)
            return Success(source, collected)
        except FetchError as error:
            _note(source, error, failures)
    raise _summary(file, failures)


def in_order(file: FileSpec, options: FetchOptions) -> list[str]:
    """The user's sources, then the file's own, those of hosts that failed lately last."""
    return [*options.extra_sources, *health.healthy_first(file.sources)]


def scheme_fetcher(source: str) -> Any:
    """The fetcher of a source's scheme. Raises `UsageError` for an unknown one."""
    return plugins.fetcher(urlsplit(source).scheme or source.partition(":")[0])


def settings_of(file: FileSpec, options: FetchOptions) -> Settings:
    """The settings for one file; its registry may allow the hosts of its sources to be private."""
    hosts = [urlsplit(source).hostname or "" for source in file.sources] if file.allow_private else []
    return dataclasses.replace(options.settings(), private_hosts=frozenset(hosts) - {""})


def settings_for(source: str, settings: Settings, options: FetchOptions, left: int) -> Settings:
    """The settings for one source, with `left` others behind it."""
    trusted = settings.trusted_hosts
    if source in options.extra_sources:
        trusted = trusted | {urlsplit(source).hostname or ""}
    return dataclasses.replace(settings, alternatives=left > 0, trusted_hosts=trusted)


_ILL = (UnreachableError, NameLookupError, StalledError, LowSpeedError, ProxyError)


def _note(source: str, error: FetchError, failures: list[Failure]) -> None:
    failures.append(Failure(source, error))
    log.info("%s failed: %s", shown(source), error.message)
    if isinstance(error, _ILL):
        health.note_failure(source)
    if isinstance(error, DeadlineError):
        raise _summary_of_deadline(failures)


def _summary_of_deadline(failures: list[Failure]) -> FetchError:
    return DeadlineError(f"the time allowed is over\n{_lines(failures)}", hint=failures[-1].error.hint)


def _summary(file: FileSpec, failures: list[Failure]) -> FetchError:
    wrong = next((item.error for item in failures if isinstance(item.error, DigestMismatchError)), None)
    hints = list(dict.fromkeys(item.error.hint for item in failures if item.error.hint))
    if wrong is not None:
        others = [item for item in failures if item.error is not wrong]
        message = f"{file.path}: {wrong.message}" + (f"\nOther sources:\n{_lines(others)}" if others else "")
        return DigestMismatchError(message, hint=wrong.hint)
    if not failures:
        return FetchError(f"{file.path} has no sources", hint="Name one (--source).")
    advice = "\n".join(
        [*hints, "Another source can be named with --source; docs/fetching.md lists the schemes."]
    )
    named = f" ({_named(file)})" if _named(file) else ""
    return FetchError(f"no source gave {file.path}{named}:\n{_lines(failures)}", hint=advice)


def _lines(failures: list[Failure]) -> str:
    return "\n".join(f"  {shown(item.source)}: {_reason(item)}" for item in failures)


def _reason(item: Failure) -> str:
    """The message without the address that the line begins with."""
    return item.error.message.removeprefix(f"{shown(item.source)}: ")


def _remember(file: FileSpec, source: str, blob: Blob, store: Store) -> None:
    if file.sha256 is None:
        store.remember(SOURCES, source, {"sha256": blob.digest, "size": blob.size})
