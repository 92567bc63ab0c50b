"""The content-addressed store: nothing unverified has a final name in it."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from stat import S_ISREG

from zoo.errors import StoreError
from zoo.records import Json
from zoo.store import incoming, models, notes, upkeep
from zoo.store.batch import Batch, batch
from zoo.store.disk import clone, storing
from zoo.store.incoming import Blob, Incoming
from zoo.store.layout import Layout, checked_digest, checked_path, default_layers, default_root
from zoo.store.locks import locked
from zoo.store.memo import Memo
from zoo.store.prune import Pruned, PruneOptions, prune
from zoo.store.quarantine import DAMAGED, quarantine
from zoo.store.upkeep import MODELS, Contents, Progress, Repair, Verification

log = logging.getLogger(__name__)


class Store:
    """Blobs by sha256 under `root`, with read-only stores (`layers`) looked into below it.

    Several processes, and several threads, may use one root at once. Nothing is created before
    something is written, so a read-only root serves what it has.
    """

    def __init__(self, root: Path, layers: tuple[Path, ...] = ()) -> None:
        self.root = Path(root).absolute()
        self.layers = tuple(Path(layer).absolute() for layer in layers)
        self._layout = Layout(self.root)
        self._layouts = (self._layout, *map(Layout, self.layers))
        self._memo = Memo(self._layout.memo)

    @classmethod
    def open(cls, cache: Path | None = None) -> Store:
        """The store at `cache`, else ``ZOO_CACHE``, else the user's cache folder.

        ``ZOO_CACHE_LAYERS`` lists read-only stores below it, separated like ``PATH``.
        """
        return cls(default_root(cache), default_layers())

    def __repr__(self) -> str:
        return f"Store({str(self.root)!r}, layers={self.layers!r})"

    # --- blobs ------------------------------------------------------------------------------------

    def find(self, digest: str) -> Path | None:
        """The blob of `digest`, verified, or None.

        A blob that its stat shows unchanged since it was hashed is not hashed again. A damaged one
        goes to quarantine (a damaged one of a layer is passed over). Raises `StoreError` where a
        blob may not be read.
        """
        digest = checked_digest(digest)
        for layout in self._layouts:
            if self._is_verified(layout, digest):
                return layout.blob(digest)
        return None

    def _is_verified(self, layout: Layout, digest: str) -> bool:
        path = layout.blob(digest)
        with storing(path):
            try:
                stat = os.lstat(path)
            except (FileNotFoundError, NotADirectoryError):
                return False
            if self._memo.trusts(digest, stat):
                return True
            return self._hashes_right(layout, path, digest)

    def _hashes_right(self, layout: Layout, path: Path, digest: str) -> bool:
        stat = os.lstat(path)
        try:
            if S_ISREG(stat.st_mode) and models.file_hashes_to(path, digest, self._memo, digest):
                return True
        except OSError as error:
            if error.errno != errno.EIO:  # a dying disk is damage like any other
                raise
        self._put_aside(layout, path, digest, stat)
        return False

    def _put_aside(self, layout: Layout, path: Path, digest: str, stat: os.stat_result) -> None:
        if layout is not self._layout:
            log.warning("%s in a read-only layer does not hash to its name: passed over", path)
        # Another process may have replaced it by a good one since it was read.
        elif os.path.lexists(path) and os.path.samestat(os.lstat(path), stat):
            quarantine(layout, path, digest, DAMAGED)
            self._memo.forget(digest)

    def need(self, digest: str) -> Path:
        """Like `find`, but raises `StoreError` where the blob is missing or was damaged."""
        found = self.find(digest)
        if found is None:
            raise StoreError(
                f"the blob {digest} is not in {self.root}",
                hint="Pull the model again. (A damaged blob was moved to quarantine.)",
            )
        return found

    def receiving(self, digest: str | None, size: int | None) -> AbstractContextManager[Incoming]:
        """Take in bytes: the block writes `Incoming.path`; leaving it without error commits.

        The commit checks `size` (bytes) and `digest` where they are given, and raises
        `DigestMismatchError`. There is room for `size` bytes, or `DiskFullError` is raised before
        the block runs. A file left by a killed process is continued: `Incoming.path` then exists
        with its bytes, and with the sidecars that the transfer wrote beside it.
        """
        checked = None if digest is None else checked_digest(digest)
        return incoming.receiving(self._layout, self._memo, checked, size)

    def batch(self, size: int) -> AbstractContextManager[Batch]:
        """Take in many small blobs (`size` bytes in all) with one flush: `Batch.put` for each.

        They have their names after the block, also where it raised: each was checked by itself.
        """
        return batch(self._layout, size)

    def add(self, path: Path, digest: str | None = None) -> Blob:
        """Copy (or reflink) a file in. Raises `DigestMismatchError` if it is not `digest`."""
        if digest is not None and (found := self.find(digest)) is not None:
            return Blob(found, digest.lower(), found.stat().st_size)
        size = path.stat().st_size
        with path.open("rb") as source, self.receiving(digest, size) as arriving:
            with arriving.path.open("wb") as target:
                hashed = clone(source, target)
            return arriving.commit(hashed)

    # --- models -----------------------------------------------------------------------------------

    def materialise(self, files: Mapping[str, str], name: str) -> Path:
        """A folder that shows blobs under readable names; `files` is {relative path: digest}.

        One file is a link to its blob, several are real files (onnx refuses linked external data).
        Files found changed are rebuilt. Raises `StoreError` where a blob is missing.
        """
        files = {str(checked_path(path)): checked_digest(digest) for path, digest in files.items()}
        if not files:
            raise StoreError(f"the model {name!r} has no files")
        for layout in self._layouts:
            folder = layout.model(name, files)
            with storing(folder):
                intact = models.is_intact(folder, files, self.need, self._memo)
            if intact and (notes.touch(_record_of(layout, folder)) or layout is not self._layout):
                return folder
        return self._build(files, name)

    def _build(self, files: Mapping[str, str], name: str) -> Path:
        folder = self._layout.model(name, files)
        with storing(folder):
            # The record comes first: pruning removes a folder that has none.
            self.remember(MODELS, models.record_key(folder), {"files": dict(files)})
            if models.is_intact(folder, files, self.need, self._memo):
                return folder  # a prune that was interrupted had taken its record
            models.build(self._layout, folder, files, self.need, self._memo)
        return folder

    # --- records ----------------------------------------------------------------------------------

    def remember(self, kind: str, key: str, value: Json) -> None:
        """Keep a small JSON value. Every sha256 in it keeps the blob of that name from pruning."""
        notes.remember(self._layout, kind, key, value)

    def recall(self, kind: str, key: str) -> Json | None:
        """The value that was remembered last, from the highest layer that has one, or None."""
        for layout in self._layouts:
            if found := notes.read(layout, kind, key):
                notes.touch(found.path)
                return found.value  # type: ignore[no-any-return]
        return None

    def records(self, kind: str) -> Iterator[tuple[str, Json]]:
        """The (key, value) of each record of a kind, upper layers first, each key once."""
        seen = set()
        for layout in self._layouts:
            for note in notes.notes(layout, kind):
                if note.key not in seen:
                    seen.add(note.key)
                    yield note.key, note.value

    def forget(self, kind: str, key: str) -> None:
        """Remove a record of the upper layer; its blobs stay until they are pruned."""
        path = self._layout.record(kind, key)
        with storing(path):
            path.unlink(missing_ok=True)

    # --- work -------------------------------------------------------------------------------------

    def lock(self, key: str, timeout: float | None = None) -> AbstractContextManager[None]:
        """Hold a lock among processes, to save work; nothing is wrong without it.

        Waits at most `timeout` seconds (None: for ever), then raises `StoreError`.
        """
        return locked(self._layout.lock(key), timeout)

    # --- upkeep -----------------------------------------------------------------------------------

    def list(self) -> Contents:
        """What lies in the upper store: blobs, models, leftovers and quarantine, without hashing."""
        return upkeep.contents(self._layout, self._memo)

    def verify(self, progress: Progress | None = None) -> Verification:
        """Hash every file of the upper store and say what is wrong, without mending it."""
        return upkeep.verification(self._layouts, self._memo, progress)

    def repair(self) -> Repair:
        """Verify, move damaged files to quarantine, build models again, say what to pull again."""
        with self.lock("prune"):
            return upkeep.repair(self._layout, self.verify(), self.materialise, self._has)

    def _has(self, digest: str) -> bool:
        return self.find(digest) is not None

    def prune(
        self,
        *,
        older: float | None = None,
        max_size: int | None = None,
        grace: float = 3600.0,
        dry_run: bool = False,
        environments: frozenset[str] | None = None,
    ) -> Pruned:
        """Remove what no record names, and sweep what dead processes left.

        `older` (seconds since the last use) and `max_size` (bytes of the whole store) also remove
        the models and environments that were used longest ago. What was used within `grace` seconds stays.
        Of the environments those go that are not in `environments`.
        """
        with self.lock("prune"):
            return prune(
                self._layout, self._memo, PruneOptions(older, max_size, grace, dry_run, environments)
            )


def _record_of(layout: Layout, folder: Path) -> Path:
    return layout.record(MODELS, models.record_key(folder))
