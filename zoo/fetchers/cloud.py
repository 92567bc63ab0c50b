"""``s3://``, ``gs://`` and ``az://`` through fsspec (the ``cloud`` extra); their credentials are its own."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from zoo.errors import MissingPackageError
from zoo.transfer import diagnosis
from zoo.transfer.errors import (
    DeniedError,
    NotFoundError,
    TooLargeError,
    TransferError,
    TruncatedError,
    UnreachableError,
)
from zoo.transfer.receipts import Received, give_receipt
from zoo.transfer.streaming import CHUNK

if TYPE_CHECKING:
    from zoo.interfaces import Progress
    from zoo.records import FileSpec

_PACKAGES = {"s3": "s3fs", "gs": "gcsfs", "az": "adlfs"}


class CloudFetcher:
    """An object of a bucket; `fsspec` finds the user's credentials as the vendor's tools do."""

    scheme: ClassVar[str] = "s3"

    def fetch(self, source: str, file: FileSpec, destination: Path, progress: Progress) -> None:
        """Copy the object of `source` to `destination`.

        Raises `MissingPackageError` without the ``cloud`` extra, else a `SourceError`.
        """
        system, path = _file_system(source)
        try:
            self._copy((system, path, source), file, destination, progress)
        except FileNotFoundError as error:
            raise NotFoundError(f"{source}: no such object") from error
        except PermissionError as error:
            raise DeniedError(
                f"{source}: access denied ({error})", hint="Check the bucket's credentials."
            ) from error

    def _copy(
        self, place: tuple[Any, str, str], file: FileSpec, destination: Path, progress: Progress
    ) -> None:
        system, path, source = place
        size = int(_reached(lambda: system.info(path)["size"], source))
        if file.sha256 is not None and file.size not in (None, size):
            kind = TooLargeError if size > (file.size or 0) else TruncatedError
            raise kind(f"{source}: has {size} bytes, {file.size} are pinned")
        digest = hashlib.sha256(usedforsecurity=False)
        done = 0
        body = _reached(lambda: system.open(path, "rb", cache_type="readahead"), source)
        with body, destination.open("wb", buffering=0) as sink:
            while data := _reached(lambda: body.read(8 * CHUNK), source):
                sink.write(data)
                digest.update(data)
                done += len(data)
                progress(done, size)
        got = digest.hexdigest()
        if file.sha256 not in (None, got):
            raise diagnosis.wrong_digest(file, got, None, source, {})
        give_receipt(destination, Received(got, done))


def _file_system(source: str) -> tuple[Any, str]:
    scheme = source.partition(":")[0]
    try:
        import fsspec

        system, path = fsspec.core.url_to_fs(source)
    except ImportError as error:
        raise MissingPackageError(
            f"{scheme}: sources need {_PACKAGES.get(scheme, 'fsspec')}, which is not installed",
            hint='pip install "onnx-zoo-pipeline[cloud]"',
        ) from error
    return system, path


def _reached(call: Any, source: str) -> Any:
    """The result of a call into a vendor's client, whose errors share no class."""
    try:
        return call()
    except (FileNotFoundError, PermissionError, TransferError):
        raise
    except Exception as error:  # botocore, google and azure errors share no base
        raise UnreachableError(f"{source}: {type(error).__name__}: {error}") from error
