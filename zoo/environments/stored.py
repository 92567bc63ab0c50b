"""The environments that the store holds.

::

    <store>/environments/<name>-<digest12>            a link to the finished environment below
    <store>/environments/<name>-<digest12>.<owner>/   a virtual environment, never moved

Virtual environments cannot be moved, so each is built under a name of its builder's own and becomes *the* one
of its lock by a link, which is made last. What no link names is being built, or was left by a dead process.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import field
from pathlib import Path

from zoo.environments.locks import Lock
from zoo.records import record
from zoo.store import Store, StoredEnvironment
from zoo.store.disk import storing
from zoo.store.environments import NOTE, environments, remove_environment, size_on_disk, unfinished
from zoo.store.layout import Layout

CURRENT = "current"
"""The name of the environment that zoo itself runs in."""

_TOUCH_EVERY = 600.0


@record
class Environment:
    """A Python with the packages of a framework. `lock` is the digest of its lock file, or None."""

    name: str
    python: str
    """Version, such as ``"3.9.18"``."""
    interpreter: Path
    folder: Path
    lock: str | None = None
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def isolated(self) -> bool:
        """Whether it is another than the one that zoo runs in."""
        return self.lock is not None


def current() -> Environment:
    """The environment that this process runs in."""
    version = ".".join(map(str, sys.version_info[:3]))
    return Environment(CURRENT, version, Path(sys.executable), Path(sys.prefix))


def root_of(store: Store) -> Path:
    """Where the environments of the upper store lie."""
    return store.root / "environments"


def ready(lock: Lock, store: Store) -> Environment | None:
    """The finished environment of a lock whose Python is still there, from the highest layer that has one."""
    for root in (store.root, *store.layers):
        found = read(root / "environments" / lock.key)
        if found is not None and found.lock == lock.digest and found.interpreter.exists():
            _touch(found.folder)
            return found
    return None


def read(link: Path) -> Environment | None:
    """What a link of the store leads to, None where that is no finished environment."""
    try:
        folder = link.resolve(strict=True)
        said = json.loads((folder / NOTE).read_bytes())
        about = {key: said[key] for key in ("name", "python", "lock", "variables")}
        return Environment(folder=folder, interpreter=folder / "bin" / "python", **about)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def write(environment: Environment) -> None:
    """Say in an environment's folder what it is."""
    about = {
        "name": environment.name,
        "python": environment.python,
        "lock": environment.lock,
        "variables": environment.variables,
        "size": size_on_disk(environment.folder),
    }
    (environment.folder / NOTE).write_text(json.dumps(about), encoding="utf-8")


def _touch(folder: Path) -> None:
    """Note that it was used, to ten minutes, where the store may be written."""
    note = folder / NOTE
    if time.time() - note.stat().st_mtime > _TOUCH_EVERY and os.access(note, os.W_OK):
        os.utime(note)


def all_stored(store: Store) -> Iterator[tuple[Environment, StoredEnvironment]]:
    """Every finished environment of the upper store, by name."""
    for room in environments(Layout(store.root)):
        found = read(room.path)
        if found is not None:
            yield found, room


def remove(room: StoredEnvironment) -> None:
    """Remove an environment from the store."""
    remove_environment(room.path)


def sweep(store: Store) -> tuple[Path, ...]:
    """Remove what dead builders left; returns what it was."""
    found = tuple(path for path, active in unfinished(Layout(store.root)) if not active)
    for path in found:
        shutil.rmtree(path, ignore_errors=True)  # another process may be sweeping, too
    return found


def publish(environment: Environment, lock: Lock, store: Store) -> Environment:
    """Make a finished environment the one of its lock; where another was quicker, that one is kept."""
    write(environment)
    link = root_of(store) / lock.key
    with storing(link):
        try:
            link.symlink_to(environment.folder.name)
        except FileExistsError:
            other = ready(lock, store)
            if other is not None:
                shutil.rmtree(environment.folder)
                return other
            draft = link.with_name(f"{environment.folder.name}.link")
            draft.symlink_to(environment.folder.name)
            draft.replace(link)  # it led to an environment that can no longer run; pruning takes that
    return environment
