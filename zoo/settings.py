"""How the work is done, as opposed to what is asked for."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import field, replace
from pathlib import Path
from typing import Any, Optional, Union

from zoo.dispatch import Bounds
from zoo.offline import offline_wanted
from zoo.records import Tolerance, record

AnyPath = Union[str, Path]

Stage = Callable[[str], None]
"""Told the name of each stage as it begins: ``"fetch"``, ``"convert"``, ``"verify"``, ``"write"``."""


def _silent(stage: str) -> None:
    """Nobody watches."""


@record
class Settings:
    """Options that every verb shares; each is an option of the command line under the same name."""

    cache: Optional[Path] = None
    registry: Optional[Path] = None
    offline: bool = False
    sources: tuple[str, ...] = ()
    """Tried before the registry's own."""
    allow_private: bool = False
    """Fetch from private addresses that the registry names."""
    max_rate: Optional[float] = None
    """Bytes per second."""
    deadline: Optional[float] = None
    """Seconds for one file, over all its sources."""
    trust: bool = False
    """Load an untrusted file whatever the sandbox."""
    sandbox: str = "landlock+seccomp"
    """The weakest jail in which an untrusted file may be loaded (see `zoo.pipeline.JAILS`)."""
    isolated: bool = False
    """Never load a source in the current environment, even where it has what the source needs."""
    keep_unverified: bool = False
    force: bool = False
    refresh: bool = False
    """Prove anew what the store already holds."""
    tolerance: Optional[Tolerance] = None
    constants: dict[str, Any] = field(default_factory=dict)
    """Values of inputs that an ONNX file has and its source has not, such as a sample rate."""
    bounds: Bounds = Bounds()
    progress: bool = False
    on_stage: Stage = _silent


def settings_from(**given: Any) -> Settings:
    """Settings from the keywords of the API; None means the default."""
    tolerance = _tolerance(given.pop("rtol", None), given.pop("atol", None))
    bounds = _bounds(given.pop("timeout", None), given.pop("memory", None))
    given["offline"] = offline_wanted(given.get("offline"))
    given["sandbox"] = given.get("sandbox") or os.environ.get("ZOO_SANDBOX") or None
    for name in ("registry", "cache"):
        given[name] = as_path(given.get(name))
    kept = {name: value for name, value in given.items() if value is not None}
    return Settings(tolerance=tolerance, bounds=bounds, **kept)


def as_path(path: AnyPath | None) -> Path | None:
    """A `Path`, or None for None."""
    return None if path is None else Path(path)


def _tolerance(rtol: float | None, atol: float | None) -> Tolerance | None:
    return None if rtol is None and atol is None else Tolerance(rtol or 0.0, atol or 0.0)


def _bounds(seconds: float | None, gibibytes: float | None) -> Bounds:
    bounds = Bounds()
    if seconds is not None:
        bounds = replace(bounds, seconds=float(seconds))
    return bounds if gibibytes is None else replace(bounds, memory=int(gibibytes * 2**30))
