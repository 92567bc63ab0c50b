"""Write a bundle."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from zoo.bundles.contents import (
    COMMENT,
    FORMAT,
    MANIFEST,
    PREFIX,
    PULLS,
    Bundle,
    Member,
    Pull,
    copy,
    pull_from,
    seals,
    wrong,
)
from zoo.errors import OutputExistsError, UnknownModelError
from zoo.store import Store
from zoo.store.disk import make_folder, owner_token, require_room, storing, sync_folder
from zoo.version import __version__


def write_bundle(store: Store, entries: Sequence[str], destination: Path, *, force: bool = False) -> Bundle:
    """Write the pulled models `entries` (references, or keys of their pull records) to one file.

    Raises `UnknownModelError` for what was not pulled, `StoreError` for a missing or damaged blob,
    and `OutputExistsError` unless `force`.
    """
    if destination.exists() and not force:
        raise OutputExistsError(f"{destination} exists", hint="--force overwrites it.")
    pulls = _chosen(store, entries)
    paths = {digest: store.need(digest) for pull in pulls for digest in pull.files.values()}
    members = tuple(Member(digest, path.stat().st_size) for digest, path in sorted(paths.items()))
    with _draft_of(destination, sum(member.size for member in members)) as draft:
        with draft.open("w+b") as file:
            _write_archive(file, members, pulls, paths)
            seal, sha256 = _sealed(file)
            os.fsync(file.fileno())
        draft.replace(destination)
        sync_folder(destination.absolute().parent)
    return Bundle(destination, seal, members, pulls, sha256)


def _chosen(store: Store, entries: Sequence[str]) -> tuple[Pull, ...]:
    known = [pull_from(key, value) for key, value in store.records(PULLS)]
    chosen = {pull.key: pull for entry in entries for pull in _named(entry, known, store)}
    return tuple(chosen.values())


def _named(entry: str, known: list[Pull], store: Store) -> list[Pull]:
    found = [pull for pull in known if entry in (pull.key, pull.ref)]
    if not found:
        raise UnknownModelError(
            f"{entry!r} was not pulled into {store.root}", hint=f"First: zoo pull {entry}"
        )
    return found


@contextmanager
def _draft_of(destination: Path, size: int) -> Iterator[Path]:
    """A temporary file beside `destination` that does not outlive the block."""
    folder = destination.absolute().parent
    with storing(folder):
        make_folder(folder)
        require_room(folder, size)
        draft = folder / f".{destination.name}.{owner_token()}.tmp"
        try:
            yield draft
        finally:
            draft.unlink(missing_ok=True)


def _write_archive(
    file: IO[bytes], members: tuple[Member, ...], pulls: tuple[Pull, ...], paths: Mapping[str, Path]
) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        archive.writestr(_entry(MANIFEST), _manifest(members, pulls))
        for member in members:
            info = _entry(member.name)
            info.file_size = member.size
            with paths[member.sha256].open("rb") as source, archive.open(info, "w") as target:
                if copy(source, target, member.size) != member.sha256:
                    raise wrong(paths[member.sha256].name, "the store's blob changed while it was read")
        archive.comment = PREFIX + b"0" * 64


def _entry(name: str) -> zipfile.ZipInfo:
    """An entry that is the same at all times: the same models give the same bundle."""
    info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    info.external_attr = 0o100444 << 16
    info.create_system = 3
    return info


def _manifest(members: tuple[Member, ...], pulls: tuple[Pull, ...]) -> bytes:
    body = {
        "format": FORMAT,
        "members": [{"sha256": member.sha256, "size": member.size} for member in members],
        "pulls": [{"key": pull.key, "value": pull.value} for pull in pulls],
        "written_by": f"zoo {__version__}",
    }
    return json.dumps(body, ensure_ascii=False, indent=1).encode()


def _sealed(file: IO[bytes]) -> tuple[str, str]:
    """Write the sha256 of all bytes before the comment into it; that digest, and the whole file's."""
    seal, _ = seals(file)
    file.seek(-COMMENT, os.SEEK_END)
    file.write(PREFIX + seal.encode())
    file.flush()
    return seals(file)
