"""Tarballs from strangers: what is taken out of them, and what is refused.

Refused: absolute names and ``..``, links and devices, more bytes or members than allowed (a bomb),
the same name twice. Left out: what macOS adds (``._*``, ``__MACOSX``, ``.DS_Store``).
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO

from zoo.records import record
from zoo.transfer.errors import ArchiveError

CHUNK = 2**20
_SMALL = 2**20
"""Bytes that any archive may unpack to, and that an extended header may have."""


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
    with opened(archive, Limits()) as tar:
        for member in tar:
            if member.name.removeprefix("./") == name:
                if member.size > _allowance(archive, Limits()):
                    raise _bomb(archive, _allowance(archive, Limits()))
                return _write(tar, member, destination, update)
    raise ArchiveError(f"{archive.name}: has no member {name!r}")


def extract_all(archive: Path, folder: Path, limits: Limits = Limits()) -> list[Path]:  # noqa: B008
    """Unpack the regular files of a tarball below `folder`, which must not exist.

    All members are judged before the first byte is written. Returns relative paths, sorted.
    Raises `ArchiveError`.
    """
    with opened(archive, limits) as tar:
        wanted = _judged(tar, archive, limits)
    folder.mkdir(parents=True)
    with opened(archive, limits) as tar:
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
def opened(archive: Path, limits: Limits) -> Iterator[tarfile.TarFile]:
    """The tarball for one pass. What tarfile and the decompressors raise becomes `ArchiveError`."""
    try:
        with archive.open("rb") as file, _plain(file) as plain:
            stream = _Bounded(plain, archive, _allowance(archive, limits))
            with tarfile.open(fileobj=stream, mode="r|", tarinfo=_Careful) as tar:  # type: ignore[call-overload]
                yield tar
    except (tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, ValueError) as error:
        raise ArchiveError(f"{archive.name}: cannot be read as a tarball: {error}") from error
    except OSError as error:
        if error.errno is None:  # gzip's BadGzipFile and bz2's complaints
            raise ArchiveError(f"{archive.name}: cannot be read as a tarball: {error}") from error
        raise


def _plain(file: BinaryIO) -> BinaryIO:
    """The tar inside gzip, bzip2 or xz, by its first bytes."""
    magic = file.read(6)
    file.seek(0)
    if magic[:2] == b"\x1f\x8b":
        return gzip.GzipFile(fileobj=file)  # type: ignore[return-value]
    if magic[:3] == b"BZh":
        return bz2.BZ2File(file)  # type: ignore[return-value]
    if magic == b"\xfd7zXZ\x00":
        return lzma.LZMAFile(file)  # type: ignore[return-value]
    return file


def _allowance(archive: Path, limits: Limits) -> int:
    return min(limits.size, max(limits.ratio * archive.stat().st_size, _SMALL))


class _Bounded:
    """A stream that ends in an error instead of a bomb."""

    def __init__(self, stream: BinaryIO, archive: Path, allowed: int) -> None:
        self._stream = stream
        self._archive = archive
        self._allowed = self._left = allowed

    def read(self, count: int) -> bytes:
        data = self._stream.read(count)
        self._left -= len(data)
        if self._left < 0:
            raise _bomb(self._archive, self._allowed)
        return data


class _Careful(tarfile.TarInfo):
    """A member whose extended header, which tarfile reads into memory, has a bound."""

    _EXTENDED = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, *tarfile.GNU_TYPES[:2])

    def _proc_member(self, tar: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type in self._EXTENDED and self.size > _SMALL:
            raise ArchiveError(f"an extended header claims {self.size} bytes")
        return super()._proc_member(tar)  # type: ignore[misc,no-any-return]


def _bomb(archive: Path, allowed: int) -> ArchiveError:
    return ArchiveError(
        f"{archive.name}: unpacks to more than the {allowed} bytes that are allowed, a bomb",
        hint="Do not use it; tell whoever publishes it.",
    )


def _judged(tar: tarfile.TarFile, archive: Path, limits: Limits) -> dict[str, PurePosixPath]:
    """Member name → safe path, after every header was judged."""
    wanted: dict[str, PurePosixPath] = {}
    total = 0
    for count, member in enumerate(tar, 1):
        total += member.size
        if total > _allowance(archive, limits):
            raise _bomb(archive, _allowance(archive, limits))
        if count > limits.members:
            raise ArchiveError(f"{archive.name}: has more than {limits.members} members")
        path = _safe_path(member)
        if path is None:
            continue
        if path in wanted.values():
            raise ArchiveError(f"{archive.name}: has {path} twice")
        wanted[member.name] = path
    return wanted


def _safe_path(member: tarfile.TarInfo) -> PurePosixPath | None:
    """Where a member may go; None for folders and macOS junk. Raises `ArchiveError` for the rest."""
    path = PurePosixPath(member.name)  # drops leading "./"
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
