"""Drawn tables, targets and texts: values on thresholds, one ulp apart, far from zero, missing, constant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

KINDS = (
    *("decimals", "grid", "counts", "flags", "constant", "epoch", "huge", "tiny", "ulps", "skewed"),
    *("negative", "signed"),
)
TEXT_KINDS = ("city", "plan")
TARGETS = ("two", "three", "texts", "bools", "negative", "rare", "single", "floats")
CITIES = ("Kraków", "New York", "Paris", "paris", "東京", "São Paulo", "köln ", "")
WORDS = (
    *("the", "quick", "brown", "fox", "a", "I", "dog's", "c-program", "x_1", "3.14", "½", "naïve", "café"),
    *(
        "Straße",
        "STRASSE",
        "ΟΔΟΣ",
        "Москва",
        "東京",
        "タワー",
        "ǅ",
        "e\u0301",
        "😀",
        "don't",
        "and",
        "not",
        "y2",
    ),
    *("\t", "\n", "  ", "-", "!", "é", "É", "ﬁ", "fish", "Ⅻ", "٣"),
)


@dataclass(frozen=True)
class Data:
    """What a table is made of: `kinds` of columns, `missing` share, dtype, target; the seed of the rest."""

    kinds: tuple[str, ...]
    rows: int = 24
    dtype: str = "float64"
    missing: float = 0.0
    target: str = "two"
    outputs: int = 1
    frame: bool = False
    positive: bool = False
    seed: int = 0


def table(data: Data) -> Any:
    """[rows, columns] in the dtype, or a pandas frame of named columns, each of its own dtype."""
    rng = np.random.default_rng(data.seed)
    columns = [column(kind, data.rows, rng) for kind in data.kinds]
    if data.positive:
        columns = [np.abs(c) if c.dtype.kind == "f" else c for c in columns]
    if data.frame:
        return _frame(data, columns, rng)
    return _with_gaps(np.stack(columns, axis=1).astype(data.dtype), data.missing, rng)


def column(kind: str, rows: int, rng: np.random.Generator) -> np.ndarray:
    """[rows] values of one kind, float64 or text."""
    if kind in TEXT_KINDS:
        return rng.choice(np.array(CITIES if kind == "city" else ("a", "b", "c"), dtype=object), rows)
    plain = rng.normal(size=rows)
    made = {
        "decimals": lambda: plain.round(2),
        "grid": lambda: rng.choice([0.1, 0.2, 0.3, 0.7, 1.2], rows),
        "counts": lambda: rng.integers(0, 5, rows).astype(float),
        "flags": lambda: rng.integers(0, 2, rows).astype(float),
        "constant": lambda: np.full(rows, 0.1),
        "epoch": lambda: 1.7e9 + rng.integers(0, 10**6, rows),
        "huge": lambda: plain * 1e12,
        "tiny": lambda: plain * 1e-9,
        "ulps": lambda: 1.2 + rng.integers(-2, 3, rows) * np.spacing(1.2),
        "skewed": lambda: np.exp(2 * plain).round(3),
        "negative": lambda: -np.abs(plain).round(1) - 0.1,
        "signed": lambda: rng.choice([-1.0, -0.0, 0.0, 1.0], rows),
    }
    return made[kind]()


def _with_gaps(X: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    if share and X.dtype.kind == "f":
        X[rng.random(X.shape) < share] = np.nan
    return X


def _frame(data: Data, columns: list[np.ndarray], rng: np.random.Generator) -> Any:
    import pandas as pd

    made = {}
    for place, (kind, values) in enumerate(zip(data.kinds, columns, strict=True)):
        if values.dtype == object:
            made[f"{kind}_{place}"] = values
            continue
        whole = kind in ("counts", "flags", "epoch") and not data.missing
        values = values.astype("int64" if whole else "float32" if data.dtype == "float32" else "float64")
        made[f"{kind} {place}"] = _with_gaps(values, data.missing, rng)
    return pd.DataFrame(made)


def signal(data: Data) -> np.ndarray:
    """[rows] numbers that depend on the table a little, whatever is in it."""
    rng = np.random.default_rng(data.seed)
    columns = [column(kind, data.rows, rng) for kind in data.kinds]
    numbers = [np.unique(c, return_inverse=True)[1].astype(float) for c in columns]
    noise = np.random.default_rng(data.seed + 1).normal(size=data.rows)
    return np.asarray(sum(n * (-1) ** i for i, n in enumerate(numbers)) / data.rows + noise)


def classes(data: Data) -> np.ndarray:
    """Labels of the drawn kind; [rows, outputs] of 0 and 1 where there are several outputs."""
    order = np.argsort(np.argsort(signal(data), kind="stable"), kind="stable")
    if data.outputs > 1:
        return np.stack([order % 2, order * 2 >= data.rows, order % 3 == 0][: data.outputs], axis=1).astype(
            int
        )
    third, half = order * 3 // data.rows, order * 2 // data.rows
    made = {
        "two": half,
        "three": third,
        "texts": np.array(["näh", "yes", "Ω"])[third],
        "bools": half.astype(bool),
        "negative": np.array([7, -2, 5])[third],
        "rare": (order > 2).astype(int),
        "single": np.zeros(data.rows, dtype=int) + 3,
        "floats": np.array([0.5, 2.0])[half] if data.seed % 2 else np.array([1.0, 2.0])[half],
    }
    return made[data.target]


def numbers(data: Data) -> np.ndarray:
    """What regressors are fitted to: near zero, far from it, whole, constant or positive."""
    y = signal(data)
    made = {
        "two": y.round(3),
        "three": np.exp(y).round(3) + 0.01,
        "texts": y * 1e6,
        "bools": (y > 0).astype(float),
        "negative": -np.abs(y) - 5,
        "rare": np.where(y > np.quantile(y, 0.9), 100.0, 1.0),
        "single": np.full(data.rows, 2.5),
        "floats": (y * 10).round(),
    }[data.target]
    y = np.abs(made) + 0.1 if data.positive else made
    return np.stack([y, -y, y * 2 + 1][: data.outputs], axis=1) if data.outputs > 1 else y


def texts(data: Data) -> list[str]:
    """Documents of drawn words in many scripts."""
    rng = np.random.default_rng(data.seed)
    return [" ".join(rng.choice(WORDS, rng.integers(0, 9))) for _ in range(data.rows)]
