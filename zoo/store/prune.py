"""Give room back: what no record names, and, if asked, the models used longest ago.

A record is a root (but for pins, see `zoo.store.references`): every sha256 in it keeps a blob.
Plain pruning removes what has no root. With `older` or `max_size` the roots themselves go, least
recently used first, and then what only they kept. Nothing younger than the grace is touched,
because a process may be about to record it.
"""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from zoo.records import record
from zoo.store import models
from zoo.store.disk import owner_token, storing
from zoo.store.environments import remove_environment
from zoo.store.layout import Layout
from zoo.store.locks import remove_if_free
from zoo.store.memo import Memo
from zoo.store.notes import Note
from zoo.store.references import referenced, roots, title
from zoo.store.upkeep import MODELS, Contents, StoredBlob, StoredModel, contents, last_use

_QUARANTINE_LASTS = 7 * 86400.0


@record
class PruneOptions:
    """`older` and `grace` in seconds, `max_size` in bytes; None leaves records alone."""

    older: float | None = None
    max_size: int | None = None
    grace: float = 3600.0
    dry_run: bool = False
    environments: frozenset[str] | None = None
    """Names of the environments that lock files still ask for; None where nobody knows."""


@record
class Removed:
    """`what` is ``"record"``, ``"model"``, ``"blob"``, ``"environment"``, ``"leftover"``, ``"quarantined"``
    or ``"lock"``."""

    what: str
    name: str
    path: Path
    size: int
    used: float


@record
class Pruned:
    """What was removed (or would be, in a dry run) and the bytes before and after."""

    removed: tuple[Removed, ...]
    before: int
    after: int

    @property
    def freed(self) -> int:
        return self.before - self.after


def prune(layout: Layout, memo: Memo, options: PruneOptions) -> Pruned:
    """Remove what the options allow. The caller holds the store's prune lock."""
    with storing(layout.root):
        found = contents(layout, memo)
        removed = tuple(_choice(layout, found, options))
        if not options.dry_run:
            removed = tuple(one for one in removed if _remove(one, memo, options.grace))
    return Pruned(removed, found.size, found.size - sum(one.size for one in removed))


def _choice(layout: Layout, found: Contents, options: PruneOptions) -> Iterator[Removed]:
    """What to remove, in the order that leaves a usable store whenever it is interrupted."""
    now = time.time()
    loose = [*_stale_leftovers(found, options, now), *_stale_quarantine(found, options, now)]
    loose += _dropped_environments(found, options, now, sum(one.size for one in loose))
    dropped = _dropped_roots(layout, found, options, now, sum(one.size for one in loose))
    kept = [note for note in roots(layout) if note.path not in {note.path for note in dropped}]
    yield from loose
    for note in dropped:
        yield Removed("record", title(note), note.path, 0, note.used)
    yield from _rootless_models(layout, found, kept, now - options.grace)
    yield from _rootless_blobs(found, kept, now - options.grace)
    for path in sorted(layout.locks.glob("*.lock")):
        if now - path.stat().st_mtime > options.grace:
            yield Removed("lock", path.stem, path, 0, path.stat().st_mtime)


def _stale_leftovers(found: Contents, options: PruneOptions, now: float) -> Iterator[Removed]:
    for one in found.leftovers:
        if not one.active and not (one.resumable and now - one.since <= options.grace):
            yield Removed("leftover", one.path.name, one.path, one.size, one.since)


def _stale_quarantine(found: Contents, options: PruneOptions, now: float) -> Iterator[Removed]:
    asked = options.older is not None or options.max_size is not None
    lasts = options.grace if asked else max(_QUARANTINE_LASTS, options.grace)
    for one in found.quarantined:
        if now - one.since > lasts:
            yield Removed("quarantined", one.path.name, one.path, one.size, one.since)


def _dropped_environments(
    found: Contents, options: PruneOptions, now: float, loose: int
) -> Iterator[Removed]:
    """Those that no lock asks for, and, if asked, the least recently used: each can be built again."""
    asked_for = options.environments
    left = found.size - loose
    for one in sorted(found.environments, key=lambda one: (one.path.name in (asked_for or ()), one.used)):
        if now - one.used <= options.grace:
            continue
        unknown = asked_for is not None and one.path.name not in asked_for
        old = options.older is not None and now - one.used > options.older
        if unknown or old or (options.max_size is not None and left > options.max_size):
            left -= one.size
            yield Removed("environment", one.path.name, one.path, one.size, one.used)


def _dropped_roots(
    layout: Layout, found: Contents, options: PruneOptions, now: float, loose: int
) -> list[Note]:
    """The records that go, least recently used first."""
    ordered = roots(layout)
    old = [note for note in ordered if now - note.used > options.grace]
    dropped = [note for note in old if options.older is not None and now - note.used > options.older]
    if options.max_size is None:
        return dropped
    left = _Balance(found, ordered, now - options.grace)
    left.size -= loose
    for note in dropped:
        left.drop(note)
    for note in old[len(dropped) :]:
        if left.size <= options.max_size:
            break
        left.drop(note)
        dropped.append(note)
    return dropped


class _Balance:
    """The bytes that stay in the store as roots are dropped one by one."""

    def __init__(self, found: Contents, ordered: list[Note], before: float) -> None:
        self._blobs = {blob.digest: blob for blob in found.blobs if blob.used < before}
        self._models = {models.record_key(model.path): model for model in found.models}
        self._uses = Counter(digest for note in ordered for digest in set(referenced(note.value)))
        garbage = [blob.size for digest, blob in self._blobs.items() if not self._uses[digest]]
        self.size = found.size - sum(garbage)

    def drop(self, note: Note) -> None:
        if note.kind == MODELS and note.key in self._models:
            self.size -= self._models.pop(note.key).size
        for digest in set(referenced(note.value)):
            self._uses[digest] -= 1
            if not self._uses[digest] and digest in self._blobs:
                self.size -= self._blobs[digest].size


def _rootless_models(layout: Layout, found: Contents, kept: list[Note], before: float) -> Iterator[Removed]:
    rooted = {layout.models / note.key for note in kept if note.kind == MODELS}
    known = {model.path: model for model in found.models}
    for folder in sorted(layout.models.glob("*/*")):
        if folder in rooted or folder.name.startswith(".") or folder.lstat().st_mtime >= before:
            continue
        model = known.get(folder) or StoredModel(folder, {}, 0, folder.lstat().st_mtime)
        yield Removed("model", models.record_key(folder), folder, model.size, model.used)


def _rootless_blobs(found: Contents, kept: list[Note], before: float) -> Iterator[Removed]:
    rooted = {digest for note in kept for digest in referenced(note.value)}
    for blob in found.blobs:
        if blob.digest not in rooted and blob.used < before:
            yield _removed_blob(blob)


def _removed_blob(blob: StoredBlob) -> Removed:
    return Removed("blob", blob.digest, blob.path, blob.size, blob.used)


def _remove(one: Removed, memo: Memo, grace: float) -> bool:
    """Whether it was removed; a blob that was used since it was chosen stays."""
    if one.what == "lock":
        return remove_if_free(one.path)
    if one.what == "blob":
        if last_use(one.path, memo) >= time.time() - grace:
            return False
        memo.forget(one.name)
    if one.what == "environment":
        remove_environment(one.path)
    elif one.path.is_dir() and not one.path.is_symlink():
        # A folder must not be seen half empty under its own name.
        hidden = one.path.with_name(f".{one.path.name}.{owner_token()}.tmp")
        one.path.rename(hidden)
        shutil.rmtree(hidden)
    else:
        one.path.unlink(missing_ok=True)
    return True
