"""The models that are timed: fitted once, on rows drawn with a fixed seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Timed:
    """A fitted model, the rows it is asked, and whether issue 5 bounds its single row (linear and trees)."""

    name: str
    model: Any
    rows: Any
    bounded: bool = True


def models(only: str = "") -> Iterator[Timed]:
    """Each in turn, fitted when it is reached."""
    for name, make in {**_TABLES, **_TEXTS}.items():
        if only in name:
            made = make()
            yield made if isinstance(made, Timed) else Timed(name, *made)


def _data(classes: int = 2) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(2000, 20))
    score = rows[:, 0] * 2 - rows[:, 1] ** 2 + rows[:, 2] + rng.normal(size=2000)
    if classes == 1:
        return rows, score
    return rows, np.digitize(score, np.quantile(score, np.arange(1, classes) / classes))


def _fitted(make: Callable[[], Any], classes: int) -> Callable[[], tuple[Any, Any]]:
    def fit() -> tuple[Any, Any]:
        rows, target = _data(classes)
        return make().fit(rows, target), rows[:1000]

    return fit


def _scaled(make: Callable[[], Any]) -> Callable[[], Any]:
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return lambda: make_pipeline(StandardScaler(), make())


def _sklearn() -> dict[str, Callable[[], Any]]:
    from sklearn import ensemble, linear_model, tree

    forest, leaves = ensemble.RandomForestClassifier, {"n_estimators": 100, "random_state": 0}
    return {
        "LogisticRegression": _fitted(linear_model.LogisticRegression, 2),
        "LogisticRegression, 3 classes": _fitted(linear_model.LogisticRegression, 3),
        "StandardScaler + LogisticRegression": _fitted(_scaled(linear_model.LogisticRegression), 2),
        "StandardScaler + Ridge": _fitted(_scaled(linear_model.Ridge), 1),
        "DecisionTreeClassifier": _fitted(lambda: tree.DecisionTreeClassifier(random_state=0), 2),
        "DecisionTreeRegressor": _fitted(lambda: tree.DecisionTreeRegressor(random_state=0), 1),
        "RandomForestClassifier": _fitted(lambda: forest(**leaves), 2),
        "RandomForestClassifier, 5 rows a leaf": _fitted(lambda: forest(**leaves, min_samples_leaf=5), 3),
        "RandomForestRegressor": _fitted(lambda: ensemble.RandomForestRegressor(**leaves), 1),
        "GradientBoostingClassifier": _fitted(lambda: ensemble.GradientBoostingClassifier(random_state=0), 2),
        "GradientBoostingClassifier, 3 classes": _fitted(ensemble.GradientBoostingClassifier, 3),
        "HistGradientBoostingClassifier": _fitted(ensemble.HistGradientBoostingClassifier, 2),
        "HistGradientBoostingRegressor": _fitted(ensemble.HistGradientBoostingRegressor, 1),
    }


def _boosters() -> dict[str, Callable[[], Any]]:
    from lightgbm import LGBMClassifier, LGBMRegressor
    from xgboost import XGBClassifier, XGBRegressor

    return {
        "XGBClassifier": _fitted(lambda: XGBClassifier(n_jobs=1), 2),
        "XGBClassifier, 3 classes": _fitted(lambda: XGBClassifier(n_jobs=1), 3),
        "XGBRegressor": _fitted(lambda: XGBRegressor(n_jobs=1), 1),
        "LGBMClassifier": _fitted(lambda: LGBMClassifier(verbose=-1, n_jobs=1), 2),
        "LGBMClassifier, 3 classes": _fitted(lambda: LGBMClassifier(verbose=-1, n_jobs=1), 3),
        "LGBMRegressor": _fitted(lambda: LGBMRegressor(verbose=-1, n_jobs=1), 1),
    }


def _texts(name: str, sentences: bool) -> Callable[[], Timed]:
    """ASCII words only: upstream's tokens are right for these. `sentences` begin with a capital and end."""

    def fit() -> Timed:
        return _text(name, lambda words: f"{' '.join(words).capitalize()}." if sentences else " ".join(words))

    return fit


def _text(name: str, written: Callable[[list[str]], str]) -> Timed:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    rng = np.random.default_rng(0)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    words = ["".join(rng.choice(letters, rng.integers(3, 9))) for _ in range(2000)]
    texts = [written(list(rng.choice(words, rng.integers(10, 40)))) for _ in range(920)]
    model = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts, rng.integers(0, 3, 920))
    return Timed(name, model, texts, bounded=False)


_TABLES: dict[str, Callable[[], Any]] = {**_sklearn(), **_boosters()}
_TEXTS: dict[str, Callable[[], Any]] = {
    name: _texts(name, sentences=name.endswith("sentences"))
    for name in ("TfidfVectorizer + LogisticRegression", "TfidfVectorizer + LogisticRegression, sentences")
}
