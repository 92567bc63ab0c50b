"""The package indexes that pip is configured with, and the files they list.

Read as pip reads them: environment over ``PIP_CONFIG_FILE`` over site, user and global files,
section ``global``, then ``download`` and ``install`` (pip's "Configuration" page). Pages are PEP 503
HTML or PEP 691 JSON.
"""

from __future__ import annotations

import base64
import configparser
import json
import os
import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlsplit, urlunsplit

from zoo.records import record

DEFAULT_INDEX = "https://pypi.org/simple"
ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"


@record
class PipConfig:
    """What of pip's configuration matters to a download."""

    indexes: tuple[str, ...]
    find_links: tuple[str, ...] = ()
    cert: str | None = None
    proxy: str | None = None
    trusted_hosts: tuple[str, ...] = ()


@record
class IndexFile:
    """A file that an index lists. `index` is the page it came from."""

    name: str
    url: str
    index: str
    sha256: str | None = None
    size: int | None = None


def pip_config() -> PipConfig:
    """The configuration in effect for this user and interpreter."""
    values = dict(_from_files())
    for key in ("index-url", "extra-index-url", "find-links", "cert", "proxy", "trusted-host", "no-index"):
        if text := os.environ.get("PIP_" + key.upper().replace("-", "_")):
            values[key] = text
    no_index = values.get("no-index", "").lower() in {"1", "true", "yes", "on"}
    indexes = (
        []
        if no_index
        else [values.get("index-url", DEFAULT_INDEX), *values.get("extra-index-url", "").split()]
    )
    return PipConfig(
        indexes=tuple(dict.fromkeys(indexes)),
        find_links=tuple(values.get("find-links", "").split()),
        cert=values.get("cert") or None,
        proxy=values.get("proxy") or None,
        trusted_hosts=tuple(values.get("trusted-host", "").split()),
    )


def _from_files() -> Iterator[tuple[str, str]]:
    """Key and value of every setting, weakest first."""
    for path in _config_files():
        parser = configparser.RawConfigParser()
        try:
            parser.read(path, encoding="utf-8")
        except (configparser.Error, UnicodeError):  # pip itself would not start with it
            continue
        for section in ("global", "download", "install"):
            if parser.has_section(section):
                yield from parser.items(section)


def _config_files() -> list[Path]:
    chosen = os.environ.get("PIP_CONFIG_FILE")
    if chosen == os.devnull:
        return []
    shared = [
        Path(part, "pip", "pip.conf")
        for part in os.environ.get("XDG_CONFIG_DIRS", "/etc/xdg").split(os.pathsep)
        if part
    ]
    home = Path.home()
    user = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config", "pip", "pip.conf")
    files = [*shared, Path("/etc/pip.conf"), home / ".pip" / "pip.conf", user, Path(sys.prefix, "pip.conf")]
    return [*files, Path(chosen)] if chosen else files


def normalized(name: str) -> str:
    """The name of a project as indexes spell it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def parse_page(data: bytes, url: str, content_type: str) -> list[IndexFile]:
    """The files of an index page; raises `ValueError` where it is neither JSON nor HTML."""
    if "json" in content_type or data.lstrip()[:1] == b"{":
        return _parse_json(data, url)
    return _parse_html(data, url)


def _parse_json(data: bytes, url: str) -> list[IndexFile]:
    return [
        IndexFile(
            item["filename"],
            urljoin(url, urldefrag(item["url"]).url),
            url,
            item.get("hashes", {}).get("sha256"),
            item.get("size"),
        )
        for item in json.loads(data)["files"]
    ]


def _parse_html(data: bytes, url: str) -> list[IndexFile]:
    links = _Links(url)
    links.feed(data.decode("utf-8", "replace"))
    return [_from_link(link, url) for link in links.found]


def _from_link(link: str, index: str) -> IndexFile:
    url, fragment = urldefrag(link)
    found = re.search(r"sha256=([0-9a-fA-F]{64})", fragment)
    name = unquote(urlsplit(url).path.rpartition("/")[2])
    return IndexFile(name, url, index, found[1].lower() if found else None)


class _Links(HTMLParser):
    def __init__(self, base: str) -> None:
        super().__init__()
        self.base = base
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "base" and values.get("href"):
            self.base = urljoin(self.base, values["href"])
        if tag == "a" and values.get("href"):
            self.found.append(urljoin(self.base, values["href"]))


def without_credentials(url: str) -> tuple[str, str | None]:
    """`url` without user and password, and the Authorization they stand for."""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    if not at:
        return url, None
    name, _, password = user.partition(":")
    token = base64.b64encode(f"{unquote(name)}:{unquote(password)}".encode()).decode()
    return urlunsplit(parts._replace(netloc=host)), f"Basic {token}"
