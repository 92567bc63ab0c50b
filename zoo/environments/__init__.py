"""Isolated environments: a Python of its own for each source framework, built once from a lock file.

The verbs of ``zoo env`` are here, as `zoo.environments.list` and so on; `choose` is for the pipeline. A
converter's package holds ``locks/<name>.toml`` (what is asked for) and ``locks/<name>.txt`` (every package,
with hashes). See docs/environments.md.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Optional, Union

from zoo.environments import building, stored
from zoo.environments.choosing import Wish, choose, satisfied
from zoo.environments.locks import Lock, find_lock, known_locks, need_lock
from zoo.environments.matching import locks_for
from zoo.environments.stored import Environment
from zoo.errors import UsageError
from zoo.records import record
from zoo.store import Store, StoredEnvironment

__all__ = [
    "Environment",
    "Listed",
    "Lock",
    "Wish",
    "build",
    "choose",
    "find_lock",
    "known_locks",
    "list",
    "locks_for",
    "remove",
]

AnyPath = Union[str, Path]


@record
class Listed:
    """An environment that a lock file asks for, or that the store holds, or both.

    `state` is ``"current"`` (the environment zoo runs in will do), ``"built"``, ``"not built"``, ``"broken"``
    (its Python is gone: it is built anew when needed) or ``"outdated"`` (no lock file asks for it any more).
    Where it is in the store, `path`, `size` in bytes and the last use (since 1970) are set.
    """

    name: str
    title: str
    python: str
    """What the lock allows, or the version of what was built."""
    lock: str
    state: str
    path: Optional[Path] = None
    size: int = 0
    used: Optional[float] = None


def list(*, cache: AnyPath | None = None) -> tuple[Listed, ...]:
    """Every environment that a lock file asks for or that the store holds, by name."""
    store = _store(cache)
    built = {room.path.name: (found, room) for found, room in stored.all_stored(store)}
    listed = [_listed(lock, store, built.pop(lock.key, None)) for lock in known_locks()]
    outdated = [
        Listed(found.name, "", found.python, found.lock or "", "outdated", room.folder, room.size, room.used)
        for found, room in built.values()
    ]
    return tuple(sorted((*listed, *outdated), key=lambda one: (one.name, one.state)))


_Found = tuple[Environment, StoredEnvironment]


def _listed(lock: Lock, store: Store, built: _Found | None) -> Listed:
    ready = stored.ready(lock, store)
    state = "built" if ready else "broken" if built else "current" if satisfied(lock) else "not built"
    python = ready.python if ready else lock.python
    if built is None:  # it may lie in a read-only layer
        return Listed(lock.name, lock.title, python, lock.digest, state, ready.folder if ready else None)
    room = built[1]
    return Listed(lock.name, lock.title, python, lock.digest, state, room.folder, room.size, room.used)


def build(
    name: str,
    *,
    cache: AnyPath | None = None,
    offline: bool | None = None,
    on_stage: Callable[[str], None] | None = None,
) -> Environment:
    """The environment of a lock file, built unless the store has it; `on_stage` is told each step.

    Raises `UsageError` for an unknown name, and what `zoo.environments.building.build` raises; with `offline`
    (default: ``ZOO_OFFLINE``) `MissingPackageError` where it is not built.
    """
    from zoo.environments.choosing import not_built
    from zoo.offline import offline_wanted

    lock, store = need_lock(name), _store(cache)
    if offline_wanted(offline) and stored.ready(lock, store) is None:
        raise not_built(lock)
    return building.build(lock, store, on_stage or _silent)


def remove(
    *names: str,
    unused: bool = False,
    older: float | None = None,
    cache: AnyPath | None = None,
) -> tuple[Listed, ...]:
    """Remove environments from the store; what was removed.

    Args:
        names: of environments, all that were ever built under the name.
        unused: also those that no lock file asks for any more, or whose Python is gone, and what dead
            builders left.
        older: also those that were not used for so many seconds.

    Raises `UsageError` for a name under which nothing is built.
    """
    store = _store(cache)
    here = [one for one in list(cache=cache) if one.used is not None]
    for name in names:
        if name not in {one.name for one in here}:
            raise UsageError(
                f"no environment {name!r} is built in {store.root}", hint="`zoo env list` shows all."
            )
    chosen = tuple(_chosen(here, names, unused, older))
    rooms = {room.folder: room for _, room in stored.all_stored(store)}
    for one in chosen:
        stored.remove(rooms[one.path])  # type: ignore[index]
    if unused:
        stored.sweep(store)
    return chosen


def _chosen(
    here: Sequence[Listed], names: Sequence[str], unused: bool, older: float | None
) -> Iterator[Listed]:
    now = time.time()
    for one in here:
        old = older is not None and one.used is not None and now - one.used > older
        if one.name in names or old or (unused and one.state in ("outdated", "broken")):
            yield one


def _store(cache: AnyPath | None) -> Store:
    return Store.open(None if cache is None else Path(cache))


def _silent(text: str) -> None:
    """Nobody listens."""
