"""Test data that comes as a tarball: unpacked once, into blobs, and shown as folders."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.transfer.archives import extract_all

if TYPE_CHECKING:
    from zoo.store import Store

UNPACKED = "unpacked"
"""The kind of the records that say which blobs a tarball holds."""
ENDINGS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")


def unpacked(path: Path, digest: str, store: Store) -> tuple[Path, ...]:
    """The folders ``test_data_set_*`` in a tarball of the store (else the folder of all its files).

    Any other file stands for itself. Raises `ArchiveError` for a tarball that leaves its folder, has
    links or devices, or is a bomb; nothing of it is kept then.
    """
    if not path.name.endswith(ENDINGS):
        return (path,)
    known = store.recall(UNPACKED, digest)
    files = dict(known) if isinstance(known, dict) else {}
    if not files or any(store.find(str(blob)) is None for blob in files.values()):
        files = _taken_in(path, store)
        store.remember(UNPACKED, digest, files)
    folder = store.materialise({name: str(blob) for name, blob in files.items()}, path.name.partition(".")[0])
    sets = {
        folder / Path(name).parent for name in files if Path(name).parent.name.startswith("test_data_set_")
    }
    return tuple(sorted(sets, key=lambda found: (len(found.name), found))) or (folder,)


def _taken_in(archive: Path, store: Store) -> dict[str, str]:
    with tempfile.TemporaryDirectory(prefix="zoo-unpacking-") as temporary:
        folder = Path(temporary, "all")
        return {path.as_posix(): store.add(folder / path).digest for path in extract_all(archive, folder)}
