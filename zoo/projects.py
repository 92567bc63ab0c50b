"""The verbs of a project: lock the models it uses, carry them to machines without a network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from zoo import bundles, lockfile, pipeline, pulled, selection
from zoo.bundles import Bundle, Imported
from zoo.lockfile import LOCK_NAME, LockedModel, LockFile
from zoo.records import RegistryEntry, VerifiedModel
from zoo.settings import AnyPath, Settings, as_path, settings_from
from zoo.store import Store


def lock(refs: Sequence[str] = (), *, path: AnyPath = LOCK_NAME, **asked: Any) -> LockFile:
    """Pull `refs` and write their digests to the lock file, beside what it locks already.

    Without `refs` everything that the file locks is pulled and locked anew. `asked` are the options of
    `zoo.pull` that say where models come from (`registry`, `cache`, `offline`, `allow_private`).
    """
    settings = settings_from(**asked)
    known = lockfile.read_lock(Path(path)).models if Path(path).exists() else ()
    wanted = refs or [model.ref for model in known]
    locked = [_locked(selection.entry_for(ref, settings), settings) for ref in wanted]
    return lockfile.write_lock(Path(path), [*known, *locked])


def _locked(entry: RegistryEntry, settings: Settings) -> LockedModel:
    verified = pipeline.pull(entry, settings)
    files = pulled.files_of(entry, Store.open(settings.cache))
    return lockfile.locked_model(entry, verified.model, files)


def pull_locked(entry: RegistryEntry, path: Path, settings: Settings) -> VerifiedModel:
    """Pull an entry only if it is the locked one: its sources before, its ONNX files after.

    Raises `UnknownModelError` where it is not locked, `DigestMismatchError` where it is another.
    """
    found = lockfile.read_lock(path)
    lockfile.check_entry(found, entry)
    verified = pipeline.pull(entry, settings)
    files = pulled.files_of(entry, Store.open(settings.cache))
    lockfile.check_model(found, entry.ref, verified.model, files)
    return verified


def bundle(refs: Sequence[str], output: AnyPath, *, force: bool = False, **asked: Any) -> Bundle:
    """Pull `refs` and write them to one file, which `import_bundle` reads without a network.

    Raises `OutputExistsError` unless `force`. `asked` as for `lock`.
    """
    settings = settings_from(**asked)
    entries = [selection.entry_for(ref, settings) for ref in refs]
    for entry in entries:
        pipeline.pull(entry, settings)
    store = Store.open(settings.cache)
    return bundles.write_bundle(store, [pulled.key(e) for e in entries], Path(output), force=force)


def import_bundle(path: AnyPath, *, sha256: str | None = None, cache: AnyPath | None = None) -> Imported:
    """Verify a bundle member by member and take it into the store; of a damaged one, nothing.

    `sha256` is the digest of the whole file, if it is known from elsewhere: it proves who wrote it. Raises
    `DigestMismatchError` naming the damaged member.
    """
    return bundles.read_bundle(Path(path), Store.open(as_path(cache)), sha256=sha256)
