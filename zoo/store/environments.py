"""Virtual environments as things that take room: what is there, what was left unfinished, how they go.

What they are is the business of `zoo.environments`.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from zoo.records import record
from zoo.store.disk import owner_is_gone
from zoo.store.layout import Layout

NOTE = "environment.json"
"""What a finished environment says of itself, in its folder; written when it was built, touched when used."""


@record
class StoredEnvironment:
    """A finished environment: the link that names it, the folder behind it, bytes, last use (since 1970)."""

    path: Path
    folder: Path
    size: int
    used: float


def environments(layout: Layout) -> Iterator[StoredEnvironment]:
    """The finished environments, by name."""
    for link in sorted(layout.environments.glob("*")):
        note = link / NOTE
        if link.is_symlink() and note.is_file():
            yield StoredEnvironment(link, link.resolve(), _size(note), note.stat().st_mtime)


def unfinished(layout: Layout) -> Iterator[tuple[Path, bool]]:
    """Folders that no link names, and whether somebody is still at work in them."""
    paths = sorted(layout.environments.glob("*"))
    finished = {path.resolve() for path in paths if path.is_symlink()}
    for path in paths:
        if path.is_dir() and not path.is_symlink() and path.resolve() not in finished:
            owner = path.name.removesuffix(".tmp").rpartition(".")[2]
            yield path, not owner_is_gone(owner)


def remove_environment(link: Path) -> None:
    """First its name, then what was behind it: nobody begins to use one that is half gone."""
    folder = link.resolve()
    link.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)  # another process may be removing it, too


def size_on_disk(folder: Path) -> int:
    """Bytes of all regular files; links count nothing."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def _size(note: Path) -> int:
    """As its builder wrote it down: to measure it takes a walk over ten thousand files."""
    try:
        size = json.loads(note.read_bytes())["size"]
    except (OSError, ValueError, KeyError, TypeError):
        size = None
    return size if isinstance(size, int) else size_on_disk(note.parent)
