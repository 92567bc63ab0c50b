"""Reading pickles and joblib files, and what is known to go wrong between scikit-learn's versions."""

from __future__ import annotations

import sys
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator, Sequence

from zoo.errors import MissingInputError, MissingPackageError, UnsupportedFileError, UnsupportedModelError
from zoo.records import record

# Loads and answers, but otherwise than the version that saved it: (class suffixes, saved before,
# why). Measured by reloading files of 0.24, 1.2, 1.3, 1.5 and 1.7 under 1.9.
KNOWN_WRONG: tuple[tuple[tuple[str, ...], tuple[int, int], str], ...] = (
    (
        ("DecisionTreeClassifier", "ExtraTreeClassifier", "RandomForestClassifier", "ExtraTreesClassifier"),
        (1, 4),
        "its leaves hold counts, read as shares since 1.4: other probabilities and labels",
    ),
)


@record
class Saved:
    """A loaded model and the scikit-learn versions that saved its estimators (class name, version)."""

    model: Any
    saved_by: tuple[tuple[str, str], ...] = ()


def load(paths: Sequence[Path]) -> Saved:
    """Load one file, or chain several as the steps of a pipeline.

    Raises `UnsupportedFileError`, `MissingPackageError`, or `UnsupportedModelError` for a file whose
    version is known to answer otherwise today.
    """
    loaded = [_load_one(path) for path in paths]
    saved_by = tuple(dict.fromkeys(pair for one in loaded for pair in one.saved_by))
    _refuse_known_wrong(saved_by)
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
    saved_by = [
        (str(w.message.estimator_name), str(w.message.original_sklearn_version))  # type: ignore[union-attr]
        for w in caught
        if type(w.message).__name__ == "InconsistentVersionWarning"
    ]
    return Saved(model, tuple(saved_by))


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


def _refuse_known_wrong(saved_by: Sequence[tuple[str, str]]) -> None:
    for name, version in saved_by:
        for classes, before, why in KNOWN_WRONG:
            if name in classes and _release(version) < before:
                raise UnsupportedModelError(
                    f"{name} was saved by scikit-learn {version}: {why}",
                    hint=f"Convert it with scikit-learn {version} installed, or train it again.",
                )


def _release(version: str) -> tuple[int, int]:
    parts = [int(part) for part in version.split(".")[:2] if part.isdigit()]
    return (parts[0], parts[1]) if len(parts) == 2 else (0, 0)
