"""What keeps a blob: the records that name its digest, and what lies around unfinished."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from zoo.records import record
from zoo.store.disk import owner_is_gone
from zoo.store.environments import unfinished
from zoo.store.incoming import UNTOUCHED_FOR, is_abandoned
from zoo.store.layout import Layout, is_digest
from zoo.store.notes import Note, notes

PINS = frozenset({"sources", "trusted"})
"""Kinds of records that hold a source to the digest it gave first. They keep no blob and are never
pruned: dropping one would mean to trust the source anew."""


@record
class Leftover:
    """A temporary file or folder. `active` says that its writer is still at work."""

    path: Path
    size: int
    since: float
    """Last change, in seconds since 1970."""
    active: bool
    resumable: bool
    """Whether notes on how to go on lie beside it."""


def referenced(value: Any) -> Iterator[str]:
    """Every sha256 in a JSON value, whatever the schema: a mark that cannot miss one."""
    if isinstance(value, str):
        if is_digest(value):
            yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from referenced(key)
            yield from referenced(item)
    elif isinstance(value, list):
        for item in value:
            yield from referenced(item)


def roots(layout: Layout) -> list[Note]:
    """The records that keep blobs, least recently used first."""
    return sorted((note for note in notes(layout) if note.kind not in PINS), key=lambda note: note.used)


def users(layout: Layout) -> dict[str, list[Note]]:
    """The records that name each digest."""
    found: dict[str, list[Note]] = {}
    for note in roots(layout):
        for digest in set(referenced(note.value)):
            found.setdefault(digest, []).append(note)
    return found


def title(note: Note) -> str:
    """A record's name for people: the reference that it says it is, else its key."""
    if isinstance(note.value, dict) and isinstance(note.value.get("ref"), str):
        return f"{note.kind}/{note.value['ref']}"
    return f"{note.kind}/{note.key}"


def blob_paths(layout: Layout) -> Iterator[Path]:
    """The files that have a blob's name, by name."""
    for path in sorted(layout.blobs.glob("??/*")):
        if is_digest(path.name):
            yield path


def leftovers(layout: Layout) -> Iterator[Leftover]:
    """Temporary files with their sidecars, and drafts of records, memos and models."""
    for path in sorted(layout.blobs.glob("??/*")):
        if path.name.endswith(".part"):
            yield from _parts(path)
        elif (
            ".part." in path.name and not path.with_name(path.name.partition(".part.")[0] + ".part").exists()
        ):
            yield _leftover(path, active=False, resumable=False)
    for folder in (layout.records, layout.memo, layout.models):
        for path in sorted(folder.glob("*/*.tmp")):
            yield _leftover(path, active=not _is_orphan(path), resumable=False)
    for path, active in unfinished(layout):
        yield _leftover(path, active, resumable=False)


def _is_orphan(draft: Path) -> bool:
    owner = draft.name.removesuffix(".tmp").rsplit(".", 1)[-1]
    return owner_is_gone(owner) or time.time() - draft.lstat().st_mtime > UNTOUCHED_FOR


def _parts(part: Path) -> Iterator[Leftover]:
    beside = sorted(part.parent.glob(f"{part.name}.*"))
    active = not is_abandoned(part)
    for path in (part, *beside):
        yield _leftover(path, active, resumable=bool(beside))


def _leftover(path: Path, active: bool, resumable: bool) -> Leftover:
    return Leftover(path, size_of(path), path.lstat().st_mtime, active, resumable)


def size_of(path: Path) -> int:
    """The bytes of a file, or of all regular files in a folder; links count nothing."""
    if path.is_dir() and not path.is_symlink():
        return sum(size_of(child) for child in path.iterdir())
    return 0 if path.is_symlink() else path.stat().st_size
