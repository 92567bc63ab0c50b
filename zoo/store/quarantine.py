"""Bytes that failed their check are moved aside, never deleted silently."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import Path

from zoo.records import record
from zoo.store.disk import make_folder
from zoo.store.layout import Layout

log = logging.getLogger(__name__)

DAMAGED = "damaged"  # it was right once
REJECTED = "rejected"  # it came wrong


@record
class Quarantined:
    """A file in quarantine: the digest it should have had, and why it is here."""

    path: Path
    digest: str
    reason: str
    size: int
    since: float
    """Seconds since 1970."""


def quarantine(layout: Layout, path: Path, digest: str, reason: str) -> Path | None:
    """Move `path` aside; None (and a warning) where the store is read-only."""
    # One rejected download for each digest is enough to look at, however many sources lie.
    stamp = 0 if reason == REJECTED else time.time_ns()
    target = layout.quarantine / f"{digest}.{reason}.{stamp}"
    try:
        make_folder(layout.quarantine)
        path.replace(target)
    except OSError as error:
        log.warning("%s is damaged and cannot be moved to quarantine: %s", path, error)
        return None
    log.warning("%s does not hash to %s: moved to %s", path, digest, target)
    return target


def quarantined(layout: Layout) -> Iterator[Quarantined]:
    """What lies in quarantine, by name."""
    if not layout.quarantine.is_dir():
        return
    for path in sorted(layout.quarantine.iterdir()):
        digest, reason, _ = ([*path.name.split(".", 2), "", ""])[:3]
        stat = path.stat()
        yield Quarantined(path, digest, reason, stat.st_size, stat.st_ctime)
