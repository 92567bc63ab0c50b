"""Small JSON records under ``records/<kind>/<key>.json``, replaced atomically.

A file holds ``{"key": …, "value": …}``, because a long key is hashed in the file's name.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from zoo.records import Json, record
from zoo.store.disk import storing, write_atomically
from zoo.store.layout import Layout
from zoo.store.quarantine import DAMAGED, quarantine

log = logging.getLogger(__name__)

_TOUCH_EVERY = 600.0


@record
class Note:
    """One record: `path` is its file, `used` when it was last read or written (since 1970)."""

    kind: str
    key: str
    value: Any
    path: Path
    used: float


def remember(layout: Layout, kind: str, key: str, value: Json) -> None:
    """Write a record; it outlives a power cut once this returns."""
    text = json.dumps({"key": key, "value": value}, ensure_ascii=False, separators=(",", ":"))
    path = layout.record(kind, key)
    with storing(path):
        write_atomically(path, text.encode())


def read(layout: Layout, kind: str, key: str) -> Note | None:
    """The record of `key`, or None; one that is no JSON goes to quarantine."""
    return _read(layout, kind, layout.record(kind, key))


def notes(layout: Layout, kind: str | None = None) -> Iterator[Note]:
    """All records of a kind (or of all kinds), by file name."""
    folder = layout.records
    pattern = f"{kind}/*.json" if kind is not None else "*/*.json"
    for path in sorted(folder.glob(pattern)):
        if found := _read(layout, path.parent.name, path):
            yield found


def touch(path: Path) -> bool:
    """Note that a record was used, to ten minutes; False where there is none."""
    try:
        if time.time() - path.stat().st_mtime > _TOUCH_EVERY:
            os.utime(path)
    except FileNotFoundError:
        return False
    except OSError as error:  # a read-only store is not pruned, so nobody asks
        log.debug("the last use of %s is not noted: %s", path, error)
    return True


def _read(layout: Layout, kind: str, path: Path) -> Note | None:
    with storing(path):
        try:
            with path.open("rb") as file:
                data, used = file.read(), os.fstat(file.fileno()).st_mtime
        except (FileNotFoundError, NotADirectoryError):
            return None
    try:
        body = json.loads(data)
        return Note(kind, body["key"], body["value"], path, used)
    except (ValueError, KeyError, TypeError) as error:
        log.warning("the record %s cannot be read: %s", path, error)
        quarantine(layout, path, f"{kind}-{path.stem}", DAMAGED)
        return None
