"""Look after the store: the verbs of ``zoo cache``. `cache` names its folder, as everywhere."""

from __future__ import annotations

from pathlib import Path

from zoo import environments
from zoo.settings import AnyPath, as_path
from zoo.store import Contents, Pruned, Repair, Store, Verification


def path(*, cache: AnyPath | None = None) -> Path:
    """The store's folder: `cache`, else ``ZOO_CACHE``, else the user's cache folder."""
    return Store.open(as_path(cache)).root


def list(*, cache: AnyPath | None = None) -> Contents:
    """What lies in the store: models, blobs and who needs them, leftovers, quarantine. Hashes nothing."""
    return Store.open(as_path(cache)).list()


def verify(*, cache: AnyPath | None = None) -> Verification:
    """Hash every file and say what is wrong; mends nothing."""
    return Store.open(as_path(cache)).verify()


def repair(*, cache: AnyPath | None = None) -> Repair:
    """Verify, move damaged files to quarantine, build models again, say what to pull again."""
    return Store.open(as_path(cache)).repair()


def prune(
    *,
    older: float | None = None,
    max_size: int | None = None,
    grace: float = 3600.0,
    dry_run: bool = False,
    cache: AnyPath | None = None,
) -> Pruned:
    """Remove what no pull needs, environments that no lock file asks for, and what dead processes left.

    Args:
        older: also remove models and environments that were not used for so many seconds.
        max_size: also remove the environments, then the models, used longest ago until the store has at
            most so many bytes.
        grace: keep what was used within so many seconds.
        dry_run: only say what would be removed.
    """
    store = Store.open(as_path(cache))
    asked_for = frozenset(lock.key for lock in environments.known_locks())
    return store.prune(older=older, max_size=max_size, grace=grace, dry_run=dry_run, environments=asked_for)
