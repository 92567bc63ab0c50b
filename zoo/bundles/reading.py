"""Read a bundle: every bit compared with the bundle's own digest, then member by member."""

from __future__ import annotations

import json
import os
import struct
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO

from zoo.bundles.contents import (
    COMMENT,
    FORMAT,
    LARGEST_MANIFEST,
    MANIFEST,
    MOST_MEMBERS,
    PREFIX,
    PULLS,
    Bundle,
    Imported,
    Member,
    Pull,
    copy,
    no_bundle,
    pull_from,
    seals,
    wrong,
)
from zoo.errors import DigestMismatchError, UnsupportedFileError, ZooError
from zoo.store import Store
from zoo.store.disk import require_room, storing
from zoo.store.layout import is_digest


def read_bundle(path: Path, store: Store, *, sha256: str | None = None) -> Imported:
    """Verify the bundle and take it into the store; nothing of a damaged one is taken in.

    `sha256` is the whole file's digest, when it came by another way than the file: it proves who
    wrote the bundle, which the bundle itself cannot. Raises `DigestMismatchError` naming the damaged
    member, and `UnsupportedFileError` for a file that no `write_bundle` wrote.
    """
    with _opened(path) as file:
        whole = _require_sealed(path, file, sha256)
        with _archive(path, file) as archive:
            bundle = replace(_inspected(path, archive), sha256=whole)
            missing = [member for member in bundle.members if store.find(member.sha256) is None]
            with storing(store.root):
                require_room(store.root, sum(member.size for member in missing))
            added = tuple(_taken_in(member, archive, store) for member in missing)
    for pull in bundle.pulls:
        _remember(pull, store)
    return Imported(bundle, tuple(pull.ref for pull in bundle.pulls), added)


def inspect_bundle(path: Path) -> Bundle:
    """What a bundle says it holds; its members are not hashed."""
    with _opened(path) as file, _archive(path, file) as archive:
        return _inspected(path, archive)


def _opened(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except OSError as error:
        raise UnsupportedFileError(f"{path} cannot be read: {error.strerror or error}") from error


# What `zipfile` raises for bytes that are no sound archive; hostile ones reach all of these.
_ZIP_ERRORS = (
    zipfile.BadZipFile,
    EOFError,
    NotImplementedError,
    OSError,
    RuntimeError,
    ValueError,
    struct.error,
)


@contextmanager
def _archive(path: Path, file: IO[bytes]) -> Iterator[zipfile.ZipFile]:
    try:
        archive = zipfile.ZipFile(file)
    except _ZIP_ERRORS as error:
        raise no_bundle(path, f"it is no zip archive ({error}), or it was damaged") from error
    with archive:
        yield archive


def _inspected(path: Path, archive: zipfile.ZipFile) -> Bundle:
    entries = archive.infolist()
    comment = archive.comment
    if not comment.startswith(PREFIX) or len(comment) != COMMENT or not entries:
        raise no_bundle(path, "it does not carry its own digest")
    if entries[0].filename != MANIFEST or entries[0].file_size > LARGEST_MANIFEST:
        raise no_bundle(path, f"its first member is not a {MANIFEST} of reasonable size")
    if len(entries) > MOST_MEMBERS:
        raise no_bundle(path, f"it has {len(entries)} members")
    members, pulls = _read_manifest(path, archive)
    _require_only(path, entries, members)
    named = {digest for pull in pulls for digest in pull.files.values()}
    if named != {member.sha256 for member in members}:
        raise no_bundle(path, "its records name other files than it holds")
    return Bundle(path, comment[len(PREFIX) :].decode("ascii", "replace"), members, pulls)


def _read_manifest(path: Path, archive: zipfile.ZipFile) -> tuple[tuple[Member, ...], tuple[Pull, ...]]:
    try:
        body = json.loads(archive.read(MANIFEST))
        if body["format"] != FORMAT:
            raise no_bundle(path, f"its format is {body['format']!r}, not {FORMAT!r}")
        members = tuple(Member(str(one["sha256"]), int(one["size"])) for one in body["members"])
        pulls = tuple(pull_from(str(one["key"]), one["value"]) for one in body["pulls"])
    except (*_ZIP_ERRORS, KeyError, TypeError, RecursionError) as error:
        raise no_bundle(path, f"its {MANIFEST} cannot be read ({error!r})") from error
    return members, pulls


def _require_only(path: Path, entries: Sequence[zipfile.ZipInfo], members: tuple[Member, ...]) -> None:
    """Refuse every entry but the plain, uncompressed files that the manifest names, once each."""
    expected = {MANIFEST: entries[0].file_size, **{member.name: member.size for member in members}}
    if len(entries) != len(expected) or len(members) != len(expected) - 1:
        raise no_bundle(path, f"it has {len(entries)} members, its manifest names {len(members) + 1}")
    for entry in entries:
        plain = entry.compress_type == zipfile.ZIP_STORED and not entry.flag_bits & 0x1
        regular = entry.external_attr >> 16 == 0o100444
        if not plain or not regular or expected.get(entry.filename) != entry.file_size:
            raise no_bundle(path, f"its member {entry.filename!r} is not what the manifest says")
        if entry.compress_size != entry.file_size:
            raise no_bundle(path, f"its member {entry.filename!r} is larger than its bytes")
    if not all(is_digest(member.sha256) for member in members):
        raise no_bundle(path, "its manifest names a digest that is none")
    if sum(expected.values()) > path.stat().st_size:
        raise no_bundle(path, "its members overlap")


def _require_sealed(path: Path, file: IO[bytes], expected: str | None) -> str:
    """Compare every bit with the bundle's own digest; the sha256 of the whole file.

    Where they differ the error names the member to blame.
    """
    if file.seek(0, os.SEEK_END) < COMMENT:
        raise no_bundle(path, "it is too short")
    seal, whole = seals(file)
    file.seek(-COMMENT, os.SEEK_END)
    if file.read() != PREFIX + seal.encode():
        raise _damaged(path, file)
    if expected is not None and expected.lower() != whole:
        raise DigestMismatchError(
            f"{path} has sha256 {whole}, expected {expected}",
            hint="It is another bundle than the one you were told of.",
        )
    return whole


def _damaged(path: Path, file: IO[bytes]) -> ZooError:
    """The error that names the first member that is not what it was."""
    with _archive(path, file) as archive:
        names = archive.namelist()
        if not names or names[0] != MANIFEST:
            return no_bundle(path, f"its first member is not {MANIFEST}, or it was damaged")
        culprit = next((name for name in names if _is_damaged(name, archive)), "a header of the archive")
        return wrong(culprit, f"{path} was damaged")


def _is_damaged(name: str, archive: zipfile.ZipFile) -> bool:
    info = archive.getinfo(name)
    if info.compress_type != zipfile.ZIP_STORED:  # never unpacked: it may be a bomb
        return True
    try:
        with archive.open(info) as source:
            actual = copy(source, None, info.file_size)
    except _ZIP_ERRORS:
        return True
    return name != MANIFEST and f"blobs/{actual}" != name


def _taken_in(member: Member, archive: zipfile.ZipFile, store: Store) -> str:
    with store.receiving(member.sha256, member.size) as incoming:
        try:
            with archive.open(member.name) as source, incoming.path.open("wb") as target:
                actual = copy(source, target, member.size)
        except (zipfile.BadZipFile, EOFError, struct.error) as error:
            raise wrong(member.name, str(error)) from error
        if actual != member.sha256:
            raise wrong(member.name, f"it hashes to {actual}")
        return incoming.commit(actual).digest


def _remember(pull: Pull, store: Store) -> None:
    """Keep the pull, unless this machine has proven the same one itself and still has its files."""
    known = store.recall(PULLS, pull.key)
    files = known.get("files") if isinstance(known, dict) else None
    if isinstance(files, dict) and all(store.find(str(digest)) for digest in files.values()):
        return
    store.remember(PULLS, pull.key, pull.value)
