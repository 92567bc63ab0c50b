"""``hf:org/repo@revision/path``: a file of a model repository of the Hugging Face hub.

``HF_ENDPOINT`` names another hub. The token is ``HF_TOKEN``, else the hub's own token file
(``HF_TOKEN_PATH``, ``$HF_HOME/token``); it goes to the endpoint only.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import quote

from zoo.errors import UsageError
from zoo.transfer import Request, download

if TYPE_CHECKING:
    from zoo.interfaces import Progress
    from zoo.records import FileSpec

_SOURCE = re.compile(r"hf:(?P<repo>[^/@\s]+/[^/@\s]+)(?:@(?P<revision>[^/\s]+))?/(?P<path>[^\s].*)")


class HuggingFaceFetcher:
    """A file of the hub at a revision (a commit, tag or branch; ``main`` where none is given)."""

    scheme: ClassVar[str] = "hf"

    def fetch(self, source: str, file: FileSpec, destination: Path, progress: Progress) -> None:
        """Download `source` to `destination`. Raises a `SourceError` that names the cause."""
        download(self.request(source), destination, file, progress)

    def request(self, source: str) -> Request:
        """The request whose body is the file. Raises `UsageError` where `source` is malformed."""
        token = hub_token()
        return Request(hub_url(source), authorization=f"Bearer {token}" if token else None)


def hub_url(source: str) -> str:
    """The address of an ``hf:`` source. Raises `UsageError` where it is not one.

    >>> hub_url("hf:org/repo@1234/onnx/model.onnx")
    'https://huggingface.co/org/repo/resolve/1234/onnx/model.onnx'
    """
    found = _SOURCE.fullmatch(source)
    if not found:
        raise UsageError(f"{source!r} is not hf:org/repo@revision/path")
    endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
    revision = quote(found["revision"] or "main", safe="")
    return f"{endpoint}/{found['repo']}/resolve/{revision}/{quote(found['path'])}"


def hub_token() -> str | None:
    """The user's token for the hub, or None."""
    if token := os.environ.get("HF_TOKEN", os.environ.get("HUGGING_FACE_HUB_TOKEN", "")).strip():
        return token
    home = Path(os.environ.get("HF_HOME", "~/.cache/huggingface")).expanduser()
    path = Path(os.environ.get("HF_TOKEN_PATH", home / "token")).expanduser()
    try:
        return path.read_text().strip() or None
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None
