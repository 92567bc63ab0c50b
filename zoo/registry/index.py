"""The compiled form of a registry file: one JSON header, then one JSON entry after the other.

Parsing the YAML takes some hundred milliseconds, a warm `zoo.pull` may take five. The index is a
pure cache: it is used only when the file's fingerprint is the same, and one that is damaged, of
another version, or writable by others is made anew. Entries are decoded when they are asked for.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
import time
import zlib
from pathlib import Path
from typing import Any

from zoo.records import RegistryEntry, record
from zoo.wire import from_json, to_json

INDEX_VERSION = 1
_COMPILERS = ("schema.py", "entries.py")
_log = logging.getLogger(__name__)

# A file changed twice within one tick of the file system's clock keeps its times, and may keep its
# size: an index made right after a change could outlive the next one.
_SETTLED_NS = 1_000_000_000


@record
class Index:
    """All entries of a registry, undecoded.

    `refs` maps every name and ``name:variant`` to the place of its entry in `body`; `aliases` maps
    each alias to such a reference. `listed` holds each entry's own reference in file order.
    """

    refs: dict[str, list[int]]
    aliases: dict[str, str]
    listed: list[str]
    body: bytes

    def entry(self, ref: str) -> RegistryEntry:
        """The entry of a reference in `refs`."""
        start, stop = self.refs[ref]
        entry: RegistryEntry = from_json(RegistryEntry, json.loads(self.body[start:stop]))
        return entry


def build(entries: list[RegistryEntry], defaults: dict[str, str]) -> Index:
    """The index of `entries`; `defaults` names the default variants that have a name."""
    refs: dict[str, list[int]] = {}
    aliases: dict[str, str] = {}
    body = bytearray()
    for entry in entries:
        start = len(body)
        body += json.dumps(to_json(entry), ensure_ascii=False, separators=(",", ":")).encode()
        refs[str(entry.ref)] = [start, len(body)]
        aliases.update(dict.fromkeys(entry.aliases, str(entry.ref)))
    listed = list(refs)
    refs.update({f"{name}:{variant}": refs[name] for name, variant in defaults.items()})
    return Index(refs, aliases, listed, bytes(body))


def fingerprint(path: Path) -> list[Any]:
    """What changes when the file, or the code that compiles it, does."""
    status = path.stat()
    code = [(Path(__file__).parent / name).stat().st_mtime_ns for name in _COMPILERS]
    times = [status.st_mtime_ns, status.st_ctime_ns]
    return [INDEX_VERSION, str(path), status.st_size, *times, status.st_ino, *code]


def index_path(path: Path, cache: Path) -> Path:
    """Where the index of a registry file lies in a cache folder."""
    return cache / "registry" / f"{hashlib.sha256(str(path).encode()).hexdigest()[:16]}.index"


def read_index(place: Path, mark: list[Any]) -> Index | None:
    """The index at `place` when it is ours, whole and of the file that `mark` is of; else None."""
    try:
        if not _is_private(place):
            return None
        header, _, body = place.read_bytes().partition(b"\n")
        facts = json.loads(header)
        if facts["fingerprint"] != mark or facts["crc32"] != zlib.crc32(body):
            return None
        return Index(facts["refs"], facts["aliases"], facts["listed"], body)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        _log.debug("the registry index %s is not used: %s", place, error)
        return None


def write_index(index: Index, place: Path, mark: list[Any]) -> None:
    """Put the index at `place`, whole or not at all; without room or right to write, do nothing."""
    if time.time_ns() - mark[3] < _SETTLED_NS:
        return
    header = {
        "fingerprint": mark,
        "crc32": zlib.crc32(index.body),
        "refs": index.refs,
        "aliases": index.aliases,
        "listed": index.listed,
    }
    try:
        _replace(place, json.dumps(header, separators=(",", ":")).encode() + b"\n" + index.body)
    except OSError as error:
        _log.debug("the registry index %s is not written: %s", place, error)


def _replace(place: Path, content: bytes) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=place.parent, prefix=place.name, suffix=".part")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        Path(temporary).replace(place)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise


def _is_private(place: Path) -> bool:
    """Whether only we can have written it: digests in another's index would be another's choice."""
    status = place.stat()
    return status.st_uid in (0, os.geteuid()) and not status.st_mode & 0o022
