"""Files on disk as records: hashing a file or a folder, and publishing a result safely."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from zoo.errors import DiskFullError, OutputExistsError, StoreError, UnsupportedFileError, UsageError
from zoo.records import Artifact


def open_artifact(path: Path) -> Artifact:
    """Hash the model at `path`; raises `UsageError` when there is nothing to read."""
    path = Path(path)
    try:
        if path.is_dir():
            return _hashed_folder(path.absolute())
        # Not resolved: in the store the readable name, with its suffix, is a link to a blob.
        return Artifact(path.absolute(), file_digest(path), path.stat().st_size)
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist") from None
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error


def file_digest(path: Path) -> str:
    """The sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _hashed_folder(folder: Path) -> Artifact:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    if not files:
        raise UnsupportedFileError(f"{folder} is an empty folder")
    digests = {path.relative_to(folder).as_posix(): file_digest(path) for path in files}
    return Artifact(folder, folder_digest(digests), sum(path.stat().st_size for path in files), digests)


def folder_digest(digests: Mapping[str, str]) -> str:
    """The digest of several files, {relative path: sha256}, as one (see `Artifact`)."""
    lines = [f"{path}\0{digest}\n" for path, digest in sorted(digests.items())]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def model_files(model: Path) -> list[Path]:
    """A converted ONNX file, last, after its one file of external data where it has one (above 2 GB)."""
    data = model.with_name(model.name + ".data")
    return [data, model] if data.is_file() else [model]


def certificate_beside(model: Path) -> Path:
    """Where the certificate of a model file lies."""
    return model.with_name(model.name + ".zoo.json")


@contextlib.contextmanager
def workspace() -> Iterator[Path]:
    """A temporary folder for one conversion, removed whatever happens."""
    with tempfile.TemporaryDirectory(prefix="zoo-", ignore_cleanup_errors=True) as name:
        yield Path(name).resolve()


def refuse_existing(output: Path, force: bool) -> None:
    """Raise `OutputExistsError` unless `output` is free or may be overwritten."""
    if output.is_dir():
        raise UsageError(f"{output} is a folder", hint="Name the ONNX file to write: `-o model.onnx`.")
    if not force and os.path.lexists(output):
        raise OutputExistsError(
            f"{output} exists", hint="`--force` overwrites it; `-o FILE` writes another file."
        )


def publish(files: dict[Path, Path], force: bool) -> None:
    """Copy each source to its target, so that a target is there whole or not at all.

    The last target is the main file: it appears when everything it needs is in place.
    """
    staged: dict[Path, Path] = {}
    try:
        for source, target in files.items():
            staged[target] = _staged_copy(source, target)
        for target, temporary in staged.items():
            _move_into_place(temporary, target, force)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFullError(f"no room to write {error.filename or 'the output'}") from error
        raise StoreError(f"cannot write {error.filename or 'the output'}: {error.strerror}") from error
    finally:
        for temporary in staged.values():
            temporary.unlink(missing_ok=True)


def _staged_copy(source: Path, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
    temporary = Path(name)
    try:
        with source.open("rb") as reader, os.fdopen(handle, "wb") as writer:
            shutil.copyfileobj(reader, writer, 1 << 20)
            writer.flush()
            os.fsync(writer.fileno())
        temporary.chmod(0o666 & ~_umask())
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def _move_into_place(temporary: Path, target: Path, force: bool) -> None:
    if force:
        temporary.replace(target)
        return
    try:
        os.link(temporary, target)  # fails when the target appeared meanwhile; rename would not
    except FileExistsError:
        raise OutputExistsError(f"{target} exists", hint="`--force` overwrites it.") from None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
