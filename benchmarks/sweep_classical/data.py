"""Small data sets that the swept models are fitted on, and the rows that they are judged on."""

from __future__ import annotations

from typing import Any

import numpy as np

KINDS = ("two", "three", "float32", "far")
"""Two classes of text, three of whole numbers, rows in float32, columns far from zero."""


def matrix(kind: str, positive: bool = False, rows: int = 120) -> np.ndarray:
    """[rows, 5] numbers with decimals, a column of counts and one of another scale."""
    rng = np.random.default_rng(11)
    X = rng.normal(size=(rows, 5)).round(2)
    X[:, 3] = rng.integers(0, 4, rows)
    X[:, 4] = (X[:, 4] * 30 + 100).round(1)
    if kind == "far":
        X[:, 2] = X[:, 2] * 100 + 1.7e9
    if positive:
        X = np.abs(X)
    return X.astype(np.float32) if kind == "float32" else X


def classes(X: np.ndarray, kind: str) -> np.ndarray:
    """Labels that depend on the rows, with some noise."""
    score = signal(X)
    if kind in ("three", "far"):
        return np.array([5, -2, 9])[np.digitize(score, np.quantile(score, [0.35, 0.7]))]
    return np.where(score > np.median(score), "yes", "näh")


def signal(X: np.ndarray) -> np.ndarray:
    """A number by row: the target of regressors."""
    noise = np.random.default_rng(3).normal(size=len(X)) * 0.3
    return (2 * X[:, 0] - X[:, 1] ** 2 + X[:, 3] + noise + 4).astype(np.float64).round(4)


def judged_rows(X: np.ndarray) -> dict[str, np.ndarray]:
    """Families of rows in the dtype of X: given, fresh, half way, a step beside, zero, large, with gaps."""
    rng = np.random.default_rng(5)
    order = rng.permutation(len(X))
    up = np.nextafter(X, np.array(np.inf, dtype=X.dtype))
    down = np.nextafter(X, np.array(-np.inf, dtype=X.dtype))
    gaps = X[:60].copy()
    gaps[np.arange(60), np.arange(60) % X.shape[1]] = np.nan
    spread = X.std(axis=0) * rng.normal(size=X.shape) + X.mean(axis=0)
    return {
        "given": X,
        "fresh": spread.astype(X.dtype),
        "half way": ((X + X[order]) / 2).astype(X.dtype),
        "step up": up,
        "step down": down,
        "zero": np.zeros((2, X.shape[1]), dtype=X.dtype),
        "large": (X[:20] * 1000).astype(X.dtype),
        "gaps": gaps,
    }


def table() -> Any:
    """A pandas frame of numbers, text, gaps and dates as numbers."""
    import pandas as pd

    rng = np.random.default_rng(8)
    n = 150
    frame = pd.DataFrame(
        {
            "alter": rng.integers(18, 80, n),
            "Größe": rng.normal(170, 9, n).round(1),
            "city": rng.choice(["Kraków", "New York", "Paris", "paris", "東京"], n),
            "income": rng.lognormal(8, 1, n).round(2),
            "seen": 1.7e9 + rng.integers(0, 10**6, n),
        }
    )
    frame.loc[::7, "income"] = np.nan
    return frame


def table_rows(frame: Any) -> dict[str, Any]:
    """Frames: given, shuffled columns' values, unseen categories."""
    rng = np.random.default_rng(9)
    mixed = frame.copy()
    for name in frame.columns:
        mixed[name] = frame[name].to_numpy()[rng.permutation(len(frame))]
    unseen = frame.iloc[:20].copy()
    unseen["city"] = "Zażółć"
    return {"given": frame, "mixed": mixed, "unseen": unseen}


TEXTS = [
    *("the quick brown fox", "jumps over the lazy dog", "naïve café résumé", "I am a c-program, don't stop!"),
    *(
        "東京 タワー and Москва",
        "a b c d",
        "x_1 y2 3.14 ½",
        "the fox and the dog",
        "Straße STRASSE",
        "quick quick fox",
    ),
]
