"""``https:`` and ``http:`` addresses. Plain http only for private hosts or hosts the user names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from zoo.transfer import Request, download

if TYPE_CHECKING:
    from zoo.interfaces import Progress
    from zoo.records import FileSpec


class WebFetcher:
    """A file at an address; credentials of the host come from ``~/.netrc``."""

    scheme: ClassVar[str] = "https"

    def fetch(self, source: str, file: FileSpec, destination: Path, progress: Progress) -> None:
        """Download `source` to `destination`. Raises a `SourceError` that names the cause."""
        download(self.request(source), destination, file, progress)

    def request(self, source: str) -> Request:
        """The request whose body is the file."""
        return Request(source)
