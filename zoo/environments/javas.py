"""Find an installed Java whose virtual machine can be loaded: ``JAVA_HOME``, ``PATH``, the usual folders."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from zoo.errors import MissingJavaError
from zoo.records import record

LIBRARY = Path("lib") / "server" / "libjvm.so"
_ROOTS = ("/usr/lib/jvm", "/usr/java", "/opt/java", "/opt")
_USERS = (".sdkman/candidates/java", ".jdks", ".jenv/versions", ".local/share/mise/installs/java")
_SETTINGS = ("conf", "lib")


@record
class Java:
    """A Java on disk: its home folder, its version, and files outside that it reads (Debian's settings)."""

    home: Path
    version: str
    outside: tuple[Path, ...]


def find_java(lowest: int, newest: int | None = None) -> Java:
    """The first Java of a major version from `lowest` to `newest`: ``JAVA_HOME`` before all others.

    Raises `MissingJavaError`, which says how to get one.
    """
    seen: list[str] = []
    for folder in _candidates():
        version = version_of(folder)
        if version is None:
            continue
        if lowest <= major(version) <= (newest or major(version)):
            return Java(folder, version, tuple(_outside(folder)))
        seen.append(f"{version} in {folder}")
    found = f" (found: {', '.join(dict.fromkeys(seen))})" if seen else ""
    wanted = f"{lowest} or newer" if newest is None else f"{lowest} to {newest}"
    raise MissingJavaError(
        f"no Java {wanted} was found by JAVA_HOME, on PATH or in {_ROOTS[0]}{found}",
        hint=f"Debian and Ubuntu: apt install openjdk-{lowest}-jre-headless; others: https://adoptium.net. "
        "A Java elsewhere: set JAVA_HOME to its folder.",
    )


def version_of(folder: Path) -> str | None:
    """The version that the file ``release`` of a Java says, None where no virtual machine is there."""
    if not (folder / LIBRARY).is_file():
        return None
    try:
        text = (folder / "release").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    said = re.search(r'^JAVA_VERSION="([\d._+-]+)"', text, re.MULTILINE)
    return said[1] if said else None


def major(version: str) -> int:
    """The major version: 17 of ``17.0.15``, 8 of ``1.8.0_392``."""
    first, *others = re.findall(r"\d+", version)
    return int(others[0]) if first == "1" and others else int(first)


def _candidates() -> Iterator[Path]:
    home = Path.home()
    named, program = os.environ.get("JAVA_HOME"), shutil.which("java")
    if named:
        yield Path(named).resolve()
    if program is not None:
        yield Path(program).resolve().parent.parent
    for root in (*map(Path, _ROOTS), *(home / place for place in _USERS)):
        if root.is_dir():
            yield from sorted({path.resolve() for path in root.iterdir() if path.is_dir()})


def _outside(folder: Path) -> Iterator[Path]:
    """What links of its settings lead to, elsewhere."""
    for name in _SETTINGS:
        for path in sorted((folder / name).rglob("*")):
            if path.is_symlink() and path.is_file() and not path.resolve().is_relative_to(folder):
                yield path.resolve()
