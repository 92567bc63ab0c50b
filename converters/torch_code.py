"""The author's code that belongs to a file of weights: a builder, or the classes of a pickle."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any, Callable

from zoo.errors import UsageError


def imported(target: str, beside: Path) -> Callable[..., Any]:
    """What ``module:name`` or ``path/to/file.py:name`` names.

    A relative file, and a module that is not installed, are also looked for in the folder `beside` the
    weights. Raises `UsageError` where it is not there.
    """
    place, _, name = target.rpartition(":")
    if not place:
        raise UsageError(
            f"builder {target!r} is not module:callable", hint="For example mypackage.nets:resnet"
        )
    found: Any = _imported_module(place, beside)
    for part in name.split("."):
        found = getattr(found, part, None)
    if not callable(found):
        raise UsageError(f"{place} has no callable {name!r}")
    return found  # type: ignore[no-any-return]


def provide_classes(place: str, beside: Path) -> None:
    """Let a pickle find classes in a file or module: those of a script are pickled as ``__main__.Name``."""
    main = sys.modules["__main__"]
    for name, value in vars(_imported_module(place, beside)).items():
        if isinstance(value, type) and not hasattr(main, name):
            setattr(main, name, value)


def _imported_module(place: str, beside: Path) -> Any:
    if place.endswith(".py"):
        return _module_of_file(place, beside)
    top = beside / place.split(".")[0]
    if (top.is_dir() or top.with_suffix(".py").is_file()) and str(beside) not in sys.path:
        # Last: a file of that name must not hide an installed package.
        sys.path.append(str(beside))
    try:
        return import_module(place)
    except ImportError as error:
        raise UsageError(
            f"cannot import {place}: {error}",
            hint="Put it beside the weights, or on PYTHONPATH; a file is named as net.py:callable.",
        ) from error


def _module_of_file(place: str, beside: Path) -> Any:
    path = next((path for path in (Path(place), beside / place) if path.is_file()), None)
    if path is None:
        raise UsageError(f"there is no file {place}, nor {beside / place}", hint="Give its absolute path.")
    spec = spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules.setdefault(path.stem, module)
    spec.loader.exec_module(module)
    return module
