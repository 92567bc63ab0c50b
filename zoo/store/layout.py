"""Where things lie in a store, and which names are allowed there.

::

    <root>/sha256/ab/<digest>                       a blob, mode 0444, never changed
    <root>/sha256/ab/<digest>.<owner>.part          bytes still arriving (`zoo.store.incoming`)
    <root>/models/<name>/<hash12>/<relative path>   readable names for a set of blobs
    <root>/records/<kind>/<key>.json                what was learned, such as a pull
    <root>/memo/ab/<digest>                         the stat of a file that hashed to its digest
    <root>/locks/<key>.lock                         who is at work on a key
    <root>/quarantine/<digest>.<reason>.<time>      bytes that failed their check
    <root>/environments/<key>                       a link to a finished environment below
    <root>/environments/<key>.<owner>/              a virtual environment (`zoo.environments`)
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from zoo.errors import StoreError, UsageError
from zoo.records import record

_DIGEST = re.compile(r"[0-9a-f]{64}")
_LONGEST_NAME = 180  # leaves room for suffixes under the 255 bytes that file systems allow


@record
class Layout:
    """The paths inside one store root. Nothing is created by asking for a path."""

    root: Path

    @property
    def blobs(self) -> Path:
        return self.root / "sha256"

    @property
    def models(self) -> Path:
        return self.root / "models"

    @property
    def records(self) -> Path:
        return self.root / "records"

    @property
    def memo(self) -> Path:
        return self.root / "memo"

    @property
    def locks(self) -> Path:
        return self.root / "locks"

    @property
    def quarantine(self) -> Path:
        return self.root / "quarantine"

    @property
    def environments(self) -> Path:
        return self.root / "environments"

    def blob(self, digest: str) -> Path:
        return self.root.joinpath("sha256", digest[:2], digest)  # asked for often: one new path, not three

    def record(self, kind: str, key: str) -> Path:
        return self.records / safe_name(kind) / f"{safe_name(key)}.json"

    def lock(self, key: str) -> Path:
        return self.locks / f"{safe_name(key)}.lock"

    def model(self, name: str, files: Mapping[str, str]) -> Path:
        return self.models / readable_name(name) / folder_hash(files)


def default_root(cache: Path | None) -> Path:
    """`cache`, else ``ZOO_CACHE``, else the user's cache folder for ``zoo``."""
    if cache is not None:
        return cache.expanduser().absolute()
    if configured := os.environ.get("ZOO_CACHE"):
        return Path(configured).expanduser().absolute()
    import platformdirs

    return platformdirs.user_cache_path("zoo", appauthor=False)


def default_layers() -> tuple[Path, ...]:
    """The read-only stores of ``ZOO_CACHE_LAYERS``, highest first, separated like ``PATH``."""
    listed = os.environ.get("ZOO_CACHE_LAYERS", "").split(os.pathsep)
    return tuple(Path(part).expanduser().absolute() for part in listed if part)


def checked_digest(digest: str) -> str:
    """`digest` in lower case; raises `UsageError` unless it is a sha256 in hexadecimal."""
    lowered = digest.lower()
    if not _DIGEST.fullmatch(lowered):
        raise UsageError(f"{digest!r} is not a sha256 digest", hint="It has 64 hexadecimal digits.")
    return lowered


def is_digest(text: str) -> bool:
    """Whether `text` is a sha256 as the store writes it."""
    return _DIGEST.fullmatch(text) is not None


def checked_path(path: str) -> PurePosixPath:
    """A relative path that stays inside its folder; raises `StoreError` for any other."""
    parts = path.split("/")
    if any(part in ("", ".", "..") for part in parts) or "\\" in path or "\0" in path or ":" in parts[0]:
        raise StoreError(
            f"the file name {path!r} does not stay inside the model's folder",
            hint="File names of a model are relative, with '/' between parts and no '..'.",
        )
    return PurePosixPath(path)


def safe_name(text: str) -> str:
    """`text` as one reversible file name, or its sha256 where that would be too long."""
    quoted = quote(text, safe=" @+=,")
    if quoted.strip(".") and len(quoted) <= _LONGEST_NAME:
        return quoted
    return hashlib.sha256(text.encode()).hexdigest()


def readable_name(text: str) -> str:
    """`text` as a folder name for people; characters that file systems dislike become ``-``."""
    return re.sub(r"[^A-Za-z0-9._+-]+", "-", text).strip("-.")[:_LONGEST_NAME] or "model"


def folder_hash(files: Mapping[str, str]) -> str:
    """Twelve digits that tell one set of files from another."""
    lines = "".join(f"{path}\0{digest}\n" for path, digest in sorted(files.items()))
    return hashlib.sha256(lines.encode()).hexdigest()[:12]
