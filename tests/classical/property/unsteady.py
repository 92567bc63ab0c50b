"""Whether the source's own answer for some rows is at the mercy of rounding.

A step that adds or exponentiates (`ROUNDED`) gives other last bits with another BLAS or another exp; what
stands behind it may jump there. The source is therefore asked again with the numbers between its steps moved
by a few ulp of their row (Monte Carlo arithmetic between the steps). Where the whole model is smooth, or its
last step adds before it decides (`DECIDES_ON_SUMS`), its rows are moved by one ulp too; what its last step
has learned is moved where that step is smooth. A tree on rows that reach it with the bits they came with is
never moved: there nothing is rounded, and an answer is right or wrong.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from converters.classical import probing
from converters.classical.answers import observed
from converters.classical.emit import emitter
from converters.classical.graph import Graph
from converters.classical.layout import layout, rows

Feeds = dict[str, np.ndarray]
TURNS = 16
ROUNDED = (
    *("PCA", "TruncatedSVD", "FactorAnalysis", "KernelPCA", "Nystroem", "RBFSampler", "PowerTransformer"),
    *("QuantileTransformer", "FunctionTransformer", "Normalizer", "KNNImputer", "SplineTransformer"),
    *("TfidfVectorizer", "PolynomialFeatures"),
)
DECIDES_ON_SUMS = (
    *("CalibratedClassifierCV", "VotingClassifier", "VotingRegressor", "StackingClassifier"),
    *("StackingRegressor", "Bagging", "OneVsOneClassifier", "OutputCodeClassifier", "ClassifierChain"),
    "SelfTrainingClassifier",
)


@dataclass(frozen=True)
class Source:
    """The fitted model with its converter."""

    converter: Any
    model: Any
    float32: bool = False

    def answers(self, feeds: Feeds) -> Feeds | None:
        """The source's answers; None where it refuses the rows."""
        try:
            found: Feeds = self.converter.predict(self.model, feeds)
        except Exception:  # noqa: BLE001 - rows are made up, and sources refuse in their own ways
            return None
        return found

    def moved(self, feeds: Feeds) -> list[Feeds]:
        """Its answers with one rounding added at random places, several times."""
        *before, last = [step for _, step in getattr(self.model, "steps", [("", self.model)])]
        ways: list[Callable[[int], Feeds | None]] = []
        if any(type(step).__name__ in ROUNDED for step in before):
            ways.append(lambda turn: self._asked(_noisy(self.model, turn), feeds))
        if not any(map(_jumps, (*before, last))) or type(last).__name__.startswith(DECIDES_ON_SUMS):
            ways.append(lambda turn: self.answers({name: beside(a, turn) for name, a in feeds.items()}))
        if not _jumps(last):
            ways.append(lambda turn: self._asked(_relearned(self.model, turn), feeds))
        found = [ask(turn) for ask in ways for turn in range(TURNS)]
        return [answer for answer in found if answer is not None]

    def _asked(self, model: Any, feeds: Feeds) -> Feeds | None:
        """The answers of a model that is `self.model` but for the last bits."""
        try:
            with probing.quiet():
                return observed(model, rows(layout(self.model), feeds))[0]
        except Exception:  # noqa: BLE001 - as in `answers`
            return None


def _jumps(step: Any) -> bool:
    """Whether one ulp of its input may change a step's answer by any amount, as far as it knows itself.

    What SimpleImputer knows is the number that it fills in, where nothing jumps; words do not move.
    """
    if type(step).__name__ in ("SimpleImputer", "ColumnTransformer"):
        return False
    return any(known.domain.values for known in emitter(step, Graph()).facts())


class Noisy:
    """A fitted transformer whose answers are moved by a few ulp of the row's largest, at random."""

    def __init__(self, inner: Any, turn: int) -> None:
        self._inner = inner
        self._turn = turn

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def transform(self, X: Any) -> Any:
        """[N, features], each moved; so is what comes in, by one ulp: a sum has the error of its terms."""
        result = self._inner.transform(beside(X, self._turn) if isinstance(X, np.ndarray) else X)
        if not hasattr(result, "data") or isinstance(result, np.ndarray):
            return shaken(np.asarray(result), self._turn)
        result.data = beside(result.data, self._turn)
        return result


def _noisy(pipeline: Any, turn: int) -> Any:
    moved = copy.copy(pipeline)
    moved.steps = [
        (name, Noisy(_relearned(step, turn), turn) if type(step).__name__ in ROUNDED else step)
        for name, step in pipeline.steps[:-1]
    ]
    moved.steps.append(pipeline.steps[-1])
    return moved


def _relearned(model: Any, turn: int) -> Any:
    """The model with the fitted arrays of its last step moved by one ulp.

    KNNImputer takes any of equally distant rows (argpartition), so its rows change places; they are moved
    too, for its distances are differences of large sums, also of columns that the asked row has not.
    """
    moved = copy.deepcopy(model)
    last = moved.steps[-1][1] if hasattr(moved, "steps") else moved
    for name, learned in vars(last).items():
        if isinstance(learned, np.ndarray) and name.endswith("_"):
            setattr(last, name, beside(learned, turn))
        elif sparse.issparse(learned) and name.endswith("_"):
            learned.data = beside(learned.data, turn)
    if type(last).__name__ == "KNNImputer":
        order = np.random.default_rng(turn).permutation(len(last._fit_X))
        last._fit_X, last._mask_fit_X = beside(last._fit_X[order], turn), last._mask_fit_X[order]
    return moved


def beside(array: np.ndarray, turn: int) -> np.ndarray:
    """The next numbers of the same dtype, of a zero those of the largest number; what is no float stays."""
    if array.dtype.kind != "f" or not array.size:
        return array
    side = np.where(np.random.default_rng(turn).random(array.shape) < 0.5, 1, -1).astype(array.dtype)
    largest = np.abs(array).max(initial=0.0, where=np.isfinite(array))
    with np.errstate(all="ignore"):
        moved = np.nextafter(array, side * np.asarray(np.inf, array.dtype))
    return np.asarray(np.where(array == 0, side * np.spacing(array.dtype.type(largest)), moved))


def shaken(array: np.ndarray, turn: int) -> np.ndarray:
    """[N, features] moved by up to four roundings of the largest of their row: what adding leaves."""
    if array.dtype.kind != "f" or not array.size:
        return array
    factor = np.random.default_rng(turn).integers(-4, 5, array.shape) * np.finfo(array.dtype).eps
    largest = np.nan_to_num(np.abs(array), nan=0.0, posinf=0.0).max(axis=-1, keepdims=True)
    return np.asarray(array + (factor * largest).astype(array.dtype))
