"""``github-lfs:owner/repo@commit/path``: a file that a GitHub repository keeps in Git LFS.

First the media host, which resolves the pointer itself; where a pointer comes instead, its oid is
compared with the pinned digest and the LFS batch API is asked for the object
(https://github.com/git-lfs/git-lfs/blob/main/docs/api/batch.md).
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

from zoo.errors import UsageError
from zoo.records import record
from zoo.transfer import Request, diagnosis, download, read_json
from zoo.transfer.errors import LfsPointerError, MalformedError, NotFoundError

if TYPE_CHECKING:
    from zoo.interfaces import Progress
    from zoo.records import FileSpec

_SOURCE = re.compile(r"github-lfs:(?P<owner>[\w.-]+)/(?P<repo>[\w.-]+)@(?P<commit>[^/\s]+)/(?P<path>[^\s].*)")
_MIME = "application/vnd.git-lfs+json"


@record
class LfsFile:
    """The parts of a ``github-lfs:`` source."""

    owner: str
    repo: str
    commit: str
    path: str

    @classmethod
    def parse(cls, source: str) -> LfsFile:
        """Raises `UsageError` where `source` is not one."""
        found = _SOURCE.fullmatch(source)
        if not found:
            raise UsageError(f"{source!r} is not github-lfs:owner/repo@commit/path")
        return cls(**found.groupdict())

    @property
    def media_url(self) -> str:
        """Where GitHub serves LFS objects under their path in the tree."""
        base = os.environ.get("ZOO_GITHUB_MEDIA", "https://media.githubusercontent.com/media").rstrip("/")
        return f"{base}/{self.owner}/{self.repo}/{quote(self.commit, safe='')}/{quote(self.path)}"

    @property
    def batch_url(self) -> str:
        """The LFS batch endpoint of the repository."""
        base = os.environ.get("ZOO_GITHUB", "https://github.com").rstrip("/")
        return f"{base}/{self.owner}/{self.repo}.git/info/lfs/objects/batch"


class GitHubLfsFetcher:
    """A file in Git LFS on GitHub; ``GITHUB_TOKEN`` is sent where it is set."""

    scheme: ClassVar[str] = "github-lfs"

    def fetch(self, source: str, file: FileSpec, destination: Path, progress: Progress) -> None:
        """Download `source` to `destination`. Raises a `SourceError` that names the cause."""
        wanted = LfsFile.parse(source)
        try:
            download(Request(wanted.media_url, authorization=_authorization()), destination, file, progress)
        except LfsPointerError as pointer:
            _require_pinned(pointer, file)
            download(_object(wanted, pointer), destination, file, progress)


def _authorization() -> str | None:
    token = os.environ.get("GITHUB_TOKEN", os.environ.get("GH_TOKEN", ""))
    return f"Bearer {token}" if token else None


def _require_pinned(pointer: LfsPointerError, file: FileSpec) -> None:
    if file.sha256 not in (None, pointer.oid):
        raise MalformedError(
            f"{pointer.message}; sha256:{file.sha256} is pinned, so the publisher changed the file",
            hint="Pin a commit, or another source.",
        )


def _object(wanted: LfsFile, pointer: LfsPointerError) -> Request:
    """The request that the batch API names for an object."""
    asked = {
        "operation": "download",
        "transfers": ["basic"],
        "hash_algo": "sha256",
        "objects": [{"oid": pointer.oid, "size": pointer.size}],
    }
    answer = read_json(
        Request(
            wanted.batch_url,
            headers=(("Accept", _MIME), ("Content-Type", _MIME)),
            authorization=_authorization(),
            method="POST",
            body=json.dumps(asked).encode(),
        )
    )
    return _action(answer, pointer, wanted.batch_url)


def _action(answer: Any, pointer: LfsPointerError, url: str) -> Request:
    try:
        found = next(item for item in answer["objects"] if item["oid"] == pointer.oid)
        if "error" in found:
            raise _refused(found["error"], url)
        action = found["actions"]["download"]
        headers = {str(name): str(value) for name, value in action.get("header", {}).items()}
        authorization = headers.pop("Authorization", None)
        return Request(action["href"], tuple(headers.items()), authorization)
    except (KeyError, TypeError, StopIteration, AttributeError) as error:
        raise MalformedError(f"{diagnosis.shown(url)}: not an LFS batch answer") from error


def _refused(error: Any, url: str) -> Exception:
    message = str(error.get("message", ""))
    if "quota" in message.lower() or "budget" in message.lower():
        return diagnosis.lfs_quota(diagnosis.shown(url))
    return NotFoundError(f"{diagnosis.shown(url)}: LFS says {error.get('code')}: {message}")
