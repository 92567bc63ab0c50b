"""Lock files: what an environment holds, and by which Python it is run."""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import field
from pathlib import Path
from typing import Any

from zoo import plugins
from zoo.errors import UsageError
from zoo.records import record

PINS = ".txt"
ASKED = ".toml"
_LISTS = ("requirements", "satisfied_by", "build_requirements", "no_build_isolation", "indexes")
_KEYS = frozenset(("title", "python", "extra", "variables", *_LISTS))
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")


@record
class Pin:
    """One package of a lock, as the lines that pip reads."""

    name: str
    version: str
    lines: str


@record
class Lock:
    """A lock file. `requirements` is what was asked for, `pins` everything that is installed.

    The current environment will do where it has `satisfied_by` (``a|b``: either). `extra` is the extra of
    this distribution that installs the same. Packages of `no_build_isolation` exist as source only and are
    built with `build_requirements`, which are installed first; everything else comes as a wheel. `indexes`
    are looked into where the configured package index has no file with a right hash.
    """

    name: str
    title: str
    python: str
    requirements: tuple[str, ...]
    pins: tuple[Pin, ...]
    digest: str
    satisfied_by: tuple[str, ...] = ()
    extra: str | None = None
    build_requirements: tuple[str, ...] = ()
    no_build_isolation: tuple[str, ...] = ()
    indexes: tuple[str, ...] = ()
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The name of its environment in the store."""
        return f"{self.name}-{self.digest[:12]}"


def find_lock(name: str, framework: str | None = None) -> Lock | None:
    """The lock of that name: of the package of `framework`'s converter, or of any; None where there is none.

    Raises `UsageError` for a lock file that says nonsense.
    """
    folders = lock_folders() if framework is None else _folders_of(framework)
    for folder in folders:
        if (folder / f"{name}{ASKED}").is_file() and _NAME.fullmatch(name):
            return read_lock(folder / f"{name}{ASKED}")
    return None


def need_lock(name: str) -> Lock:
    """As `find_lock`; raises `UsageError` where there is none."""
    found = find_lock(name)
    if found is None:
        known = ", ".join(lock.name for lock in known_locks())
        raise UsageError(f"no environment {name!r}", hint=f"Environments: {known}")
    return found


def known_locks() -> tuple[Lock, ...]:
    """Every lock of every converter, by name; of two with one name the built-in one."""
    found: dict[str, Lock] = {}
    for folder in lock_folders():
        for path in sorted(folder.glob(f"*{ASKED}")):
            if path.stem not in found:
                found[path.stem] = read_lock(path)
    return tuple(found[name] for name in sorted(found))


def lock_folders() -> tuple[Path, ...]:
    """Where lock files lie: beside the code of each converter."""
    return tuple(dict.fromkeys(path for name in plugins.converters() for path in _folders_of(name)))


def _folders_of(framework: str) -> tuple[Path, ...]:
    return tuple(path / "locks" for path in plugins.package_of(framework) if (path / "locks").is_dir())


def read_lock(path: Path) -> Lock:
    """A lock from its ``.toml`` and the ``.txt`` beside it; raises `UsageError` where they say nonsense."""
    asked = read_asked(path)
    pins_path = path.with_suffix(PINS)
    if not pins_path.is_file():
        raise UsageError(
            f"{pins_path} is missing", hint=f"`python -m zoo.environments.locking {path}` makes it."
        )
    pins = tuple(parse_pins(pins_path.read_text(encoding="utf-8")))
    return Lock(name=path.stem, pins=pins, digest=_digest(asked, pins), **asked)


def read_asked(path: Path) -> dict[str, Any]:
    """The keys of a ``.toml``, checked, as fields of `Lock`."""
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: {error}") from error
    unknown = sorted(set(found) - _KEYS)
    missing = sorted({"title", "python", "requirements"} - set(found))
    if unknown or missing:
        said = ", ".join([*(f"unknown key {key}" for key in unknown), *(f"no {key}" for key in missing)])
        raise UsageError(f"{path}: {said}", hint=f"Keys: {', '.join(sorted(_KEYS))}.")
    lists = {key: tuple(value) for key, value in found.items() if isinstance(value, list)}
    return {**found, **lists, "satisfied_by": lists.get("satisfied_by") or lists["requirements"]}


def parse_pins(text: str) -> Iterator[Pin]:
    """The packages of a requirements file with ``==`` and ``--hash=``; comments are dropped.

    >>> [(pin.name, pin.version) for pin in parse_pins("Six==1.17.0 \\\\\\\\n  --hash=sha256:ab  # why\\n")]
    [('six', '1.17.0')]
    """
    plain = re.sub(r"(?m)(^|\s)#.*$", "", text)
    for entry in re.sub(r"\\\s*\n", " ", plain).splitlines():
        words = entry.split()
        if not words:
            continue
        name, equals, version = words[0].rstrip(";").partition("==")
        if not equals or "--hash=" not in entry:
            raise UsageError(f"{entry[:80]!r} in a lock file is not name==version with --hash=")
        yield Pin(normalized(name), version, " ".join(words))


def normalized(name: str) -> str:
    """The name of a distribution as indexes spell it (PEP 503), without extras."""
    return re.sub(r"[-_.]+", "-", name.partition("[")[0]).lower()


def _digest(asked: dict[str, Any], pins: tuple[Pin, ...]) -> str:
    """The sha256 of all that decides what is built; comments and order of the pins do not."""
    keys = ("python", "build_requirements", "no_build_isolation", "variables")
    decisive = [[key, asked.get(key)] for key in keys]
    text = json.dumps([decisive, sorted(pin.lines for pin in pins)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
