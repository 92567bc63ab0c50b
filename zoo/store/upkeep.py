"""What is in a store, whether it is still right, and what can be mended."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from zoo.records import record
from zoo.store import models
from zoo.store.disk import digest_of, storing
from zoo.store.environments import StoredEnvironment, environments
from zoo.store.layout import Layout
from zoo.store.memo import Memo
from zoo.store.notes import Note, notes
from zoo.store.quarantine import DAMAGED, Quarantined, quarantine, quarantined
from zoo.store.references import Leftover, blob_paths, leftovers, size_of, title, users

MODELS = "models"
"""The kind of the records that say which blobs a model folder shows."""

Progress = Callable[[int, int | None], None]


@record
class StoredBlob:
    """A blob, when it was last used (to ten minutes), and the records that name it."""

    path: Path
    digest: str
    size: int
    used: float
    users: tuple[str, ...]


@record
class StoredModel:
    """A model folder: `files` is {relative path: digest}, `size` what it takes beside its blobs."""

    path: Path
    files: dict[str, str]
    size: int
    used: float


@record
class Contents:
    """All that lies in one store root."""

    root: Path
    blobs: tuple[StoredBlob, ...]
    models: tuple[StoredModel, ...]
    leftovers: tuple[Leftover, ...]
    quarantined: tuple[Quarantined, ...]
    environments: tuple[StoredEnvironment, ...] = ()

    @property
    def size(self) -> int:
        """Bytes in all; records and memos are too small to count."""
        lasting = sum(blob.size for blob in self.blobs) + sum(model.size for model in self.models)
        lasting += sum(one.size for one in self.environments)
        passing = sum(one.size for one in self.leftovers) + sum(one.size for one in self.quarantined)
        return lasting + passing


@record
class Damage:
    """A file that is not what its name or record says; `users` are the records that need it."""

    path: Path
    digest: str
    reason: str
    """``"wrong digest"``, ``"unreadable"`` or ``"missing"``."""
    users: tuple[str, ...]


@record
class Verification:
    """The result of hashing everything: files and bytes read, and what is wrong."""

    files: int
    size: int
    damaged: tuple[Damage, ...]

    @property
    def passed(self) -> bool:
        return not self.damaged


@record
class Repair:
    """What a repair did: files moved aside, models built again, and what must be pulled again."""

    found: Verification
    quarantined: tuple[Path, ...]
    rebuilt: tuple[Path, ...]
    lost: tuple[str, ...]


def contents(layout: Layout, memo: Memo) -> Contents:
    """List a store root without hashing anything."""
    with storing(layout.root):
        return Contents(
            layout.root,
            tuple(_stored_blobs(layout, memo)),
            tuple(_stored_models(layout)),
            tuple(leftovers(layout)),
            tuple(quarantined(layout)),
            tuple(environments(layout)),
        )


def _stored_blobs(layout: Layout, memo: Memo) -> Iterator[StoredBlob]:
    named = users(layout)
    for path in blob_paths(layout):
        titles = tuple(sorted({title(note) for note in named.get(path.name, ())}))
        yield StoredBlob(path, path.name, path.lstat().st_size, last_use(path, memo), titles)


def last_use(blob: Path, memo: Memo) -> float:
    """When a blob was last found or written, in seconds since 1970."""
    return max(memo.last_use(blob.name) or 0.0, blob.lstat().st_ctime)


def _stored_models(layout: Layout) -> Iterator[StoredModel]:
    for note in notes(layout, MODELS):
        folder = layout.models / note.key
        if folder.is_dir():
            yield StoredModel(folder, note.value["files"], size_of(folder), note.used)


# --- verify -----------------------------------------------------------------------------------------


def verification(layouts: tuple[Layout, ...], memo: Memo, progress: Progress | None = None) -> Verification:
    """Hash every blob and every real file of a model, whatever the memo says.

    The first of `layouts` is verified; a blob counts as missing when none of them has it.
    `progress` gets the bytes read so far and in all.
    """
    layout = layouts[0]
    with storing(layout.root):
        targets = (*_blob_targets(layout), *_model_targets(layout))
        named = users(layout)
        total = sum(size for *_, size in targets)
        done, damaged = 0, []
        for path, digest, key, size in targets:
            if reason := _what_is_wrong(path, digest, key, memo):
                damaged.append(Damage(path, digest, reason, _titles(named.get(digest, []))))
            done += size
            if progress is not None:
                progress(done, total)
        missing = tuple(_missing(layouts, named))
        return Verification(len(targets), total, (*damaged, *missing))


def _titles(found: list[Note]) -> tuple[str, ...]:
    return tuple(sorted({title(note) for note in found}))


_Target = tuple[Path, str, str, int]


def _blob_targets(layout: Layout) -> Iterator[_Target]:
    for path in blob_paths(layout):
        yield path, path.name, path.name, path.lstat().st_size


def _model_targets(layout: Layout) -> Iterator[_Target]:
    for model in _stored_models(layout):
        for name, digest in model.files.items():
            path = model.path / name
            if not path.is_symlink():  # a link shows its blob, which is hashed as such
                size = path.stat().st_size if path.exists() else 0
                yield path, digest, models.memo_key(model.path, name), size


def _what_is_wrong(path: Path, digest: str, key: str, memo: Memo) -> str | None:
    reason = _reason(path, digest)
    if reason is not None:
        memo.forget(key)  # so that the next `find` hashes it, whatever its stat says
    return reason


def _reason(path: Path, digest: str) -> str | None:
    if path.is_symlink():
        return "wrong digest"
    try:
        with path.open("rb") as file:
            return None if digest_of(file) == digest else "wrong digest"
    except FileNotFoundError:
        return "missing"
    except OSError:
        return "unreadable"


def _missing(layouts: tuple[Layout, ...], named: dict[str, list[Note]]) -> Iterator[Damage]:
    """Blobs that a record shows under a file name (`files`) and that are not there."""
    for digest, found in sorted(named.items()):
        showing = [note for note in found if digest in shown(note.value)]
        if showing and not any(os.path.lexists(layout.blob(digest)) for layout in layouts):
            yield Damage(layouts[0].blob(digest), digest, "missing", _titles(showing))


def shown(value: Any) -> set[str]:
    """The digests under the key ``files`` of a record: what it cannot be used without."""
    files = value.get("files") if isinstance(value, dict) else None
    return set(files.values()) if isinstance(files, dict) else set()


# --- repair -----------------------------------------------------------------------------------------


def repair(
    layout: Layout,
    found: Verification,
    rebuild: Callable[[dict[str, str], str], Path],
    has: Callable[[str], bool],
) -> Repair:
    """Move what was `found` damaged to quarantine and build model folders again from good blobs.

    `rebuild` materialises files under a name; `has` says whether any layer has a blob.
    """
    moved = [_moved(layout, damage) for damage in found.damaged if damage.reason != "missing"]
    rebuilt = [
        rebuild(model.files, model.path.parent.name)
        for model in _stored_models(layout)
        if _is_incomplete(model) and all(map(has, model.files.values()))
    ]
    lost = {name for damage in found.damaged if not has(damage.digest) for name in damage.users}
    return Repair(found, tuple(filter(None, moved)), tuple(rebuilt), tuple(sorted(lost)))


def _moved(layout: Layout, damage: Damage) -> Path | None:
    return quarantine(layout, damage.path, damage.digest, DAMAGED)


def _is_incomplete(model: StoredModel) -> bool:
    return not all((model.path / name).exists() for name in model.files)
