"""Look after the store: the verbs of ``zoo cache``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from zoo.settings import AnyPath, as_path
from zoo.store import Store


def path(*, cache: AnyPath | None = None) -> Path:
    """The store's folder: `cache`, else ``ZOO_CACHE``, else the user's cache folder."""
    return Store.open(as_path(cache)).root


def list(*, cache: AnyPath | None = None) -> tuple[dict[str, Any], ...]:
    """What was pulled: for each model its ref, path, size in bytes, digest and verdict."""
    from zoo.cached import pulled_models

    return pulled_models(Store.open(as_path(cache)))


def verify(*, cache: AnyPath | None = None) -> Any:
    """Hash every blob anew; damaged ones go to quarantine."""
    return Store.open(as_path(cache)).verify()


def prune(*, cache: AnyPath | None = None, older: float | None = None, max_size: int | None = None) -> Any:
    """Remove what no pull needs, was not used for `older` seconds, or is beyond `max_size` bytes."""
    return Store.open(as_path(cache)).prune(older=older, max_size=max_size)
