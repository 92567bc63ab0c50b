"""Tarballs from strangers: what is taken out of them, and what is refused.

Refused: absolute names and ``..``, links and devices, more bytes or members than allowed (a bomb),
the same name twice. Left out: what macOS adds (``._*``, ``__MACOSX``, ``.DS_Store``).
"""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from zoo.records import record
from zoo.transfer.errors import ArchiveError

CHUNK = 2**20


@record
class Limits:
    """What an archive may unpack to."""

    size: int = 8 * 2**30
    members: int = 10_000
    ratio: int = 200
    """Unpacked to packed bytes; deflate reaches 1032, model files rarely 10."""


def extract_member(archive: Path, name: str, destination: Path, update: Callable[[bytes], object]) -> int:
    """Write one regular member to `destination`; `update` sees its bytes. Returns its size.

    Raises `ArchiveError` where it is missing, not a file, or the archive is broken.
    """
    with opened(archive) as tar:
        for member in tar:
            if member.name.removeprefix("./") == name:
                return _write(tar, member, destination, update)
    raise ArchiveError(f"{archive.name}: has no member {name!r}")


def extract_all(archive: Path, folder: Path, limits: Limits = Limits()) -> list[Path]:  # noqa: B008
    """Unpack the regular files of a tarball below `folder`, which must not exist.

    All members are judged before the first byte is written. Returns relative paths, sorted.
    Raises `ArchiveError`.
    """
    with opened(archive) as tar:
        wanted = _judged(tar, archive, limits)
    folder.mkdir(parents=True)
    with opened(archive) as tar:
        for member in tar:
            path = wanted.get(member.name)
            if path is not None:
                target = folder / path
                target.parent.mkdir(parents=True, exist_ok=True)
                _write(tar, member, target, lambda data: None)
    return sorted(Path(path) for path in wanted.values())


def only_model(names: list[Path]) -> Path:
    """The one ``.onnx`` file of an archive. Raises `ArchiveError` for none or several."""
    models = [name for name in names if name.suffix == ".onnx"]
    if len(models) != 1:
        listed = ", ".join(map(str, models)) or "none"
        raise ArchiveError(
            f"{len(models)} .onnx files in the archive: {listed}", hint="Name the member to use."
        )
    return models[0]


@contextmanager
def opened(archive: Path) -> Iterator[tarfile.TarFile]:
    """The tarball for one pass. What tarfile and zlib raise becomes `ArchiveError`."""
    try:
        with tarfile.open(archive, "r|*") as tar:
            yield tar
    except (tarfile.TarError, zlib.error, EOFError, ValueError) as error:
        raise ArchiveError(f"{archive.name}: cannot be read as a tarball: {error}") from error
    except OSError as error:
        if error.errno is None:  # gzip's BadGzipFile and bz2's complaints
            raise ArchiveError(f"{archive.name}: cannot be read as a tarball: {error}") from error
        raise


def _judged(tar: tarfile.TarFile, archive: Path, limits: Limits) -> dict[str, PurePosixPath]:
    """Member name → safe path, after every header was judged."""
    allowed = min(limits.size, max(limits.ratio * archive.stat().st_size, 2**20))
    wanted: dict[str, PurePosixPath] = {}
    total = count = 0
    for member in tar:
        count += 1
        total += member.size
        if count > limits.members or total > allowed:
            raise ArchiveError(
                f"{archive.name}: unpacks to more than {allowed} bytes or {limits.members} members, a bomb"
            )
        path = _safe_path(member)
        if path is None:
            continue
        if path in wanted.values():
            raise ArchiveError(f"{archive.name}: has {path} twice")
        wanted[member.name] = path
    return wanted


def _safe_path(member: tarfile.TarInfo) -> PurePosixPath | None:
    """Where a member may go; None for folders and macOS junk. Raises `ArchiveError` for the rest."""
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or "\\" in member.name or "\0" in member.name:
        raise ArchiveError(f"member {member.name!r} leaves its folder")
    if member.isdir():
        return None
    if not member.isreg():
        raise ArchiveError(f"member {member.name!r} is a link or a device")
    if path.name.startswith("._") or path.name == ".DS_Store" or "__MACOSX" in path.parts:
        return None
    return path


def _write(
    tar: tarfile.TarFile, member: tarfile.TarInfo, destination: Path, update: Callable[[bytes], object]
) -> int:
    body: IO[bytes] | None = tar.extractfile(member) if member.isreg() else None
    if body is None:
        raise ArchiveError(f"member {member.name!r} is not a regular file")
    done = 0
    with destination.open("wb", buffering=0) as sink:
        while data := body.read(CHUNK):
            sink.write(data)
            update(data)
            done += len(data)
    return done
