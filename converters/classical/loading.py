"""Reading pickles and joblib files; those of another scikit-learn than the one that runs are refused."""

from __future__ import annotations

import re
import sys
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator, Sequence

from zoo.errors import MissingInputError, MissingPackageError, UnsupportedFileError, UnsupportedModelError
from zoo.records import record

# Releases whose files another one answers for: before 0.24 there are no wheels for Python 3.9. Which of their
# classes was measured to be right is `zoo.environments`' to know, which chose this environment.
STANDS_FOR = {(0, 24): ((0, 22), (0, 23))}


@record
class Saved:
    """A loaded model and the scikit-learn versions that saved its estimators (class name, version)."""

    model: Any
    saved_by: tuple[tuple[str, str], ...] = ()


def load(paths: Sequence[Path]) -> Saved:
    """Load one file, or chain several as the steps of a pipeline.

    Raises `UnsupportedFileError`, `MissingPackageError`, or `UnsupportedModelError` for a file that another
    minor release of scikit-learn saved.
    """
    loaded = [_load_one(path) for path in paths]
    saved_by = tuple(dict.fromkeys(pair for one in loaded for pair in one.saved_by))
    _refuse_other_releases(saved_by)
    if len(loaded) == 1:
        return Saved(loaded[0].model, saved_by)
    from sklearn.pipeline import Pipeline

    steps = [(path.stem, one.model) for path, one in zip(paths, loaded)]
    return Saved(Pipeline(steps), saved_by)


def files(path: Path, steps: Any) -> list[Path]:
    """The files of an artifact: itself, or `steps` (names beside it or inside the folder)."""
    folder = path if path.is_dir() else path.parent
    if not steps:
        if path.is_dir():
            raise MissingInputError(
                f"{path.name} is a folder",
                hint="Name its files in order: --option steps=[vectorizer.joblib,…]",
            )
        return [path]
    names = steps if isinstance(steps, list) else str(steps).split(",")
    chained = [folder / str(name).strip() for name in names]
    absent = [item.name for item in chained if not item.is_file()]
    if absent:
        raise MissingInputError(
            f"no {', '.join(absent)} beside {path.name}",
            hint="--option steps=… names files beside the model.",
        )
    return chained if path.is_dir() or path in chained else [path, *chained]


def _load_one(path: Path) -> Saved:
    with warnings.catch_warnings(record=True) as caught, _old_modules():
        warnings.simplefilter("always")
        model = _unpickled(path)
    saved_by = [pair for pair in map(_version_warned_of, caught) if pair is not None]
    return Saved(model, tuple(saved_by))


def _version_warned_of(caught: warnings.WarningMessage) -> tuple[str, str] | None:
    """The class and version in a warning that another version saved an estimator."""
    found = re.search(r"unpickle estimator (\w+) from version (\S+) when", str(caught.message))
    return None if found is None else (found[1], found[2])


def _unpickled(path: Path) -> Any:
    import joblib

    try:
        return joblib.load(path)
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] == "sklearn":
            raise _other_version(path, error) from error
        raise MissingPackageError(
            f"{path.name} needs the module {error.name!r}, which is not installed",
            hint=f"Install the package that has {error.name!r}, or the project it was trained in.",
        ) from error
    except Exception as error:
        raise _other_version(path, error) from error


def _other_version(path: Path, error: Exception) -> UnsupportedFileError:
    from sklearn import __version__

    return UnsupportedFileError(
        f"{path.name} cannot be loaded by scikit-learn {__version__}: {type(error).__name__}: {error}",
        hint="It is broken, or another version saved it: convert it where that version is installed.",
    )


@contextmanager
def _old_modules() -> Iterator[None]:
    """Names under which older versions pickled, for the time of loading.

    scikit-learn 1.5 to 1.7 wrote its loss module as the top-level ``_loss``.
    """
    from importlib import import_module

    added = "_loss" not in sys.modules and _has_module("sklearn._loss._loss")
    if added:
        sys.modules["_loss"] = import_module("sklearn._loss._loss")
    try:
        yield
    finally:
        if added:
            del sys.modules["_loss"]


def _has_module(name: str) -> bool:
    from importlib.util import find_spec

    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # its package: before scikit-learn 0.24
        return False


def _refuse_other_releases(saved_by: Sequence[tuple[str, str]]) -> None:
    """Their state is another, and at times it is read wrongly without an error."""
    from sklearn import __version__

    here = _release(__version__)
    for name, version in saved_by:
        if _release(version) not in (here, *STANDS_FOR.get(here, ())):
            raise UnsupportedModelError(
                f"{name} was saved by scikit-learn {version}, and this is {__version__}: what "
                "estimators hold changes between minor releases",
                hint=f"Save all files with one release, or convert with scikit-learn {version} installed.",
            )


def _release(version: str) -> tuple[int, int]:
    parts = [int(part) for part in version.split(".")[:2] if part.isdigit()]
    return (parts[0], parts[1]) if len(parts) == 2 else (0, 0)
