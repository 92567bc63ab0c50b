"""Build the environment of a lock in the store, once, however many ask for it at the same time."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from zoo.environments import stored
from zoo.environments.installing import Installer
from zoo.environments.locks import Lock
from zoo.environments.pythons import Interpreter, find_python
from zoo.environments.stored import Environment
from zoo.store import Store
from zoo.store.disk import make_folder, owner_token, storing

Say = Callable[[str], None]


def _silent(text: str) -> None:
    """Nobody listens."""


def build(lock: Lock, store: Store, say: Say = _silent) -> Environment:
    """The environment of `lock`, built unless the store has it; `say` is told each step.

    Raises `MissingPythonError`, `FetchError` (no network, or the index lacks a file), `DigestMismatchError`,
    `DiskFullError`, `StoreError` or `EnvironmentBuildError`; nothing is left behind then.
    """
    found = stored.ready(lock, store)
    if found is not None:
        return found
    with storing(store.root), store.lock(f"environment-{lock.key}"):
        found = stored.ready(lock, store)
        return found or _built(lock, store, say)


def _built(lock: Lock, store: Store, say: Say) -> Environment:
    stored.sweep(store)
    folder = stored.root_of(store) / f"{lock.key}.{owner_token()}"
    make_folder(folder.parent)
    uv = shutil.which("uv")
    python = find_python(lock.python, has_uv=uv is not None)
    work = Installer(lock, folder, python, uv, lambda text: say(f"environment {lock.name}: {text}"))
    try:
        work.make()
        work.install()
        work.check()
        return stored.publish(_environment(lock, python, folder), lock, store)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _environment(lock: Lock, python: Interpreter, folder: Path) -> Environment:
    interpreter = folder / "bin" / "python"
    return Environment(lock.name, python.version, interpreter, folder, lock.digest, dict(lock.variables))
